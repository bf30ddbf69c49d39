"""The version of this package, and of what else decides a result: every record of one states them."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"

_DECISIVE = ("torch", "torchvision", "timm", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Version by name: camscope, python, and the packages that results depend on; "not installed" where one is not."""
    return {"camscope": __version__, "python": platform.python_version()} | {name: _version(name) for name in _DECISIVE}


@cache  # each looks for a file of the package: 6 ms for all, and every heatmap on a page states them
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
