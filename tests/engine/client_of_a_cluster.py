"""A process that evaluates a folder as a client of a cluster of its own, whose head is a process of its own, too.

    python -m tests.engine.client_of_a_cluster FOLDER TABLE

A process of its own, because each connects to one cluster in its life.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cam_core.engine.actors import _ray
from cam_core.engine.choosing import open_engine
from cam_core.engine.worker import open_network
from cam_core.evaluation.folder import evaluate_folder
from cam_core.types import DeviceError
from tests.engine.asked import ASKED, RESIDUAL

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds


def free_ports(count: int) -> list[int]:
    """Asked for at once, so that they are different ones."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def head() -> Iterator[str]:
    """The address of a cluster of one machine for clients, as `ray start` begins it; all of it ends with the block."""
    own, clients = free_ports(2)
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"),
        *("--node-ip-address=127.0.0.1", f"--port={own}", f"--ray-client-server-port={clients}"),
        *("--include-dashboard=false", "--min-worker-port=0", "--max-worker-port=0"),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"ray://127.0.0.1:{clients}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):  # where none is left
                os.killpg(process.pid, signal.SIGKILL)


def main(folder: Path, out: Path) -> None:
    _ray()
    clf = open_network(RESIDUAL, "cpu")
    with head() as address:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                engine = open_engine("ray", address=address, workers=2)
                break
            except DeviceError:  # not there yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
        with engine:
            list(evaluate_folder(clf, folder, **ASKED, out=out, engine=engine))
        _ray().shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
