"""Doing again from the start what an engine that went away has interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_mlcontainer.engines import LogLine
from pytest_mlcontainer.errors import EngineError, EngineLostError

T = TypeVar("T")

ATTEMPTS = 3


def repeated(make: Callable[[], T], log: LogLine) -> T:
    """What `make` returns, tried up to three times while the engine goes away under it.

    Args:
        make: can be begun again at any time, whatever a try before it has left.
        log: told of each new try.

    Raises:
        EngineError: the engine went away each time; and whatever else `make` raises.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            return make()
        except EngineLostError as error:
            if not left:
                value = f"{error.value}; {ATTEMPTS} tries"
                raise EngineError(error.what, value, error.remedy) from error
            log(f"{error.what}; doing it again from the start")
    raise AssertionError("the last try returns or raises")
