"""How an algorithm's time grows with its input, whatever the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

_TRIES = 3
_SHORTEST_S = 1e-3  # shorter times are noise


def times_longer(work: Callable[[Input], object], small: Input, large: Input) -> float:
    """How many times the computing time for `small` the one for `large` takes; the best of each.

    Where an input is n times as large, linear work takes about n times as long, and quadratic work
    n² times. A busy machine slows both, so that a bound between the two holds everywhere.
    """
    return _seconds(work, large) / max(_seconds(work, small), _SHORTEST_S)


def _seconds(work: Callable[[Input], object], given: Input) -> float:
    return min(_once(work, given) for _ in range(_TRIES))


def _once(work: Callable[[Input], object], given: Input) -> float:
    started = time.process_time()
    work(given)
    return time.process_time() - started
