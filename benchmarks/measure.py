"""Measuring two or more ways of doing a thing, in turns, so that a busy machine is fair to all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Seconds = tuple[float, ...]


@dataclass(frozen=True)
class Figure:
    """One measured figure against its bar.

    Args:
        name: of the benchmark; `what` says which of its figures.
        value, bar: in `unit`; `value` passes when it is not above the bar.
        detail: the medians behind it.
    """

    name: str
    what: str
    value: float
    bar: float
    unit: str
    detail: str

    @property
    def passes(self) -> bool:
        return self.value <= self.bar


def in_turns(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Seconds]:
    """Seconds that each way takes, in `rounds` rounds of all of them.

    One round before them warms up and is not counted. Every second round goes backwards, so that
    none always follows the same other.

    Args:
        ways: each does its thing once and returns the seconds that count.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            seconds = ways[name]()
            if number > 0:
                taken[name].append(seconds)
    return {name: tuple(seconds) for name, seconds in taken.items()}


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """The action as a way that returns its wall-clock seconds."""

    def way() -> float:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started

    return way


def median_ms(seconds: Seconds) -> float:
    return statistics.median(seconds) * 1000


def ratio(
    name: str, what: str, taken: Mapping[str, Seconds], ours: str, other: str, bar: float
) -> Figure:
    """How many times as long `ours` takes as `other`, by medians."""
    value = median_ms(taken[ours]) / median_ms(taken[other])
    detail = f"{median_ms(taken[ours]):.0f} ms / {median_ms(taken[other]):.0f} ms"
    return Figure(name, what, value, bar, "×", detail)
