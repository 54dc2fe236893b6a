"""The driver of experiments: it makes the trials that a search asks for, until the search ends.

What is varied differs from one experiment to the next: a setting of one machine, of two platforms,
or the packages of an image. That is given as functions; the rest is here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.experiments.last_words import failure_line
from pytest_mlcontainer.explain.trials import (
    Observation,
    Observations,
    Plan,
    Reading,
    Trial,
)
from pytest_mlcontainer.model import Failure, Run, SearchTrial

Task = TypeVar("Task", bound=Hashable)
SearchReturn = TypeVar("SearchReturn")  # what a search returns
_NAMED: Final = 4


class BeginAgainError(Exception):
    """A judge would now read earlier trials in another way: the search has to begin again."""


class Judge(Protocol):
    """Reads trials from their runs."""

    def before_changes(self) -> None:
        """Called before a trial with changes is read."""

    def read(self, trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        """How a trial comes out of which no run failed.

        Raises:
            BeginAgainError: trials that were read before have to be read again.
        """

    def forget(self) -> None:
        """Drop what trials were read as."""


class RunsOnce(Generic[Task]):
    """Makes each run at most once.

    Args:
        make: a run that worked, or why it did not.
    """

    def __init__(self, make: Callable[[Task], Run | Failure]) -> None:
        self._make = make
        self._known: dict[Task, Run | Failure] = {}

    def __call__(self, task: Task) -> Run | Failure:
        if task not in self._known:
            self._known[task] = self._make(task)
        return self._known[task]

    def __len__(self) -> int:
        """How many were made, failed ones among them."""
        return len(self._known)


@dataclass(frozen=True)
class TrialResult(Generic[Task]):
    """A trial that was made.

    Args:
        tasks: the runs that were made for it.
        seen: what the search was told.
    """

    trial: Trial
    tasks: tuple[Task, ...]
    seen: Observation


class Experiment(Generic[Task]):
    """Makes trials, and tells a search what came of them.

    Args:
        tasks: the runs that a trial takes, mostly one; two where two platforms are compared.
        runs: makes them.
        prefetch: starts runs that will be asked for soon, side by side.
        judge: reads a trial whose runs all worked. One that failed is read as that.
        instead: of a task that failed, the one to be taken in its place; itself if there is none.
        advance: told after each trial how many runs were made, and what is known by now.
    """

    def __init__(
        self,
        tasks: Callable[[Trial], tuple[Task, ...]],
        runs: RunsOnce[Task],
        prefetch: Callable[[tuple[Task, ...]], None],
        judge: Judge,
        instead: Callable[[Task, Failure], Task] = lambda task, _failure: task,
        advance: Callable[[int, str], None] = lambda _done, _text: None,
    ) -> None:
        self._tasks = tasks
        self._runs = runs
        self._prefetch = prefetch
        self._judge = judge
        self._instead = instead
        self._advance = advance
        self._results: list[TrialResult[Task]] = []

    @property
    def results(self) -> tuple[TrialResult[Task], ...]:
        """All trials since the search began, in the order in which they were read."""
        return tuple(self._results)

    @property
    def told(self) -> tuple[SearchTrial, ...]:
        """What the search was told of each set of changes, in the order of their first trials."""
        readings: dict[tuple[str, ...], Counter[Reading]] = {}
        for each in self._results:
            readings.setdefault(each.trial.changes, Counter())[each.seen.reading] += 1
        return tuple(
            SearchTrial(
                names, counts[Reading.AGREES], counts[Reading.DRIFTS], counts[Reading.FAILS]
            )
            for names, counts in readings.items()
        )

    @property
    def made(self) -> int:
        """How many runs were made; one that several trials take counts once."""
        return len(self._runs)

    def drive(
        self, begin: Callable[[], Generator[Plan, Observations, SearchReturn]]
    ) -> SearchReturn:
        """Make what a search asks for until it ends, from the start where its judge says so.

        Args:
            begin: gives the search, from its beginning.
        """
        while True:
            with suppress(BeginAgainError):
                return self._drive(begin())
            self.forget()

    def forget(self) -> None:
        """Drop what trials were read as; not their runs."""
        self._results = []
        self._judge.forget()

    def observe(self, trial: Trial) -> Observation:
        """Make one trial, read it, and remember that."""
        tasks = self._tasks(trial)
        for number, task in enumerate(tasks):
            run = self._runs(task)
            if isinstance(run, Failure):
                other = self._instead(task, run)
                tasks = (*tasks[:number], other, *tasks[number + 1 :])
        made = [self._runs(task) for task in tasks]
        failed = next((each for each in made if isinstance(each, Failure)), None)
        if failed is not None:
            seen = Observation(Reading.FAILS, -1, failure_line(failed))
        else:
            seen = self._judge.read(trial, tuple(run for run in made if isinstance(run, Run)))
        self._results.append(TrialResult(trial, tasks, seen))
        return seen

    def runs_of(self, trial: Trial) -> tuple[Run, ...]:
        """The runs of a trial that worked; none of one that failed, or was not made."""
        result = next((each for each in self._results if each.trial == trial), None)
        if result is None or result.seen.reading is Reading.FAILS:
            return ()
        return tuple(run for task in result.tasks if isinstance(run := self._runs(task), Run))

    def drifting(self, names: tuple[str, ...]) -> Trial | None:
        """A trial that drifts: with just these changes, else with as few as there are."""
        return min(
            self._read_as(Reading.DRIFTS),
            key=lambda trial: (trial.changes != names, len(trial.changes), trial.repeat),
            default=None,
        )

    def agreeing(self) -> Trial:
        """The trial with the most changes that agrees; the control where none does."""
        found = self._read_as(Reading.AGREES)
        return max(found, key=lambda trial: len(trial.changes), default=Trial())

    def _read_as(self, reading: Reading) -> list[Trial]:
        return [each.trial for each in self._results if each.seen.reading is reading]

    def _drive(self, search: Generator[Plan, Observations, SearchReturn]) -> SearchReturn:
        try:
            plan = next(search)
            while True:
                plan = search.send(self._observe_all(plan))
        except StopIteration as end:
            told: SearchReturn = end.value
            return told

    def _observe_all(self, plan: Plan) -> Observations:
        tasks = tuple(dict.fromkeys(task for trial in plan for task in self._tasks(trial)))
        self._prefetch(tasks)
        seen: Observations = {}
        # The control first: what else there is gets held against it.
        for trial in sorted(plan, key=lambda trial: len(trial.changes)):
            if trial.changes:
                self._judge.before_changes()
            seen[trial] = self.observe(trial)
            self._advance(len(self._runs), self._known())
        return seen

    def _known(self) -> str:
        """What is known by now, in a few words."""
        agreeing = [trial.changes for trial in self._read_as(Reading.AGREES)]
        excluded = {name for changes in agreeing for name in changes}
        drifting = self.drifting(())
        if drifting is not None and drifting.changes:
            left = [name for name in drifting.changes if name not in excluded]
            return f"among {_few(left or list(drifting.changes))}"
        return f"not {_few(sorted(excluded))}" if excluded else ""


def _few(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def worked_or_failed(make: Callable[[], Run], *blamed: type[MlContainerError]) -> Run | Failure:
    """A run that did its job, or why it did not.

    Args:
        blamed: errors that count as failures of the run: it cannot even be started.
    """
    try:
        run = make()
    except blamed as error:
        return Failure(error.what, error.value, error.remedy)
    return run if run.failure is None else run.failure
