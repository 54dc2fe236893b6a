"""Trials of variations: run, held against the control, and told to the search."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.errors import MlContainerError, RunError
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observations,
    Reading,
    Search,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.model import (
    Cause,
    Entrypoint,
    Failure,
    Output,
    Platform,
    Rule,
    Run,
    RunJob,
    Target,
    Tolerance,
    Variation,
    Verdict,
)
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.pipeline.variation_trials import VariationTrials

A, B, AB = Trial(("a",)), Trial(("b",)), Trial(("a", "b"))
CONTROL = Trial()
CHANGES = {"a": Variation("a", "1"), "b": Variation("b", "1")}
CLOSED = pickle.dumps({"weights": [1, 2]}), pickle.dumps({"weights": [1, 3]})

# What a run writes, by the names of its variations and its number: a value, or how it fails.
Program = Callable[[frozenset[str], int], Any]


@dataclass
class Runs:
    """Makes runs of a program that is a function, with what it writes on disk."""

    folder: Path
    program: Program
    made: list[RunJob] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)
    fetched: list[tuple[RunJob, ...]] = field(default_factory=list)

    def run(self, job: RunJob) -> Run:
        self.made.append(job)
        wrote = self.program(frozenset(each.name for each in job.variations), job.repeat)
        if isinstance(wrote, MlContainerError):
            raise wrote
        folder = self.folder / str(len(self.made))
        folder.mkdir()
        for name in ("stdout", "stderr"):
            (folder / name).write_text(f"{name} of run {len(self.made)}")
        failure = wrote if isinstance(wrote, Failure) else None
        outputs = []
        for name, content in {} if failure else wrote.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (folder / name).write_bytes(data)
            outputs.append(Output(name, folder / name, len(data)))
        return Run(
            id=str(len(self.made)),
            entrypoint="train",
            target=job.target,
            exit_code=0,
            duration_s=0.1,
            folder=folder,
            stdout=folder / "stdout",
            stderr=folder / "stderr",
            outputs=tuple(outputs),
            failure=failure,
        )

    def open(self, actual: Run, expected: Run, _rules: tuple[Rule, ...]) -> tuple[Run, Run]:
        self.opened.append((actual.id, expected.id))
        return actual, expected

    def trials(self, *rules: Rule) -> VariationTrials:
        tools = SearchTools(
            run=self.run,
            prefetch=self.fetched.append,
            look=lambda _job, _knobs: pytest.fail("facts are not asked for"),
            image=lambda _job: pytest.fail("images are not asked for"),
            open=self.open,
            environ={},
            root=self.folder,
        )
        entry = Entrypoint("train", rules=rules, outputs=("*",))
        job = RunJob(entry, Target(Platform("linux", "amd64")), None)
        return VariationTrials(tools, job, CHANGES)


def observed(trials: VariationTrials, *plan: Trial) -> Observations:
    """What the search is told of these trials, asked for at once."""
    told: Observations = {}

    def search() -> Search:
        told.update((yield plan))
        return Findings(SearchOutcome.CLEAN, runs=len(plan))

    assert trials.experiment.drive(search).runs == len(plan)
    return told


def loss(names: frozenset[str], _repeat: int) -> Any:
    """`a` moves the loss; `b` moves it within tolerance."""
    return {"m.json": {"loss": (0.75 if "a" in names else 0.5) + 1e-12 * ("b" in names)}}


def test_trials_are_read_against_the_first_control(tmp_path: Path) -> None:
    """Equal results, within tolerance, have equal groups; the control's is 0."""
    runs = Runs(tmp_path, loss)
    told = observed(runs.trials(), CONTROL, Trial(repeat=1), A, B, AB)
    assert {trial: (each.reading, each.group) for trial, each in told.items()} == {
        CONTROL: (Reading.AGREES, 0),
        Trial(repeat=1): (Reading.AGREES, 0),
        B: (Reading.AGREES, 0),
        A: (Reading.DRIFTS, 1),
        AB: (Reading.DRIFTS, 1),
    }


def timed(names: frozenset[str], repeat: int) -> Any:
    """A log in which each run says how long it took; `a` moves the loss beside that."""
    loss, took = (0.75 if "a" in names else 0.5), 1.25 + repeat + 10 * len(names)
    return {"log.txt": f"step 1 | loss {loss} | took {took:.2f}s\n".encode()}


def test_durations_are_set_apart_and_a_loss_beside_them_is_not(tmp_path: Path) -> None:
    """Runs with nothing changed differ in durations alone, so that these are no drift; another
    value in the same line is."""
    trials = Runs(tmp_path, timed).trials()

    told = observed(trials, CONTROL, Trial(repeat=1), A, B, AB)

    assert {trial for trial, each in told.items() if each.reading is Reading.DRIFTS} == {A, AB}
    (part,) = trials.apart.parts
    assert (part.where, part.nouns) == ("log.txt", ("duration",))
    assert part.line == '"log.txt" = { ignore = ["duration"] }'
    shown = trials.apart_outcome()
    assert shown is not None
    assert not shown.verdict.passes


def seldom(names: frozenset[str], repeat: int) -> Any:
    """A clock of whole seconds, which controls made at once read alike."""
    took = 1 + bool(names) + (repeat > 2)
    return {"log.txt": f"loss 0.5 took {took}s".encode()}


def test_a_clock_that_two_runs_read_alike_is_found_by_more_of_them(tmp_path: Path) -> None:
    """Before a change is blamed for a duration, runs with nothing changed are looked at again."""
    trials = Runs(tmp_path, seldom).trials()

    told = observed(trials, CONTROL, Trial(repeat=1), A)

    assert told[A].reading is Reading.AGREES
    assert trials.apart.nouns == ("duration",)


def slower(names: frozenset[str], _repeat: int) -> Any:
    return {"log.txt": f"predicted: {12 if 'a' in names else 9} min".encode()}


def test_what_looks_like_a_duration_and_repeats_itself_is_a_value(tmp_path: Path) -> None:
    """A predicted time is no clock's: no run with nothing changed has another one."""
    trials = Runs(tmp_path, slower).trials()

    told = observed(trials, CONTROL, Trial(repeat=1), A, B)

    assert (told[A].reading, told[B].reading) == (Reading.DRIFTS, Reading.AGREES)
    assert not trials.apart


def written(content: Any) -> Callable[[frozenset[str], int], Any]:
    """A program whose JSON has this of each run, by its number, beside a loss."""
    return lambda _names, repeat: {"m.json": {"loss": 0.5, **content(repeat)}}


APART = {
    "a random UUID": lambda n: {"id": f"0000000{n}-1111-4222-8333-444444444444"},
    "a time": lambda n: {"begun": f"2026-11-28T10:00:0{n}"},
    "an address": lambda n: {"model": f"<Model object at 0x7f00000{n}>"},
    "seconds": lambda n: {"metrics": {"fit_time": 0.25 + n}},
    "a list of seconds": lambda n: {"cv": {"score_time": [0.25 + n, 0.5 + n, 0.75 + n]}},
    "seconds of each epoch": lambda n: {"history": [{"epoch_time": 0.1 + n}, {"epoch_time": 2.0}]},
    "a timestamp": lambda n: {"timestamp": 1_790_000_000 + n},
    "timestamps": lambda n: {"rows": {"created_at": [1_790_000_000 + n, 1_790_000_005]}},
    "an id": lambda n: {"run_id": f"a{n}b{n}"},
    "a process": lambda n: {"pid": 4000 + n},
    "the name of the container": lambda n: {"hostname": f"99a26123c0a{n}"},
    "a name of a machine": lambda n: {"meta": {"host_name": f"worker-{n}"}},
    "the container in a text": lambda n: {"about": f"made on host 99a26123c0a{n}"},
    "the container in a line": lambda n: {"about": f"host = 99a26123c0a{n}"},
    "the container in an address": lambda n: {"about": f"http://root@99a26123c0a{n}:80/"},
}
NOT_APART = {
    "a loss": lambda n: {"val_loss": 0.25 + n},
    "what is predicted": lambda n: {"survival_time": [0.25 + n, 1.0]},
    "a column of times": lambda n: {"time": [0.25 + n, 1.0]},
    "a UUID of contents": lambda n: {"id": f"0000000{n}-1111-5222-8333-444444444444"},
    "an id of a row": lambda n: {"sample_id": 17 + n},
    "a number of epochs": lambda n: {"epoch": 5 + n},
    "a best trial": lambda n: {"best_trial": {"id": 3 + n}},
    "a digest beside a host": lambda n: {"about": f"on host abc, weights 99a26123c0a{n}"},
    "a long digest on a host": lambda n: {"about": f"host=99a26123c0a{n}99a26123c0a{n}"},
}


@pytest.mark.parametrize("what", APART)
def test_what_a_clock_or_an_id_makes_is_set_apart(tmp_path: Path, what: str) -> None:
    """The search goes on without it, with a rule that would leave it out."""
    trials = Runs(tmp_path, written(APART[what])).trials()

    told = observed(trials, CONTROL, Trial(repeat=1), A)

    assert {each.reading for each in told.values()} == {Reading.AGREES}
    (part,) = trials.apart.parts
    assert part.line.startswith('"m.json:')
    assert "ignore = " in part.line


@pytest.mark.parametrize("what", NOT_APART)
def test_what_may_be_a_value_is_not_set_apart(tmp_path: Path, what: str) -> None:
    """Runs that differ in it are not repeatable."""
    trials = Runs(tmp_path, written(NOT_APART[what])).trials()

    told = observed(trials, CONTROL, Trial(repeat=1))

    assert told[Trial(repeat=1)].reading is Reading.DRIFTS
    assert not trials.apart


def test_a_digest_is_set_apart_only_as_a_last_resort(tmp_path: Path) -> None:
    """It may be one of weights: what can be pinned is tried before."""
    trials = Runs(tmp_path, written(lambda n: {"id": f"{n}" * 4 + "deadbeefcafe"})).trials()

    told = observed(trials, CONTROL, Trial(repeat=1))
    assert told[Trial(repeat=1)].reading is Reading.DRIFTS
    assert trials.set_apart_more()
    told = observed(trials, CONTROL, Trial(repeat=1))

    assert told[Trial(repeat=1)].reading is Reading.AGREES
    assert not trials.set_apart_more()


def test_runs_that_repeat_each_other_are_alike_after_many_that_do_not(tmp_path: Path) -> None:
    """What is pinned late, after every other run gave something else, is seen to repeat itself."""

    def program(names: frozenset[str], repeat: int) -> Any:
        return {"m.json": {"loss": -1.0 if "a" in names else 0.5 + repeat}}

    trials = Runs(tmp_path, program).trials()
    told = observed(trials, *(Trial(repeat=number) for number in range(9)), A, Trial(("a",), 1))

    assert told[A].group == told[Trial(("a",), 1)].group == 9


def test_a_plan_is_started_at_once_and_counted(tmp_path: Path) -> None:
    """All runs are prefetched before the first is waited for, each under its own target."""
    runs = Runs(tmp_path, loss)
    trials = runs.trials()
    observed(trials, AB, CONTROL)
    (fetched,) = runs.fetched
    assert [job.target.variations for job in fetched] == [("a=1", "b=1"), ()]
    assert [job.repeat for job in fetched] == [0, 0]
    assert trials.spent == 2
    observed(trials, Trial(("a",), 3))
    assert trials.spent == 3
    assert runs.made[-1].repeat == 3


def test_what_is_shown_has_as_few_changes_as_there_are(tmp_path: Path) -> None:
    """The trial with just the cause, else the smallest that drifts; the largest that agrees."""
    trials = Runs(tmp_path, loss).trials()
    assert trials.experiment.agreeing() == CONTROL
    assert trials.experiment.drifting(("a",)) is None
    observed(trials, CONTROL, AB, A, B)
    assert trials.experiment.drifting(("a", "b")) == AB
    assert trials.experiment.drifting(("b",)) == A
    assert trials.experiment.agreeing() == B
    outcome = trials.outcome(A)
    assert outcome.verdict is Verdict.DRIFT
    assert [each.max_abs for each in outcome.differences] == [0.25]
    assert trials.outcome(B).verdict is Verdict.EQUIVALENT
    assert [each.max_abs for each in trials.differences(A)] == [0.25]
    assert trials.differences(Trial(("a",), 9)) == ()


def test_of_several_causes_each_says_what_it_alone_moves(tmp_path: Path) -> None:
    """The worst three, and how many more; nothing where no run has just these changes."""

    def program(names: frozenset[str], _repeat: int) -> Any:
        moved = {f"{number}": 1.0 + 0.1 * number * ("b" in names) for number in range(6)}
        first = {} if "a" in names else {"loss": 0.5}
        return {"a.json": first, "b.json": moved}

    trials = Runs(tmp_path, program).trials()
    observed(trials, CONTROL, AB, A, B)
    causes = [Cause(names, 3, "e") for names in (("a",), ("b",), ("a", "b", "c"))]
    first, second, neither = (trials.with_effect(cause) for cause in causes)
    assert [(each.where, each.note) for each in first.moves] == [
        ("a.json:loss", "missing in the varied run; expected 0.5")
    ]
    assert first.moves_more == 0
    assert [each.where for each in second.moves] == ["b.json:5", "b.json:4", "b.json:3"]
    assert second.moves_more == 2
    assert neither == causes[2]


def test_a_trial_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    """So is one that cannot even be started: both are its changes' doing."""

    def program(names: frozenset[str], repeat: int) -> Any:
        if "a" in names:
            return Failure("train exited with code 1", "Traceback\n  ...\nOSError: no\n", "")
        return RunError("the command is not found", "sh", "") if names else loss(names, repeat)

    trials = Runs(tmp_path, program).trials()
    told = observed(trials, CONTROL, A, B)
    assert told[A].reading is told[B].reading is Reading.FAILS
    assert told[A].failure == "exited with code 1: OSError: no"
    assert told[A].group == told[B].group == -1
    assert told[B].failure == "the command is not found: sh"
    assert trials.differences(A) == ()


def test_a_control_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    """With nothing varied there is nobody to blame but the project."""
    trials = Runs(tmp_path, lambda _names, _repeat: RunError("no such command", "x", "")).trials()
    with pytest.raises(RunError, match="no such command"):
        observed(trials, CONTROL)


def test_another_control_is_made_where_the_first_fail(tmp_path: Path) -> None:
    """A trial that works has to be held against something, or nothing can be said of it."""

    def program(names: frozenset[str], repeat: int) -> Any:
        if not names and repeat < 2:
            return Failure("train exited with code 1", f"try {repeat}", "run it again")
        return loss(names, repeat)

    trials = Runs(tmp_path, program).trials()
    told = observed(trials, CONTROL, Trial(repeat=1), A)
    assert [told[trial].reading for trial in (CONTROL, Trial(repeat=1), A)] == [
        Reading.FAILS, Reading.FAILS, Reading.DRIFTS,
    ]  # fmt: skip
    assert trials.spent == 4, "three were asked for, and one control made besides"
    assert str(trials.control_failure()).splitlines()[0] == "train exited with code 1: try 1"


def test_without_any_control_the_first_result_is_what_others_are_held_to(tmp_path: Path) -> None:
    """A program that only works when varied is compared with itself."""

    def program(names: frozenset[str], repeat: int) -> Any:
        return loss(names, repeat) if names else Failure("exited with code 1", "", "")

    told = observed(Runs(tmp_path, program).trials(), CONTROL, A, B)
    assert (told[A].reading, told[B].reading) == (Reading.AGREES, Reading.DRIFTS)


def test_pickles_are_opened_only_where_all_else_agrees(tmp_path: Path) -> None:
    """That takes a container each time, and decides nothing where other outputs drift."""

    def program(names: frozenset[str], repeat: int) -> Any:
        return loss(names, repeat) | {"model.pkl": CLOSED[bool(names)]}

    runs = Runs(tmp_path, program)
    trials = runs.trials()
    told = observed(trials, CONTROL, Trial(repeat=1), A)
    assert told[A].reading is Reading.DRIFTS
    assert runs.opened == []
    assert [each.output for each in trials.differences(A)] == ["m.json"]
    observed(trials, B)
    assert runs.opened, "the loss agrees, so that the model decides"


def test_trials_are_judged_by_the_entrypoints_rules(tmp_path: Path) -> None:
    """What is within the margin of a metric is no drift."""
    rule = Rule("m.json", "loss", Tolerance(margin=0.5))
    told = observed(Runs(tmp_path, loss).trials(rule), CONTROL, A)
    assert told[A].reading is Reading.AGREES


def test_where_only_a_later_control_works_it_is_what_is_shown(tmp_path: Path) -> None:
    """The first run with nothing varied failed, and so did all with changes: nothing drifts."""

    def flaky(changes: frozenset[str], repeat: int) -> Any:
        works = not changes and repeat > 1
        return {"loss": 1} if works else Failure("exited with code 1", "no luck", "")

    trials = Runs(tmp_path, flaky).trials()
    told = observed(trials, CONTROL, A, B)
    assert {seen.reading for seen in told.values()} == {Reading.FAILS}

    shown = trials.outcome(trials.experiment.agreeing())

    assert shown.verdict is Verdict.IDENTICAL
