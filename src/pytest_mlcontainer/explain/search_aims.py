"""What a search for causes is asked for, and what ends it early."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from pytest_mlcontainer.explain.search_book import Names, TrialBook
from pytest_mlcontainer.explain.search_crashes import CrashWeights
from pytest_mlcontainer.explain.search_sets import Prior, suspicion
from pytest_mlcontainer.explain.trials import Observation, Reading, Trial

Reweigh = Callable[[Trial, Observation], Mapping[str, float]]


class ControlsDisagreeError(Exception):
    """The same run with nothing changed gave different results."""


class PlaceboDriftsError(Exception):
    """A change that no program can ask for makes it drift, so that any change may."""


@dataclass(frozen=True)
class SearchInput:
    """The input of a search: the changes, their weights and constraints; see `search_causes`."""

    names: tuple[str, ...]
    weights: Mapping[str, float]
    natural: Names = frozenset()
    pins: tuple[str, ...] = ()
    pin_weights: Mapping[str, float] = field(default_factory=dict)
    apart: tuple[Names, ...] = ()
    kin: Mapping[Names, float] = field(default_factory=dict)
    extra_controls: int = 0
    reweigh: Reweigh | None = None
    crash_weights: CrashWeights | None = None
    placebo: tuple[str, ...] = ()


def prior_within(
    rest: Names, aims: SearchInput, book: TrialBook, found: Collection[Names]
) -> Prior:
    """How much each of `rest`, which drifts, is suspected, by what was seen so far.

    Args:
        found: the causes that are known, whose kin are suspected more.
    """
    weights = aims.weights
    worked = [
        (trial, seen)
        for trial, seen in book.seen.items()
        if frozenset(trial.changes) == rest and seen.reading is not Reading.FAILS
    ]
    if aims.reweigh is not None and worked:
        weights = aims.reweigh(*worked[0])
    known = frozenset[str]().union(*found)
    factors = dict.fromkeys(weights, 1.0)
    for pair, factor in aims.kin.items():
        for name in pair - known if pair & known else ():
            factors[name] = max(factors.get(name, 1.0), factor)
    weights = {name: weight * factors[name] for name, weight in weights.items()}
    return suspicion(rest, weights, aims.natural)
