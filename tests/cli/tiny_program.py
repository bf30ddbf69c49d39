"""The command line on a tiny network, as a process of its own: `python -m tests.cli.tiny_program evaluate …`."""

from __future__ import annotations

import time
from typing import Any

import torch

from cam_core.cli import app, evaluate, inputs
from tests.tiny import tiny_classifier

_original = evaluate.evaluate_folder


def load(name: str, **_: Any) -> Any:
    return tiny_classifier("residual")


def unhurried(*arguments: Any, **options: Any) -> Any:
    """Leaves time to be stopped between two units, too."""
    for step in _original(*arguments, **options):
        yield step
        time.sleep(0.25)  # also for a watcher that is kept waiting by a busy machine


if __name__ == "__main__":
    torch.set_num_threads(1)
    inputs.load_model = load
    evaluate.evaluate_folder = unhurried
    app()
