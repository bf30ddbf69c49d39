"""Forms of a call that are going to disappear: accepted for one version more, with a warning."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def formerly_positional(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Accept `names`, which are keywords now, also by their former position, and say so by a `DeprecationWarning`.

    Args:
        names: in the order that they had, behind what the function still takes by position.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        kept = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            late = dict(zip(names, args[kept:], strict=False))
            # Too many, or one twice: the function itself refuses, in Python's own words.
            if not late or len(args) > kept + len(names) or late.keys() & kwargs.keys():
                return function(*args, **kwargs)
            how = ", ".join(f"{name}=…" for name in late)
            warnings.warn(
                f"{function.__name__}: give by keyword what follows the first {kept} arguments: {how}",
                DeprecationWarning,
                stacklevel=2,
            )
            return function(*args[:kept], **kwargs, **late)  # type: ignore[arg-type]

        return call

    return decorate
