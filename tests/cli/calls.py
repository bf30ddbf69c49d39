"""Commands called in this process."""

from __future__ import annotations

from collections.abc import Callable

from typer.testing import CliRunner, Result

from cam_core.cli import app

Call = Callable[..., Result]


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])
