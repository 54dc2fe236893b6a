"""How an algorithm's time grows with its input, whatever the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

_SHORTEST_S = 1e-3  # shorter times are noise


def times_longer(
    work: Callable[[Input], object], small: Input, large: Input, tries: int = 3
) -> float:
    """How many times the computing time for `small` the one for `large` takes, in this order.

    Where an input is n times as large, linear work takes about n times as long, and quadratic work
    n² times. A busy machine slows both, so that a bound between the two, 4 n, holds everywhere;
    less does not, since linear work takes twice as long again where it has outgrown a cache.

    Args:
        tries: the best of so many counts; one does where it takes seconds.
    """
    shortest_s = max(_seconds(work, small, tries), _SHORTEST_S)
    return _seconds(work, large, tries) / shortest_s


def _seconds(work: Callable[[Input], object], given: Input, tries: int) -> float:
    return min(_once(work, given) for _ in range(tries))


def _once(work: Callable[[Input], object], given: Input) -> float:
    started = time.process_time()
    work(given)
    return time.process_time() - started
