"""The command line on a tiny network, as a process of its own: `python -m tests.cli.tiny_program evaluate …`.

With HOLD_AT=n in its environment it waits to be stopped once n units are done.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch

from cam_core.cli import app, evaluate, inputs
from tests.tiny import tiny_classifier

_original = evaluate.evaluate_folder


def load(name: str, **_: Any) -> Any:
    return tiny_classifier("residual")


def held(*arguments: Any, **options: Any) -> Any:
    """A watcher may be kept waiting for as long as it likes: the work does not end before it is stopped."""
    last = int(os.environ.get("HOLD_AT", "-1"))
    for step in _original(*arguments, **options):
        yield step
        time.sleep(600 if step.done == last else 0.01)


if __name__ == "__main__":
    # Whatever a shell starts in the background ignores Ctrl-C, and so do its children: a test run, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    inputs.load_model = load
    evaluate.evaluate_folder = held
    app()
