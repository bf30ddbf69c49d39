"""Attributes that are computed when somebody asks for them first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801  (a decorator, written like `property`)
    """`functools.cached_property` without its lock.

    Until Python 3.11 that holds one lock for all objects of a class while it computes. What computes here may give way
    to another thread in the middle, which asks another object for the same attribute: each then waits for the other.
    Two threads that ask one object at the same moment both compute.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type) -> lazy[T]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: object | None, kind: type) -> lazy[T] | T:
        if owner is None:
            return self
        value = self._compute(owner)
        vars(owner)[self._name] = value  # found before this from now on
        return value
