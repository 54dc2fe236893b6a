"""Trials of variations: one entrypoint on one target, run with its environment changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_mlcontainer.errors import EngineError, MlContainerError, RunError
from pytest_mlcontainer.experiments.comparison import RunComparison, as_repeats
from pytest_mlcontainer.experiments.driver import Experiment, RunsOnce, worked_or_failed
from pytest_mlcontainer.experiments.judges import ClockJudge, ControlJudge
from pytest_mlcontainer.explain.trials import Reading, Trial
from pytest_mlcontainer.judging.apart import Exclusions
from pytest_mlcontainer.model import (
    Cause,
    Comparator,
    Difference,
    Failure,
    MovedItem,
    Outcome,
    Run,
    RunJob,
    Variation,
)
from pytest_mlcontainer.pipeline.locating import DriftingRuns
from pytest_mlcontainer.pipeline.search_tools import SearchTools

_MOVES_SHOWN = 3
_ITS_NAME = "the actual run", "the varied run"  # what comparing calls it, and what it is here


class VariationTrials:
    """One entrypoint on one target, to be run under variations.

    Args:
        job: the run with nothing varied.
        changes: the variations behind the names that trials have.
    """

    def __init__(
        self,
        tools: SearchTools,
        job: RunJob,
        changes: Mapping[str, Variation],
        comparators: tuple[Comparator, ...] = (),
    ) -> None:
        self._tools = tools
        self._job = job
        self._changes = changes
        self._runs = RunsOnce(self._make)
        comparison = RunComparison(tools.open, as_repeats(job.entrypoint), comparators)
        self._judge = ControlJudge(
            comparison, lambda number: self._runs(replace(job, repeat=number))
        )
        self._clocks = ClockJudge(self._judge)
        self.experiment: Experiment[RunJob] = Experiment(
            lambda trial: (self._varied(trial),),
            self._runs,
            tools.prefetch,
            self._clocks,
            advance=tools.advance,
        )

    @property
    def spent(self) -> int:
        """How many runs were made."""
        return len(self._runs)

    @property
    def apart(self) -> Exclusions:
        """What a clock or an id makes, which is judged apart from all else."""
        return self._clocks.apart

    def set_apart_more(self) -> bool:
        """Set apart also what may be ids and may be something else; whether there is any.

        If there is, trials have to be asked for again.
        """
        controls = [each.trial for each in self.experiment.results if not each.trial.changes]
        runs = [run for trial in controls for run in self.experiment.runs_of(trial)]
        more = self._clocks.set_apart_more(runs)
        if more:
            self.experiment.forget()
        return more

    def apart_outcome(self) -> Outcome | None:
        """Two runs with nothing varied that a clock or an id makes differ, if there are such."""
        return self._clocks.apart_outcome()

    def differences(self, trial: Trial) -> tuple[Difference, ...]:
        """How a trial's outputs differ from the control's; none where either failed.

        Pickles that nobody has opened yet are not among them: all that is known is their bytes.
        """
        runs = self.experiment.runs_of(trial)
        return self._judge.differences(runs[0]) if runs else ()

    def with_effect(self, cause: Cause) -> Cause:
        """The cause with what it alone moves, where a trial of just these changes drifted.

        As of `differences`: a pickle takes a container to open, and is not opened for this.
        """
        trial = self.experiment.drifting(cause.names)
        if trial is None or trial.changes != cause.names:
            return cause
        failing = [each for each in self.differences(trial) if not each.verdict.passes]
        moves = tuple(
            MovedItem(each.where, each.max_abs, each.max_rel, each.note.replace(*_ITS_NAME))
            for each in failing[:_MOVES_SHOWN]
        )
        return replace(cause, moves=moves, moves_more=len(failing) - len(moves))

    def outcome(self, trial: Trial) -> Outcome:
        """The trial held against the control, in full.

        Of a control that failed, while another worked, that one held against itself.
        """
        runs = self.experiment.runs_of(trial) or (self.run_of(Trial()),)
        return self._judge.comparison.compare(runs[0], self.run_of(Trial()))

    def sides(self, names: tuple[str, ...]) -> DriftingRuns | None:
        """The jobs of the control and of a run that drifts from it; None where there is none.

        Args:
            names: of the changes that make it drift; none for a repeat.
        """
        trial = self.experiment.drifting(names)
        if trial is None:
            return None
        return DriftingRuns(self._tools, self._job, self._varied(trial), self._judge.comparison)

    def run_of(self, trial: Trial) -> Run:
        """The run of a trial that did not fail; of a control, the one that others are held to."""
        control = self._judge.control
        assert control is not None
        return self.experiment.runs_of(trial)[0] if trial.changes else control

    def control_failure(self) -> MlContainerError:
        """Why the run with nothing varied fails."""
        failures = [
            failure
            for each in self.experiment.results
            if not each.trial.changes and each.seen.reading is Reading.FAILS
            for task in each.tasks
            if isinstance(failure := self._runs(task), Failure)
        ]
        last = failures[-1] if failures else Failure("the run failed", "", "")
        return RunError(last.what, last.value, last.remedy)

    def _varied(self, trial: Trial) -> RunJob:
        if not trial.changes:
            return replace(self._job, repeat=trial.repeat)
        chosen = tuple(self._changes[name] for name in trial.changes)
        return self._job.varied(chosen, trial.repeat)

    def _make(self, job: RunJob) -> Run | Failure:
        """A run that cannot even be started is one that failed: that is the changes' doing."""
        blamed = (RunError, EngineError) if job.variations else ()
        return worked_or_failed(lambda: self._tools.run(job), *blamed)
