"""The driver of experiments: trials of whatever kind, made once and told to the search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_mlcontainer.errors import BuildError, RunError
from pytest_mlcontainer.experiments.driver import (
    BeginAgainError,
    Experiment,
    RunsOnce,
    worked_or_failed,
)
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observation,
    Observations,
    Reading,
    Search,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.model import Failure, Platform, Run, Target

CONTROL, A, B, AB = Trial(), Trial(("a",)), Trial(("b",)), Trial(("a", "b"))
HARMLESS = Trial(("c",))
BROKEN = Failure("exited with code 1", "no b alone", "")


def run_called(name: str) -> Run:
    place = Path(name)
    return Run(name, "train", Target(Platform("linux", "amd64")), 0, 0.1, place, place, place)


@dataclass
class NamesJudge:
    """Reads a run by its name; begins again when that is asked for."""

    again: int = 0
    order: list[str] = field(default_factory=list)
    forgotten: int = 0

    def before_changes(self) -> None:
        self.order.append("before")

    def read(self, trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        self.order.append("+".join(run.id for run in runs))
        if trial.changes and self.forgotten < self.again:
            raise BeginAgainError
        return Observation(Reading.DRIFTS if "a" in trial.changes else Reading.AGREES)

    def forget(self) -> None:
        self.forgotten += 1


@dataclass
class Program:
    """Runs that are called as their changes are; one with `b` alone fails."""

    judge: NamesJudge
    sides: int = 1
    made: list[str] = field(default_factory=list)
    fetched: list[tuple[str, ...]] = field(default_factory=list)
    told: Observations = field(default_factory=dict)
    heard: list[tuple[int, str]] = field(default_factory=list)

    def make(self, task: str) -> Run | Failure:
        self.made.append(task)
        return BROKEN if task == "b" else run_called(task)

    def tasks(self, trial: Trial) -> tuple[str, ...]:
        name = "".join(trial.changes) or "-"
        return (name, "other side")[: self.sides]

    def experiment(self, instead: str = "") -> Experiment[str]:
        return Experiment(
            self.tasks,
            RunsOnce(self.make),
            self.fetched.append,
            self.judge,
            lambda task, _failure: instead or task,
            lambda done, text: self.heard.append((done, text)),
        )

    def search(self, *plans: tuple[Trial, ...]) -> Search:
        for plan in plans:
            self.told.update((yield plan))
        return Findings(SearchOutcome.CLEAN, runs=sum(map(len, plans)))


def test_all_runs_of_a_plan_are_started_at_once_and_the_control_is_read_first() -> None:
    """What others are held against comes first, and all others while the first is waited for."""
    program = Program(NamesJudge())

    findings = program.experiment().drive(lambda: program.search((AB, CONTROL, A)))

    assert findings.runs == 3
    assert program.fetched == [("ab", "-", "a")]
    assert program.judge.order == ["-", "before", "a", "before", "ab"]
    assert program.told[A].reading is Reading.DRIFTS


def test_whoever_waits_hears_how_many_runs_were_made_and_what_is_known() -> None:
    """First what does nothing is excluded; then what is left is named."""
    program = Program(NamesJudge())

    program.experiment().drive(lambda: program.search((CONTROL,), (HARMLESS, AB), (A,)))

    assert program.heard == [(1, ""), (2, "not c"), (3, "among a, b"), (4, "among a")]


def test_a_run_is_made_once_and_read_again_where_the_search_begins_again() -> None:
    """What is set apart meanwhile changes how runs are read, and not the runs."""
    program = Program(NamesJudge(again=2))
    experiment = program.experiment()

    experiment.drive(lambda: program.search((CONTROL, A)))

    assert program.made == ["-", "a"]
    assert program.judge.forgotten == 2
    assert [each.trial for each in experiment.results] == [CONTROL, A]


def test_a_trial_of_which_a_run_failed_is_read_by_no_judge() -> None:
    """The search is told what it failed with; nothing can be shown of it."""
    program = Program(NamesJudge())
    experiment = program.experiment()

    experiment.drive(lambda: program.search((CONTROL, B)))

    assert program.told[B] == Observation(Reading.FAILS, -1, "exited with code 1: no b alone")
    assert "b" not in program.judge.order
    assert experiment.runs_of(B) == ()
    assert [run.id for run in experiment.runs_of(CONTROL)] == ["-"]


def test_another_run_can_be_taken_for_one_that_failed() -> None:
    """A package that fails alone is tried with what belongs to it; the result says what was run."""
    program = Program(NamesJudge())
    experiment = program.experiment(instead="b and c")

    assert experiment.observe(B).reading is Reading.AGREES

    assert [each.tasks for each in experiment.results] == [("b and c",)]
    assert [run.id for run in experiment.runs_of(B)] == ["b and c"]


def test_a_trial_may_take_two_runs_of_which_one_is_shared() -> None:
    """Of two platforms the one that a change does not touch runs once, and is asked for again."""
    program = Program(NamesJudge(), sides=2)
    experiment = program.experiment()

    experiment.drive(lambda: program.search((CONTROL, A), (AB,)))

    assert program.fetched == [("-", "other side", "a"), ("ab", "other side")]
    assert program.made == ["-", "other side", "a", "ab"]
    assert experiment.made == 4
    assert program.judge.order[-1] == "ab+other side"


def test_only_errors_that_are_the_runs_doing_count_as_failures() -> None:
    """A run that cannot be started has failed, where what was changed may be to blame."""

    def broken() -> Run:
        raise RunError("not found", "sh", "install it")

    failure = Failure("not found", "sh", "install it")
    assert worked_or_failed(broken, BuildError, RunError) == failure
    with pytest.raises(RunError):
        worked_or_failed(broken, BuildError)
    assert worked_or_failed(lambda: run_called("a")) == run_called("a")


def test_what_came_of_each_set_of_changes_is_told_in_the_order_of_their_first_trials() -> None:
    experiment = Program(NamesJudge()).experiment()
    again = replace(A, repeat=1)
    experiment.drive(lambda: Program(NamesJudge()).search((CONTROL, AB), (A, again, B, HARMLESS)))
    assert [(each.names, each.agreed, each.drifted, each.failed) for each in experiment.told] == [
        ((), 1, 0, 0),
        (AB.changes, 0, 1, 0),
        (A.changes, 0, 2, 0),
        (B.changes, 0, 0, 1),
        (HARMLESS.changes, 1, 0, 0),
    ]
