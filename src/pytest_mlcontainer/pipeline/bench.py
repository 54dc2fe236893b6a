"""Trials on a bench: each is run, held against the control, and told to the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from pytest_mlcontainer.compare import unopened
from pytest_mlcontainer.errors import EngineError, MlContainerError, RunError
from pytest_mlcontainer.experiments.last_words import failure_line
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observation,
    Observations,
    Plan,
    Reading,
    Search,
    Trial,
)
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.apart import Exclusions, is_all_apart, joined, set_apart
from pytest_mlcontainer.judging.evidence import for_repeats
from pytest_mlcontainer.model import (
    Comparator,
    Difference,
    Failure,
    Outcome,
    Output,
    Pairs,
    Rule,
    Run,
    RunJob,
    Variation,
)
from pytest_mlcontainer.pipeline.laboratory import Laboratory

_MOST_RESULTS = 6
_MORE_CONTROLS = 3
_FIRST_SPARE_REPEAT = 1000  # numbers that no search asks for
_FIRST_CLOCK_REPEAT = 2000
_MOST_BEGINNINGS = 12


class _BeginAgainError(Exception):
    """More is set apart than when the search began: what it was told may be another now."""


class Bench:
    """One entrypoint on one target, to be run under changes.

    Args:
        job: the run with nothing changed.
    """

    def __init__(
        self, lab: Laboratory, job: RunJob, comparators: tuple[Comparator, ...] = ()
    ) -> None:
        self._lab = lab
        self._job = job
        self._comparators = comparators
        self._own_rules = tuple(for_repeats(rule) for rule in job.entrypoint.rules)
        self._groups: list[Run] = []
        self._runs: dict[Trial, Run] = {}
        self._readings: dict[Trial, Reading] = {}
        self._failure: Failure | None = None
        self._made: dict[RunJob, Run | Failure] = {}
        self._spare: list[Run] | None = None
        self._unlike: tuple[Run, Run] | None = None
        self._beginnings = 0
        self.apart = Exclusions()

    @property
    def spent(self) -> int:
        """How many runs were made."""
        return len(self._made)

    def drive(self, begin: Callable[[], Search], changes: Mapping[str, Variation]) -> Findings:
        """Run what a search asks for until it ends.

        Where runs with nothing changed differ in what a clock or an id makes, that is set apart,
        and the search begins again; no run is made twice.

        Args:
            begin: gives the search, from its beginning.
            changes: the variations behind the names that trials have.
        """
        self._beginnings = 0
        while True:
            self._beginnings += 1
            with suppress(_BeginAgainError):
                return drive(begin(), lambda plan: self._observe_all(plan, changes))
            self._forget()

    def _forget(self) -> None:
        """What trials were read as; not their runs."""
        self._groups, self._runs, self._readings = [], {}, {}

    def set_apart_more(self) -> bool:
        """Set apart also what may be ids and may be something else; whether there is any."""
        controls = [run for trial, run in self._runs.items() if not trial.changes]
        found = Exclusions()
        for run in controls:
            differences = self._differing(run, self._groups[0])
            found = joined(found, set_apart(differences, self._rules, last_resort=True))
            if found and self._unlike is None:
                self._unlike = (run, self._groups[0])
        if found:
            self.apart = joined(self.apart, found)
            self._forget()
        return bool(found)

    def apart_outcome(self) -> Outcome | None:
        """Two runs with nothing changed that a clock or an id makes differ, by the project's own
        rules; None where there are none."""
        if self._unlike is None:
            return None
        actual, expected = self._lab.open(*self._unlike, self._own_rules)
        entry = self._job.entrypoint
        return compare_runs(
            actual, expected, self._own_rules, self._comparators, entry.names, entry.outputs
        )

    @property
    def _rules(self) -> tuple[Rule, ...]:
        return self.apart.amended(self._own_rules)

    @property
    def _names(self) -> Pairs:
        return (*self._job.entrypoint.names, *self.apart.names)

    def run_of(self, trial: Trial) -> Run:
        """The run of a trial that did not fail; of a control, the one that others are held to."""
        return self._runs[trial] if trial.changes else self._groups[0]

    def differences(self, trial: Trial) -> tuple[Difference, ...]:
        """How a trial's outputs differ from the control's; none where either failed.

        Pickles that nobody has opened yet are not among them: all that is known is their bytes.
        """
        if not self._groups or trial not in self._runs:
            return ()
        actual, expected = self._runs[trial], self._groups[0]
        closed = unopened(actual.written, expected.written, self._rules, self._names)
        rest = _without(actual, closed[0]), _without(expected, closed[1])
        return self._compare(*rest).differences

    def drifting(self, names: tuple[str, ...]) -> Trial | None:
        """A trial that drifts: with just these changes, else with as few as there are."""
        found = [trial for trial, reading in self._readings.items() if reading is Reading.DRIFTS]
        return min(
            found,
            key=lambda trial: (trial.changes != names, len(trial.changes), trial.repeat),
            default=None,
        )

    def agreeing(self) -> Trial:
        """The trial with the most changes that agrees; the control where none does."""
        found = [trial for trial, reading in self._readings.items() if reading is Reading.AGREES]
        return max(found, key=lambda trial: len(trial.changes), default=Trial())

    def outcome(self, trial: Trial) -> Outcome:
        """The trial held against the control, in full."""
        opened = self._lab.open(self._runs[trial], self._groups[0], self._rules)
        outcome = self._compare(*opened)
        return replace(outcome, notes=self.apart.notes(outcome.notes))

    def failure(self) -> MlContainerError:
        """Why the control fails."""
        known = self._failure or Failure("the run failed", "", "")
        return RunError(known.what, known.value, known.remedy)

    def _observe_all(self, plan: Plan, changes: Mapping[str, Variation]) -> Observations:
        jobs = {trial: self._varied(trial, changes) for trial in plan}
        self._lab.prefetch(tuple(jobs.values()))
        seen: Observations = {}
        # The control first: what else there is gets held against it.
        for trial, job in sorted(jobs.items(), key=lambda pair: len(pair[0].changes)):
            if trial.changes and not self._groups:
                self._find_control()
            seen[trial] = self._observe(trial, job)
            self._readings[trial] = seen[trial].reading
        return seen

    def _varied(self, trial: Trial, changes: Mapping[str, Variation]) -> RunJob:
        if not trial.changes:
            return replace(self._job, repeat=trial.repeat)
        return self._job.varied(tuple(changes[name] for name in trial.changes), trial.repeat)

    def _find_control(self) -> None:
        """A control that works, where the first ones have failed, so that trials can be read."""
        for number in range(_MORE_CONTROLS):
            run = self._run(replace(self._job, repeat=_FIRST_SPARE_REPEAT + number))
            if isinstance(run, Run):
                self._groups.append(run)
                return

    def _observe(self, trial: Trial, job: RunJob) -> Observation:
        run = self._run(job)
        if isinstance(run, Failure):
            if not trial.changes:
                self._failure = run
            return Observation(Reading.FAILS, -1, failure_line(run))
        self._runs[trial] = run
        group = self._group(run)
        if group and self._is_by_clock(trial, run):
            raise _BeginAgainError
        return Observation(Reading.AGREES if group == 0 else Reading.DRIFTS, group)

    def _is_by_clock(self, trial: Trial, run: Run) -> bool:
        """Whether more is set apart now, as runs with nothing changed differ in it.

        Where a trial with changes differs in nothing but what looks like it, and the controls
        agreed, some more of these are made: a clock that is shown in seconds is often the same.
        """
        control = self._groups[0]
        if self._beginnings >= _MOST_BEGINNINGS:
            return False
        if not trial.changes:
            return self._note_apart(run, control)
        if self._spare is None and is_all_apart(self._differing(run, control)):
            jobs = (
                replace(self._job, repeat=_FIRST_CLOCK_REPEAT + number)
                for number in range(_MORE_CONTROLS)
            )
            spare = [made for job in jobs if isinstance(made := self._run(job), Run)]
            self._spare = spare
            noted = [self._note_apart(each, control) for each in spare]
            return any(noted)
        return False

    def _note_apart(self, run: Run, control: Run) -> bool:
        found = set_apart(self._differing(run, control), self._rules)
        if not found:
            return False
        self._unlike = self._unlike or (run, control)
        self.apart = joined(self.apart, found)
        return True

    def _run(self, job: RunJob) -> Run | Failure:
        if job not in self._made:
            self._made[job] = self._run_anew(job)
        return self._made[job]

    def _run_anew(self, job: RunJob) -> Run | Failure:
        """A run that cannot even be started is one that failed: that is the changes' doing."""
        try:
            run = self._lab.run(job)
        except (RunError, EngineError) as error:
            if not job.variations:
                raise
            return Failure(error.what, error.value, error.remedy)
        return run if run.failure is None else run.failure

    def _group(self, run: Run) -> int:
        """Which of the results so far the run's is; of a program that always gives another one,
        only the first few are looked at, for all others would be compared with all; and those of
        runs under the same changes, which may well repeat each other."""
        for number, other in enumerate(self._groups):
            alike = other.target.variations == run.target.variations
            if (number < _MOST_RESULTS or alike) and self._agree(run, other):
                return number
        self._groups.append(run)
        return len(self._groups) - 1

    def _agree(self, actual: Run, expected: Run) -> bool:
        return not self._differing(actual, expected)

    def _differing(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        """In what two runs do not agree. Pickles take a container to open: only if all else does,
        and else nothing is said of them."""
        closed = unopened(actual.written, expected.written, self._rules, self._names)
        if any(closed):
            rest = _without(actual, closed[0]), _without(expected, closed[1])
            if (rest[0].written or rest[1].written) and (found := self._failing(*rest)):
                return found
            actual, expected = self._lab.open(actual, expected, self._rules)
        return self._failing(actual, expected)

    def _failing(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        compared = self._compare(actual, expected)
        if compared.verdict.passes:
            return ()
        return tuple(each for each in compared.differences if not each.verdict.passes)

    def _compare(self, actual: Run, expected: Run) -> Outcome:
        entry = self._job.entrypoint
        return compare_runs(
            actual, expected, self._rules, self._comparators, self._names, entry.outputs
        )


def drive(search: Search, observe: Callable[[Plan], Observations]) -> Findings:
    """Make the trials that a search asks for until it ends."""
    try:
        plan = next(search)
        while True:
            plan = search.send(observe(plan))
    except StopIteration as end:
        findings: Findings = end.value
        return findings


def _without(run: Run, names: frozenset[str]) -> Run:
    outputs: tuple[Output, ...] = tuple(each for each in run.outputs if each.name not in names)
    return replace(run, outputs=outputs)
