"""What makes a drift end: settings and changes are tried on both sides, and confirmed by runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

from pytest_mlcontainer.errors import EngineError, MlContainerError, RunError
from pytest_mlcontainer.experiments.cure_judge import CureJudge, DifferenceFinder
from pytest_mlcontainer.experiments.driver import Experiment, RunsOnce, worked_or_failed
from pytest_mlcontainer.explain.cure_changes import changes_for
from pytest_mlcontainer.explain.cures import MOST_CHANGES, MOST_SETTINGS, CureFindings, search_cure
from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.explain.trials import Trial
from pytest_mlcontainer.model import (
    HOST,
    Cure,
    CureChange,
    CureKind,
    CurePrice,
    CureSetting,
    Knobs,
    Outcome,
    Recording,
    Run,
    RunJob,
    Situation,
    Variation,
    Verdict,
)
from pytest_mlcontainer.pipeline.preparing import look_around
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.variations.cure_settings import (
    numeric_families,
    settings_as_then,
    settings_for,
)

NAME: Final = "cure"
_BESIDE_LOTS: Final = frozenset({"hash-seed", "threads"})
_EACH: Final = 3  # runs of one trial, where repeats are what disagrees
_MOST: Final = 24  # of what leaks from machines
_PLATFORMS: Final = frozenset({"hash-seed", "timezone", "locale", "encoding", "cpus", "home"})
_READ: Final = "the program reads it"
_EMPTY: Final = "="  # ends the name of a measure that sets a variable to nothing


@dataclass(frozen=True)
class DriftToCure:
    """A drift that is to be cured.

    Args:
        expected, actual: the jobs of both sides; of repeats, and of a run that is held against a
            baseline, only one of them is run.
        comparison: by which they drift.
        causes: names of what makes them drift.
        locate: gives the outcome with where the runs part.
        kept: the run of the baseline that is drifted from.
    """

    tools: SearchTools
    expected: RunJob
    actual: RunJob
    comparison: DifferenceFinder
    causes: frozenset[str]
    locate: Callable[[Outcome], Outcome]
    kept: Run | None = None

    @property
    def platforms(self) -> tuple[str, ...]:
        sides = (self.expected, self.actual)
        return tuple(dict.fromkeys(str(each.target.platform) for each in sides))

    @cached_property
    def situations(self) -> tuple[Situation, Situation]:
        """Of both sides, with nothing varied."""
        there = look_around(self.tools, replace(self.expected, variations=()))
        if len(self.platforms) == 1:
            return there, there
        return there, look_around(self.tools, replace(self.actual, variations=()))


def try_to_cure(drifting: DriftToCure, outcome: Outcome) -> Outcome:
    """The outcome with what makes its sides agree; with why not, where a run cannot be made."""
    try:
        return Curing(drifting, outcome).cured()
    except MlContainerError as error:
        notes = (f"a run of the search for a cure could not be made: {error.what}",)
        return replace(outcome, cure=Cure(CureKind.NOTHING, notes=notes))


class CureMeasures:
    """What can be done to both sides, by the names that trials have."""

    def __init__(self, drifting: DriftToCure) -> None:
        self._drifting = drifting
        self._settings: dict[str, tuple[CureSetting | None, CureSetting | None]] = {}
        self._changes: dict[str, CureChange] = {}

    def settings(self, families: frozenset[str]) -> tuple[str, ...]:
        """Names of settings that may help against these."""
        here, there = (
            {each.name: each for each in settings_for(families, situation)}
            for situation in self._drifting.situations
        )
        found = {name: (here.get(name), there.get(name)) for name in (*here, *there)}
        if "env" in families:
            found |= {each.name: (each, each) for each in self._leaked()}
        self._settings |= found
        return tuple(found)

    def emptied(self) -> tuple[str, ...]:
        """Names of settings with which what leaks from machines is as good as not there.

        What the image sets so hides what a machine has: a switch stays off that `=1` turns on.
        """
        found = {f"{each.name}{_EMPTY}": replace(each, value="") for each in self._leaked()}
        self._settings |= {name: (each, each) for name, each in found.items()}
        return tuple(found)

    def as_then(self, kept: Run) -> tuple[str, ...]:
        """Names of settings with which the environment is as it was when a baseline was kept."""
        found = settings_as_then(kept.facts, self._drifting.situations[0])
        self._settings |= {each.name: (each, each) for each in found}
        return tuple(each.name for each in found)

    def changes(self, causes: frozenset[str], kind: str) -> tuple[str, ...]:
        """Names of changes that may help; none where Python is not ours to change."""
        if HOST in (self._drifting.expected.target.platform, self._drifting.actual.target.platform):
            return ()
        found = {each.name: each for each in changes_for(causes, kind)}
        self._changes |= found
        return tuple(found)

    def applied(self, job: RunJob, names: tuple[str, ...], side: int, repeat: int) -> RunJob:
        """The run of a side with these done to it."""
        if not names:
            return replace(job, repeat=job.repeat + repeat)
        pairs = (self._settings[name][side] for name in names if name in self._settings)
        env = tuple((each.name, each.value) for each in pairs if each is not None)
        changes = tuple(name for name in names if name in self._changes)
        recording = Recording(records=False, changes=changes) if changes else None
        done = Variation(NAME, "+".join(names), Knobs(env=env, recording=recording))
        return job.varied((*job.variations, done), job.repeat + repeat)

    def chosen(self, names: tuple[str, ...]) -> tuple[CureSetting, ...]:
        """The settings among them; of one that has two values, both."""
        found: list[CureSetting] = []
        for name in names:
            here, there = self._settings.get(name, (None, None))
            both = [each for each in (here, there) if each is not None]
            if len({each.value for each in both}) == 1 and len(both) == 2:
                found.append(both[0])
                continue
            platforms = self._drifting.platforms
            found += [
                replace(each, platforms=(platform,))
                for each, platform in zip((here, there), platforms, strict=False)
                if each is not None
            ]
        return tuple(found)

    def done_by_change(self, names: tuple[str, ...]) -> tuple[CureChange, ...]:
        """The changes among them."""
        return tuple(self._changes[name] for name in names if name in self._changes)

    def _leaked(self) -> tuple[CureSetting, ...]:
        """Variables that the drifting side has from a machine: any of them may be what matters."""
        return tuple(
            CureSetting(name, value, "env", _READ)
            for each in self._drifting.actual.variations
            if each.name == "env"
            for name, value in each.knobs.env[:_MOST]
        )


class Curing:
    """Looks for a cure: settings first, then changes of the program tried from outside."""

    def __init__(self, drifting: DriftToCure, outcome: Outcome) -> None:
        self._drifting = drifting
        self._outcome = outcome
        self._repeats = outcome.verdict is Verdict.NONDETERMINISTIC
        self._is_alone = self._repeats or drifting.kept is not None  # all runs are of one side
        self._measures = CureMeasures(drifting)
        self._judge = CureJudge(drifting.comparison, drifting.kept, _is_emptied)
        tools = drifting.tools
        blamed = (RunError, EngineError)
        self._experiment: Experiment[RunJob] = Experiment(
            self._tasks,
            RunsOnce(lambda job: worked_or_failed(partial(tools.run, job), *blamed)),
            tools.prefetch,
            self._judge,
        )

    def cured(self) -> Outcome:
        """The outcome with its cure.

        Raises:
            MlContainerError: a run cannot be made.
        """
        causes, kept = self._drifting.causes, self._drifting.kept
        if kept is not None:
            found = self._search([self._measures.as_then(kept)])
            return replace(self._outcome, cure=self._told(found, self._outcome))
        pools = [self._measures.emptied()] if "env" in causes else []
        pools.append(self._measures.settings(causes))
        if not causes or len(self._drifting.platforms) > 1:
            pools.append(self._measures.settings(causes | numeric_families() | _PLATFORMS))
        found = self._search(pools)
        if found.names is not None or found.why:
            return replace(self._outcome, cure=self._told(found, self._outcome))
        outcome = self._outcome
        if outcome.location is None:
            outcome = self._drifting.locate(outcome)
        kind = "" if outcome.location is None else outcome.location.kind
        changes = self._measures.changes(causes, kind)
        if changes:
            # What draws lots may hide what else disagrees, so that only both together help.
            beside = _BESIDE_LOTS if RANDOMNESS in causes else frozenset[str]()
            settings = self._measures.settings(causes | beside)
            more = self._search([changes, (*changes, *settings)], MOST_CHANGES)
            found = replace(more, vain=_together(found.vain, more.vain))
        return replace(outcome, cure=self._told(found, outcome))

    def _search(self, pools: list[tuple[str, ...]], most: int = MOST_SETTINGS) -> CureFindings:
        if not any(pools):
            return CureFindings()
        each = _EACH if self._repeats else 0
        return self._experiment.drive(lambda: search_cure(pools, most, runs_a_trial=each))

    def _tasks(self, trial: Trial) -> tuple[RunJob, ...]:
        expected, actual = self._drifting.expected, self._drifting.actual
        make = partial(self._measures.applied, names=trial.changes)
        if self._repeats:
            first = trial.repeat * _EACH
            return tuple(make(expected, side=0, repeat=first + each) for each in range(_EACH))
        if self._is_alone:
            return (make(actual, side=1, repeat=trial.repeat),)
        return (
            make(expected, side=0, repeat=trial.repeat),
            make(actual, side=1, repeat=trial.repeat),
        )

    def _told(self, found: CureFindings, outcome: Outcome) -> Cure:
        location = outcome.location
        place = location.origins[0] if location is not None and location.origins else None
        broken = [(" + ".join(names), why) for names, why in found.broken]
        broken += [(" + ".join(names), why) for names, why in self._judge.hollow.items()]
        cure = Cure(
            CureKind.NOTHING,
            place=place,
            needless=found.needless,
            vain=tuple(name for name in found.vain if name not in dict(broken)),
            broken=tuple(dict.fromkeys(broken)),
            runs=self._experiment.made,
            notes=(found.why,) if found.why else (),
        )
        if found.names is None:
            advice = _advice(outcome)
            return replace(cure, kind=CureKind.ADVICE if advice else cure.kind, advice=advice)
        changes = self._measures.done_by_change(found.names)
        return replace(
            cure,
            kind=CureKind.CHANGE if changes else CureKind.SETTINGS,
            settings=self._measures.chosen(found.names),
            changes=changes,
            agreeing=found.rounds * (_EACH if self._repeats else 1),
            sides=1 if self._is_alone else 2,
            together=self._is_together(found.names),
            is_smallest=found.is_smallest,
            prices=self._prices(found.names),
            notes=self._remarks(found.names),
        )

    def _remarks(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Whether the reference's own results are others with it; of repeats all are."""
        if self._is_alone:
            return ()
        cured, plain = self._runs(names), self._runs(())
        if not (cured and plain and self._judge.is_other(cured[0][0], plain[0][0])):
            return ()
        side = self._drifting.platforms[0]
        return (f"with it the results are others than those of {side} without it",)

    def _is_together(self, names: tuple[str, ...]) -> bool:
        """Whether the settings leave nothing of what makes the two sides differ."""
        if self._is_alone or len(self._drifting.platforms) > 1:
            return False
        knobs = self._drifting.actual.knobs
        done = {name.removesuffix(_EMPTY) for name in names}
        left = tuple(pair for pair in knobs.env if pair[0] not in done)
        return replace(knobs, env=left) == Knobs()

    def _prices(self, names: tuple[str, ...]) -> tuple[CurePrice, ...]:
        """Of the reference, and of the other side where that is another platform."""
        return tuple(
            CurePrice(
                side, _times(self._runs(names), at, whole=self._is_alone),
                _times(self._runs(()), at, whole=self._is_alone),
            )
            for at, side in enumerate(self._drifting.platforms)
        )  # fmt: skip

    def _runs(self, names: tuple[str, ...]) -> list[tuple[Run, ...]]:
        trials = [each.trial for each in self._experiment.results if each.trial.changes == names]
        return [self._experiment.runs_of(trial) for trial in dict.fromkeys(trials)]


def _is_emptied(name: str) -> bool:
    return name.endswith(_EMPTY)


def _times(trials: list[tuple[Run, ...]], side: int, *, whole: bool) -> tuple[float, ...]:
    """Wall clocks of one side's runs, or of all."""
    return tuple(
        run.duration_s for runs in trials for run in (runs if whole else runs[side : side + 1])
    )


def _advice(outcome: Outcome) -> str:
    """What usually helps where the difference comes in, or against what makes it large."""
    if outcome.location is not None and outcome.location.mend:
        return outcome.location.mend
    found = () if outcome.explanation is None else outcome.explanation.findings
    return next((each.advice for each in found if each.kind == "amplifier" and each.advice), "")


def _together(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))
