"""The interface of a search: it yields trials, is sent observations, and returns findings."""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass

from pytest_mlcontainer.model import Cause


class Reading(enum.Enum):
    """How a trial compares with the control: its result agrees, drifts, or is missing."""

    AGREES = "agrees"
    DRIFTS = "drifts"
    FAILS = "fails"


@dataclass(frozen=True)
class Trial:
    """One run that a search wants.

    Args:
        changes: names of what is changed, sorted; none for a control.
        repeat: the same again under another number is another run.
    """

    changes: tuple[str, ...] = ()
    repeat: int = 0


@dataclass(frozen=True)
class Observation:
    """What came of a trial.

    Args:
        reading: against the first control; of the first control itself `AGREES`, or `FAILS`.
        group: which earlier trials had the same result within tolerance: trials with an equal
            number agree with each other. -1 for a trial that failed.
        failure: what it failed with, in one line; "" otherwise.
    """

    reading: Reading
    group: int = 0
    failure: str = ""


Plan = tuple[Trial, ...]
Observations = dict[Trial, Observation]


@dataclass(frozen=True)
class Crash:
    """A smallest set of changes under which the run fails.

    Args:
        failure: what it failed with, in one line.
        confirmed: how many times it failed under just these.
    """

    names: tuple[str, ...]
    failure: str
    confirmed: int


class SearchOutcome(enum.Enum):
    """What a search ended with."""

    CLEAN = "clean"
    DRIFT = "drift"
    NONDETERMINISTIC = "nondeterministic"
    FAILED = "failed"


@dataclass(frozen=True)
class Findings:
    """What a search knows at its end.

    Args:
        causes: smallest sets that make the drift come, each confirmed; of a nondeterministic
            program the smallest set that, pinned, makes repeats agree, or `randomness`.
        crashes: changes under which it fails.
        flaky: runs that failed although the same had worked, of all runs; `chance_failures` has
            what they failed with.
        runs: trials asked for.
        open: what is not known, in sentences, because the budget of runs ended or because
            observations contradict each other.
        suspects: where causes are not known: what they are among.
    """

    kind: SearchOutcome
    causes: tuple[Cause, ...] = ()
    crashes: tuple[Crash, ...] = ()
    flaky: int = 0
    chance_failures: tuple[str, ...] = ()
    runs: int = 0
    open: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()


# Yields what is to be run next, is sent what came of it, and returns what it knows.
Search = Generator[Plan, Observations, Findings]
