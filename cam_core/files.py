"""Files and folders that are written whole or not at all, many files in one, and names that are safe to write under."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CHECKSUMS: Final = "SHA256SUMS"
"""The file of a bundle that names the others with their checksums, as `sha256sum -c` reads them."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold
_LONGEST_STEM: Final = 50  # characters


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the place, then put it there in one step: whoever opens `path` finds all of it or what was before.

    Args:
        path: in a folder that exists; of a symbolic link, what it points to is replaced.
        write: fills the file whose path it is given. Where it fails, nothing is left behind.
    Raises:
        OSError: the file cannot be written.
    """
    target = path.resolve()
    # Of a name of their own, since other processes and threads may be writing the same file; never longer than `target`
    # by so much that a file system would refuse it.
    draft = target.with_name(f".{target.name[:100]}.{os.getpid()}.{threading.get_ident()}.unfinished")
    try:
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # a machine that stops now shall not leave an empty file under the new name
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def bundle(files: Mapping[str, bytes]) -> bytes:
    """Files in one zip, with their checksums: the same files give the same bytes.

    Args:
        files: contents by path within the zip.
    """
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted({**files, CHECKSUMS: sums.encode()}.items()):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def npy(array: npt.NDArray[Any]) -> bytes:
    """An array as NumPy's own file format has it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def fill_whole(folder: Path, fill: Callable[[Path], object]) -> None:
    """Make a folder and fill it; where that fails, nothing is left behind.

    Args:
        folder: in one that exists; what lies there is written over.
        fill: is given the folder.
    """
    folder.mkdir(exist_ok=True)
    try:
        fill(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise


def safe_stem(name: str, instead: str) -> str:
    """What a file or folder can be called after a name that a stranger has chosen, less its ending.

    Args:
        instead: where nothing of the name can be used.
    """
    return re.sub(r"^\.|[^\w .-]", "_", Path(name).stem)[:_LONGEST_STEM].strip(" .") or instead
