"""Comparisons of runs of the very same: where these differ, that is no drift."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from pytest_mlcontainer.model import NOT_LISTED, Difference, Outcome, Verdict

_COUNTED = re.compile(rf"(\d+) {Verdict.DRIFT.value}\b")


def nondeterministic(difference: Difference) -> Difference:
    """The same, where what differs are runs of the very same."""
    if difference.verdict is not Verdict.DRIFT:
        return difference
    return replace(difference, verdict=Verdict.NONDETERMINISTIC)


def counted_so(notes: Iterable[str]) -> tuple[str, ...]:
    """Notes whose counts of items that are not listed name that verdict, too."""
    return tuple(map(_counted_so, notes))


def _counted_so(note: str) -> str:
    listed, mark, counts = note.partition(NOT_LISTED)
    return listed + mark + _COUNTED.sub(rf"\1 {Verdict.NONDETERMINISTIC.value}", counts)


def as_nondeterministic(outcome: Outcome) -> Outcome:
    """A comparison of two runs of the very same, with its verdict and that of its items."""
    return replace(
        outcome,
        verdict=Verdict.NONDETERMINISTIC,
        differences=tuple(map(nondeterministic, outcome.differences)),
        notes=counted_so(outcome.notes),
    )
