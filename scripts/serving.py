"""The app on a free port for as long as a `with` block lasts, and a browser: for screenshots and browser tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = f"no browser: none of {', '.join(BROWSERS)} is on PATH"
_PATIENCE = 60  # seconds


def find_browser() -> str | None:
    """The first Chromium or Chrome on PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass(frozen=True)
class Server:
    """Where the app answers, and the process that serves it."""

    address: str
    pid: int


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """The address of a fresh server of the app that computes with one thread: where several compute at a time."""
    # Two threads of one network wait for one another; where others compute too, each wait takes a slice of time.
    with server_process(log, {"OMP_NUM_THREADS": "1"} | os.environ) as server:
        yield server.address


@contextmanager
def server_process(log: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Server]:
    """Yields a fresh server of the app; it is stopped at the end of the block.

    Args:
        log: file that takes what the server prints.
        environment: the server's variables; this process's own, so as many threads as it would take itself.
    Raises:
        RuntimeError: the server ends, or does not answer within a minute; the message has the end of its log.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "pages", "--server.port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _await(server, f"{address}/_stcore/health", log)
        yield Server(address, server.pid)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _await(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"the app did not start; its log ends with:\n{log.read_text(errors='replace')[-2000:]}")
