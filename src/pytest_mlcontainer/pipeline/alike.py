"""Settings that two platforms can be given alike, and how a run is made under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_mlcontainer.explain.trials import Trial
from pytest_mlcontainer.facts import suspicion
from pytest_mlcontainer.model import (
    HOST,
    Family,
    NotExercised,
    Pairs,
    RunJob,
    Situation,
    Variation,
)
from pytest_mlcontainer.variations import choose, within_reach

# What can be made alike besides arithmetic and what differs between any two runs.
_ALIKE = ("cpus", "timezone", "locale", "encoding", "home", "memory", "shm")
LEAST_SUSPICION = 0.15


@dataclass(frozen=True)
class AlikeSettings:
    """Settings that can be made alike, by name, for each side that is not so by itself."""

    actual: Mapping[str, Variation]
    expected: Mapping[str, Variation]
    not_exercised: Pairs

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.expected, *self.actual)))


def plan_alike(families: tuple[Family, ...], here: Situation, there: Situation) -> AlikeSettings:
    """What can be made alike of these families.

    Args:
        here, there: the platform in question, and the reference.
    """
    weights = suspicion(there.facts, here.facts)
    actual: dict[str, Variation] = {}
    expected: dict[str, Variation] = {}
    others: list[tuple[str, str]] = []
    for family in families:
        if not _can_be_alike(family, weights.get(family.name, 0.0)):
            continue
        mine, theirs = _setting(family, here), _setting(family, there)
        found = [each for each in (mine, theirs) if isinstance(each, Variation)]
        if not found:
            others.append((family.name, theirs.why if isinstance(theirs, NotExercised) else ""))
        if not family.numeric and len(found) == 2:
            # One and the same setting: what each would choose for itself may be another.
            mine = theirs
        if isinstance(mine, Variation) and not _impossible(mine, here):
            actual[family.name] = mine
        if isinstance(theirs, Variation) and not _impossible(theirs, there):
            expected[family.name] = theirs
    return AlikeSettings(actual, expected, tuple(others))


def varied(job: RunJob, known: Mapping[str, Variation], trial: Trial) -> RunJob:
    """The run of one side for a trial, with those of its settings made alike that it has."""
    chosen = tuple(known[name] for name in trial.changes if name in known)
    return job.varied(chosen, trial.repeat) if chosen else replace(job, repeat=trial.repeat)


def _can_be_alike(family: Family, suspected: float) -> bool:
    """Whether making it alike may help: what two runs never share, and what facts speak of."""
    if family.numeric or family.pin is not None:
        return True
    return family.name in _ALIKE and suspected >= LEAST_SUSPICION


def _setting(family: Family, situation: Situation) -> Variation | NotExercised:
    if family.pin is not None:
        return within_reach(family.pin(situation), situation)
    (chosen, others) = choose((family,), situation)
    return chosen[0] if chosen else NotExercised(dict(others).get(family.name, ""))


def _impossible(variation: Variation, situation: Situation) -> bool:
    return situation.platform == HOST and variation.knobs.needs_container
