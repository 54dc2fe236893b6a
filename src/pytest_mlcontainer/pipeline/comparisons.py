"""Runs held against one another."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.judging import Needed, compare_runs, needed_by
from pytest_mlcontainer.judging.evidence import judge, judge_repeats, settle
from pytest_mlcontainer.matrix import platforms, varied_names
from pytest_mlcontainer.model import (
    Comparator,
    CompareJob,
    Entrypoint,
    Options,
    Outcome,
    RepeatsJob,
    Run,
    RunJob,
    Settings,
    Verdict,
)
from pytest_mlcontainer.pipeline.evidence import gather, gather_repeats
from pytest_mlcontainer.pipeline.openings import Openings
from pytest_mlcontainer.pipeline.runs import Runs, require


class Comparisons:
    """Has the runs made that a comparison asks for, and judges them."""

    def __init__(self, options: Options, runs: Runs, openings: Openings) -> None:
        self._options = options
        self._runs = runs
        self._openings = openings

    def compare(
        self, settings: Settings, job: CompareJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's outputs on one target, against the reference's.

        A drift that may be randomness is settled by one more run of the reference. Where the cause
        is searched for, that search makes such runs itself.

        Args:
            comparators: formats that plugins add.
        """
        outcome = self._compare(settings, job, comparators)
        searched = varied_names(job.actual.entrypoint, self._options) != ()
        if job.repeats or searched:
            return outcome
        entry = job.actual.entrypoint
        return self.settle(settings, job.expected, entry, outcome, comparators, job.actual)

    def settle(
        self,
        settings: Settings,
        expected: RunJob,
        entry: Entrypoint,
        outcome: Outcome,
        comparators: tuple[Comparator, ...] = (),
        actual: RunJob | None = None,
    ) -> Outcome:
        """The outcome; of a drift with whether the reference disagrees with itself, too.

        Args:
            expected: the run that the reference was.
            entry: with the rules by which they were compared.
            actual: the run that was held against it, to be judged without clocks and ids.
        """
        if outcome.verdict is not Verdict.DRIFT:
            return outcome
        make = partial(self._runs.make_opened, settings)
        try:
            first, second = (require(make(job)) for job in (expected, again_of(expected)))
            held = None if actual is None else require(make(actual))
        except MlContainerError as error:
            note = (
                f"{expected} could not be run once more to tell this from randomness: {error.what}"
            )
            return replace(outcome, notes=(note, *outcome.notes))
        return settle(entry, outcome, (first, second), comparators, held)

    def settling_runs(self, settings: Settings, job: RunJob) -> tuple[Run, ...]:
        """The run that was made to settle a drift from this one; none where none was made."""
        run = self._runs.known(settings, again_of(job))
        return () if run is None else (run,)

    def repeats(
        self, settings: Settings, job: RepeatsJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's repeats on one target, against one another; arguments as `compare`."""
        self._runs.prefetch(settings, (*job.runs, *job.varied))
        evidence = gather_repeats(job, partial(self._runs.make_opened, settings))
        needed = self._needed(settings, job.entrypoint, 1)
        return judge_repeats(job.entrypoint, evidence, comparators, needed)

    def _compare(
        self, settings: Settings, job: CompareJob, comparators: tuple[Comparator, ...]
    ) -> Outcome:
        entry = job.actual.entrypoint
        needed = self._needed(settings, entry, 2)
        self._runs.prefetch(settings, job.runs)
        if len(job.runs) > 2:
            evidence = gather(job, partial(self._runs.make_opened, settings))
            return judge(entry, evidence, comparators, needed)
        actual, expected = (
            require(self._runs.make(settings, side)) for side in (job.actual, job.expected)
        )
        actual, expected = self._openings.open_differing(settings, actual, expected, entry.rules)
        return compare_runs(
            actual, expected, entry.rules, comparators, entry.names, entry.outputs, needed
        )

    def _needed(self, settings: Settings, entry: Entrypoint, compared: int) -> Needed:
        """What has to match something where so many of the project's platforms are compared."""
        there = {*settings.platforms, *platforms(settings, self._options)}
        alone = len(there) <= compared
        return needed_by(settings, entry.names, entry.rules, alone=alone)


def again_of(job: RunJob) -> RunJob:
    """The same once more, under the number that repeats would have."""
    return replace(job, repeat=job.repeat + 1)
