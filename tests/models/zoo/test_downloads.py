"""Downloads from `file://` addresses and from pretended servers: whole files or none."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
import torch

from cam_core.models.zoo.downloads import cached_download, hub_folder, reachable
from cam_core.types import Cancelled, WeightsError

CONTENT = bytes(range(256)) * 10_000  # 2.56 MB: three pieces
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}.pth"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def url(tmp_path: Path) -> str:
    (tmp_path / NAME).write_bytes(CONTENT)
    return (tmp_path / NAME).as_uri()


class Answer(io.BytesIO):
    """What `urlopen` returns."""

    def __init__(self, content: bytes, length: int | None) -> None:
        super().__init__(content)
        self.headers = Message()
        if length is not None:
            self.headers["Content-Length"] = str(length)


class Torn(Answer):
    """A connection that breaks after the first piece."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 0:
            raise ConnectionResetError("connection reset by peer")
        return super().read(size)


def test_a_file_is_fetched_once(url: str, hub: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = cached_download(url, lambda done, total: seen.append((done, total)))
    assert path == hub / NAME == hub_folder() / NAME
    assert path.read_bytes() == CONTENT
    assert len(seen) > 1 and seen[-1] == (len(CONTENT), len(CONTENT))
    assert all(done <= total == len(CONTENT) for done, total in seen)
    (tmp_path / NAME).unlink()
    assert cached_download(url, lambda *_: pytest.fail("fetched again")) == path


def test_a_file_put_there_by_hand_is_found(hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / NAME).write_bytes(CONTENT)
    assert cached_download(f"https://nowhere.invalid/models/{NAME}?query=1") == hub / NAME


def test_without_a_network_the_message_says_what_is_missing_and_where_it_belongs(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise urllib.error.URLError(OSError("name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    address = f"https://example.org/models/{NAME}"
    with pytest.raises(WeightsError) as caught:
        cached_download(address)
    (remedy,) = caught.value.__notes__
    assert address in remedy and str(hub) in remedy and "random weights" in remedy
    message = str(caught.value)
    assert NAME in message and ": name or service not known" in message
    assert str(hub) not in message, "nobody else needs to know where the machine keeps its files"
    assert list(hub.iterdir()) == []


def test_without_a_network_the_reason_is_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(WeightsError, match=r"could not be downloaded: no connection to the network\n"):
        cached_download(f"https://example.org/models/{NAME}")


def test_a_server_that_says_no(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    def forbid(request: urllib.request.Request, **_options: object) -> None:
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", forbid)
    with pytest.raises(WeightsError, match="Forbidden"):
        cached_download(f"https://example.org/{NAME}")
    reachable("https://example.org")  # it answered
    assert list(hub.iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Torn(CONTENT, len(CONTENT)))
    with pytest.raises(WeightsError, match="connection reset by peer"):
        cached_download(f"https://example.org/{NAME}")
    assert list(hub.iterdir()) == []


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"<html>Please log in</html>", b""])
def test_a_file_that_is_not_what_its_name_promises_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch, hub: Path, content: bytes
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(content, None))
    found = hashlib.sha256(content).hexdigest()[:8]
    with pytest.raises(WeightsError, match=f"SHA-256 begins with {found}, not {DIGEST[:8]}"):
        cached_download(f"https://example.org/{NAME}")
    assert list(hub.iterdir()) == []


def test_a_server_that_does_not_say_how_long_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(CONTENT, None))
    seen: list[tuple[int, int]] = []
    cached_download(f"https://example.org/{NAME}", lambda done, total: seen.append((done, total)))
    assert all(done == total for done, total in seen)


def test_a_cancelled_download_leaves_nothing(url: str, hub: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        cached_download(url, stop)
    assert list(hub.iterdir()) == []
    assert cached_download(url).read_bytes() == CONTENT


def test_two_threads_fetch_a_file_once(url: str, hub: Path) -> None:
    totals: list[int] = []
    threads = [
        threading.Thread(target=cached_download, args=(url, lambda done, _: totals.append(done))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.count(len(CONTENT)) == 1
    assert [path.name for path in hub.iterdir()] == [NAME]
