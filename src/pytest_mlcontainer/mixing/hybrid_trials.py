"""Trials in hybrid images: image A with some of the changes made that lead to image B.

Some changes cannot be made alone, because one package requires another. A trial makes its changes
with all that they are tied to. One that fails is tried with more, in case a tie was not declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.errors import BuildError, EngineError, MlContainerError, RunError
from pytest_mlcontainer.experiments.comparison import RunComparison, as_repeats
from pytest_mlcontainer.experiments.driver import Experiment, RunsOnce
from pytest_mlcontainer.experiments.judges import ControlJudge
from pytest_mlcontainer.explain.trials import Trial
from pytest_mlcontainer.judging.apart import Exclusions, set_apart
from pytest_mlcontainer.matrix import image_job, run_job
from pytest_mlcontainer.mixing.building import build_hybrid
from pytest_mlcontainer.mixing.hybrids import ImagePair, fitted, plan_hybrid
from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.mixing.questions import ExperimentRuns, Question
from pytest_mlcontainer.mixing.ties import Tie, closed, crossing, ties
from pytest_mlcontainer.mixing.words import listed
from pytest_mlcontainer.model import Failure, NeedsFrom, Outcome, Run, RunJob

_TRACEBACK_BYTES = 50_000
_MODULE = re.compile(r"(?:site|dist)-packages/([A-Za-z_]\w*)|No module named '([A-Za-z_]\w*)")
_GROWN = 3  # times that a failing hybrid is tried with what may belong to it


@dataclass(frozen=True)
class HybridRun:
    """One run in the hybrid with just these changes made; with none it is image A."""

    names: frozenset[str] = frozenset()
    repeat: int = 0


class HybridTrials:
    """Runs an entrypoint in hybrids of two images.

    Attributes:
        unbuilt: what could not be built, with the reasons.
    """

    def __init__(
        self, runner: ExperimentRuns, tools: HybridTools, question: Question, pair: ImagePair
    ) -> None:
        self._runner = runner
        self._tools = tools
        self._question = question
        self._pair = pair
        self._ties = ties(pair.changes, pair.a.contents, pair.b.contents)
        self._runs = RunsOnce(self._make)
        entry = as_repeats(question.entry)
        opened = partial(runner.open_differing, question.settings)
        self._judge = ControlJudge(
            RunComparison(opened, entry, question.comparators),
            lambda number: self._runs(HybridRun(repeat=number)),
        )
        self.experiment: Experiment[HybridRun] = Experiment(
            self._tasks, self._runs, self._prefetch, self._judge, self._grown
        )
        self.unbuilt: list[tuple[str, str]] = []

    @property
    def apart(self) -> Exclusions:
        """What a clock or an id makes, which is judged apart from all else."""
        return self._judge.comparison.apart

    @property
    def results(self) -> tuple[Run, ...]:
        """One run for each result that was seen, image A's first."""
        return self._judge.results

    @property
    def control(self) -> Run | None:
        """The run in image A that others are held against: the first that worked, if one did."""
        first = self.run()
        return first if isinstance(first, Run) else self._judge.control

    @property
    def ties(self) -> tuple[Tie, ...]:
        """What cannot be apart, with what was found to be so."""
        return self._ties

    @property
    def spent(self) -> int:
        """How many runs were made."""
        return len(self._runs)

    def closed(self, names: Iterable[str]) -> frozenset[str]:
        """The names with all that cannot be apart from them."""
        return closed(names, self._ties)

    def run(self, names: Iterable[str] = ()) -> Run | Failure:
        """The run with just these changes; what cannot be built or started has failed."""
        return self._runs(HybridRun(frozenset(names)))

    def compare(self, actual: Run, expected: Run) -> Outcome:
        """One run held against the other, in full."""
        return self._judge.comparison.compare(actual, expected)

    def set_apart(self) -> None:
        """What two runs in image A differ in because of a clock or an id hides nothing else."""
        runs = [self._runs(HybridRun(repeat=repeat)) for repeat in (0, 1)]
        if all(isinstance(run, Run) for run in runs):
            one, other = (run for run in runs if isinstance(run, Run))
            comparison = self._judge.comparison
            found = set_apart(self.compare(one, other).differences, comparison.rules)
            self._judge.comparison = comparison.less(found)

    def control_failure(self) -> MlContainerError:
        """Why image A cannot be held against anything."""
        control = self.run()
        assert isinstance(control, Failure)
        return RunError(
            f"{self._question.entry.name} fails in image A, {self._question.a}: {control.what}",
            control.value,
            control.remedy or "A is what B is held against: name an image in which it works",
        )

    def _tasks(self, trial: Trial) -> tuple[HybridRun, ...]:
        return (HybridRun(self.closed(trial.changes), trial.repeat),)

    def _prefetch(self, wanted: tuple[HybridRun, ...]) -> None:
        jobs = []
        for each in wanted:
            try:
                jobs.append(self._job(each))
            except BuildError:
                continue  # it is told where the trial is read
        self._runner.prefetch(self._question.settings, tuple(jobs))

    def _grown(self, failing: HybridRun, failed: Failure) -> HybridRun:
        """What fails, with the packages that it may not be apart from, if it works with these.

        Ties that make it work are kept; without such it is the changes themselves that fail.
        """
        if failing.names in (frozenset(), self._pair.names):
            return failing
        known, grown = self._ties, failing
        mentioned = _modules_in(failed)
        for _ in range(_GROWN):
            more = crossing(grown.names, self._pair.changes, mentioned)
            if not more or grown.names == self._pair.names:
                break
            self._ties = (*self._ties, *more)
            grown = replace(grown, names=self.closed(grown.names))
            found = self._runs(grown)
            if isinstance(found, Run):
                return grown
            mentioned = _modules_in(found)
        self._ties = known
        return failing

    def _make(self, wanted: HybridRun) -> Run | Failure:
        try:
            run = self._runner.run(self._question.settings, self._job(wanted))
        except (RunError, BuildError, EngineError) as error:
            if not wanted.names:
                raise
            if isinstance(error, BuildError):
                self._note_unbuilt(wanted.names, error)
            return Failure(error.what, error.value, error.remedy)
        return run if run.failure is None else _with_log(run.failure, run)

    def _note_unbuilt(self, names: frozenset[str], error: BuildError) -> None:
        last = (error.value.strip().splitlines() or [""])[-1]
        self.unbuilt.append((listed(sorted(names)), f"{error.what}: {last}"))

    def _job(self, wanted: HybridRun) -> RunJob:
        """The run in the hybrid, which is built if need be."""
        question, settings = self._question, self._question.settings
        job = run_job(settings, question.options, question.entry.name, settings.reference)
        hybrid = plan_hybrid(self._pair, wanted.names)
        reference = build_hybrid(self._tools, settings, self._pair, hybrid)
        image = replace(
            image_job(settings, question.options, settings.reference), reference=reference
        )

        def moved(each: RunJob) -> RunJob:
            same = each.entrypoint.needs_from is NeedsFrom.SAME
            needs = tuple(moved(need) for need in each.needs) if same else each.needs
            entry = fitted(each.entrypoint, hybrid)
            return replace(each, entrypoint=entry, image=image, needs=needs)

        return replace(moved(job), repeat=wanted.repeat)


def _modules_in(failure: Failure) -> frozenset[str]:
    found = _MODULE.findall(f"{failure.value}")
    return frozenset(name for pair in found for name in pair if name)


def _with_log(failure: Failure, run: Run) -> Failure:
    """The failure with the end of what it printed, which names the packages that took part."""
    text = _end(run.stderr)
    return failure if text in failure.value else replace(failure, value=f"{text}\n{failure.value}")


def _end(file: Path) -> str:
    with file.open("rb") as source:
        source.seek(0, 2)
        source.seek(max(0, source.tell() - _TRACEBACK_BYTES))
        return source.read().decode("utf-8", "replace").strip()
