"""Runs held against what the project keeps of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.judging.baselines import (
    BaselineRecord,
    find_kept,
    hold_against,
    remove_stale,
    stale,
    update,
)
from pytest_mlcontainer.matrix import platforms
from pytest_mlcontainer.model import (
    BaselineChange,
    BaselineJob,
    Comparator,
    Difference,
    Options,
    Outcome,
    Run,
    Settings,
)
from pytest_mlcontainer.pipeline.keeping import conditions_of
from pytest_mlcontainer.pipeline.openings import Openings
from pytest_mlcontainer.pipeline.runs import Runs, require


@dataclass(frozen=True)
class BaselineComparison:
    """Holds runs of one entrypoint against the record that is kept of it."""

    settings: Settings
    job: BaselineJob
    kept: BaselineRecord
    openings: Openings
    comparators: tuple[Comparator, ...] = ()

    def compare(self, run: Run) -> Outcome:
        """In full."""
        entry, expected = self.job.actual.entrypoint, self.kept.record.run
        run, expected = self.openings.open_differing(self.settings, run, expected, entry.rules)
        kept = replace(self.kept, record=replace(self.kept.record, run=expected))
        return hold_against(run, kept, entry, self.comparators)

    def failing(self, actual: Run, _expected: Run) -> tuple[Difference, ...]:
        """The differences from what is kept that do not pass."""
        return tuple(each for each in self.compare(actual).differences if not each.verdict.passes)


class Baselines:
    """Reads and writes the baseline that `options` name."""

    def __init__(self, options: Options, runs: Runs, openings: Openings) -> None:
        self._options = options
        self._runs = runs
        self._openings = openings

    def compare(
        self, settings: Settings, job: BaselineJob, comparators: tuple[Comparator, ...] = ()
    ) -> tuple[Outcome, BaselineComparison] | None:
        """One entrypoint's outputs on one target, against what is kept; None if nothing is."""
        run = require(self._runs.make(settings, job.actual))
        conditions = conditions_of(settings, job.actual)
        kept = find_kept(self._folder, run, conditions, settings.reference)
        if kept is None:
            return None
        comparison = BaselineComparison(settings, job, kept, self._openings, comparators)
        return comparison.compare(run), comparison

    def update(
        self, settings: Settings, job: BaselineJob, comparators: tuple[Comparator, ...] = ()
    ) -> tuple[BaselineChange, ...]:
        """Write what is kept of one run anew, unless it agrees; drop what nothing declares."""
        run = self._runs.make_opened(settings, job.actual)
        conditions = conditions_of(settings, job.actual)
        limit = settings.baseline_limit_bytes
        entry = job.actual.entrypoint
        change = update(run, conditions, entry, self._folder, limit, comparators)
        return (change, *remove_stale(self._folder, settings))

    def stale(self, settings: Settings) -> tuple[str, ...]:
        """What is kept for entrypoints, platforms and outputs that there are no more."""
        return stale(self._folder, settings, platforms(settings, self._options))

    @property
    def _folder(self) -> Path:
        assert self._options.baseline is not None
        return self._options.baseline
