"""The command line called in this process, on a tiny network where the network does not matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import Result

from cam_core.cli import inputs
from tests.cli.calls import Call, run
from tests.tiny import tiny_classifier


@pytest.fixture
def succeed() -> Call:
    """Run a command that must end well."""

    def call(*args: object) -> Result:
        result = run(*args)
        assert result.exit_code == 0, result.stderr
        return result

    return call


@pytest.fixture
def refuse() -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, nothing on stdout, one line on stderr, which is returned."""

    def call(*args: object) -> str:
        result = run(*args)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    return call


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--model` gives a tiny network by its key in `tests.tiny`; "plain" for every other name."""

    def load(name: str, **_: Any) -> Any:
        return tiny_classifier(name if name in ("max-pool", "residual") else "plain")

    monkeypatch.setattr(inputs, "load_model", load)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small colour gradient as a PNG file."""
    path = tmp_path / "photo.png"
    red, green = Image.linear_gradient("L").resize((40, 32)), Image.radial_gradient("L").resize((40, 32))
    Image.merge("RGB", (red, green, red.rotate(180))).save(path)
    return path
