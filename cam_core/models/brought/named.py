"""The function that "module:function" names. It is imported, and so run: never of a name from somebody else."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from typing import Any

from cam_core.types import CamError


def named_function(reference: str, wrong: type[CamError], *, example: str) -> Callable[..., Any]:
    """Import the function.

    Args:
        reference: "module:function".
        wrong: the error to raise.
        example: a function's name, for messages.
    Raises:
        CamError: `wrong`: the name is none, the module cannot be imported, or holds no such function.
    """
    module, _, function = reference.partition(":")
    if not module or not function:
        raise wrong(f"{reference!r} names no function: write my_module:{example}, the module and the function in it")
    try:
        named = getattr(importlib.import_module(module), function, None)
    except Exception as error:  # a foreign module may raise anything
        raise wrong(
            f"the module {module} cannot be imported ({what_was_raised(error)}): start in its folder, or name that in "
            "PYTHONPATH"
        ) from error
    if named is None:
        raise wrong(f"the module {module} has no function {function!r}")
    if not callable(named):
        raise wrong(f"the module {module} has no function {function!r}: its type is {type(named).__name__}")
    return named  # type: ignore[no-any-return]


def what_was_raised(error: Exception) -> str:
    """ "ValueError: no weights, in net.py, line 12"."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}, in {where.filename}, line {where.lineno}"
