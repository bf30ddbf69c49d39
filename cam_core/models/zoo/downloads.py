"""Weights files: found in torch's own cache, or fetched into it, whole or not at all."""

from __future__ import annotations

import hashlib
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import torch

from cam_core.files import write_whole
from cam_core.types import Progress, WeightsError

_CHUNK: Final = 1 << 20  # bytes
_TIMEOUT: Final = 30.0  # seconds without an answer
_lock = threading.Lock()


def hub_folder() -> Path:
    """Where `torch.hub` keeps weights: $TORCH_HOME/hub/checkpoints, else ~/.cache/torch/hub/checkpoints."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_download(url: str, progress: Progress | None = None) -> Path:
    """The file that `url` names, from torch's cache; fetched into it where it is missing.

    Args:
        url: its file name ends in a dash and the first digits of the file's SHA-256, as torchvision's do.
        progress: called with bytes done and in all; may raise `Cancelled`, which leaves nothing behind.
    Raises:
        WeightsError: no connection, or what came is not the file that the name promises. Nothing is left behind.
    """
    target = hub_folder() / Path(urlsplit(url).path).name
    if target.is_file():
        return target
    with _lock:  # two threads that want the same file shall not fetch it twice
        if not target.is_file():
            try:
                _fetch(url, target, progress)
            except (OSError, HTTPException) as error:
                raise missing_weights(
                    f"the weights file {target.name} is not on this machine and could not be downloaded: "
                    f"{reason_of(error)}",
                    f"Download {url} elsewhere and put it into {target.parent}, or take random weights",
                ) from error
    return target


def missing_weights(what: str, remedy: str) -> WeightsError:
    """An error with what happened as its message, and with what helps whoever sits at the machine as its note."""
    error = WeightsError(what)
    error.add_note(remedy)
    return error


def reason_of(error: BaseException) -> str:
    """The cause of an error, in one line."""
    cause = getattr(error, "reason", error)  # urllib wraps the error of the connection
    if isinstance(cause, socket.gaierror):
        return "no connection to the network"
    return (str(cause).strip() or type(error).__name__).splitlines()[0]


def reachable(url: str) -> None:
    """Return if the server of `url` answers at all, whatever it says.

    Raises:
        OSError: it does not.
    """
    try:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "torch.hub"})
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        error.close()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, target: Path, progress: Progress | None) -> None:
    """Whole, and what its name promises, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def download(draft: Path) -> None:
        with draft.open("wb") as file:
            digest = _copy(url, file, progress)
        promised = torch.hub.HASH_REGEX.search(target.name)
        if promised is not None and not digest.startswith(promised.group(1)):
            raise WeightsError(
                f"{url} sent a file whose SHA-256 begins with {digest[:8]}, not {promised.group(1)}: the download was "
                "cut short or changed on its way; try again"
            )

    write_whole(target, download)


def _copy(url: str, file: IO[bytes], progress: Progress | None) -> str:
    """Stream `url` into `file`; the SHA-256 of what came."""
    digest = hashlib.sha256()
    done = 0
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        for chunk in _chunks(answer):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, max(done, total))
    return digest.hexdigest()


def _chunks(answer: IO[bytes]) -> Iterator[bytes]:
    while chunk := answer.read(_CHUNK):
        yield chunk
