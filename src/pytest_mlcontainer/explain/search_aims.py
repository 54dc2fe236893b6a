"""What a search for causes is asked for, and what ends it early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pytest_mlcontainer.explain.search_book import Names
from pytest_mlcontainer.explain.search_crashes import CrashWeights
from pytest_mlcontainer.explain.trials import Observation, Trial

Reweigh = Callable[[Trial, Observation], Mapping[str, float]]


class ControlsDisagreeError(Exception):
    """The same run with nothing changed gave different results."""


class PlaceboDriftsError(Exception):
    """A change that no program can ask for makes it drift, so that any change may."""


@dataclass(frozen=True)
class Aims:
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
