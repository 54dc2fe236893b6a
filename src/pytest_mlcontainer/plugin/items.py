"""The test items that `[tool.mlcontainer]` declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from platform import machine
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlcontainer.config import check_host, load
from pytest_mlcontainer.errors import (
    ConfigError,
    MlContainerError,
    NothingVaried,
    PlatformSkipped,
)
from pytest_mlcontainer.matrix import plan, platforms
from pytest_mlcontainer.model import (
    HOST,
    BaselineJob,
    CompareJob,
    ImageJob,
    Job,
    Options,
    Outcome,
    RepeatsJob,
    RunJob,
    ServeJob,
    Settings,
    VariesJob,
)
from pytest_mlcontainer.pipeline import require
from pytest_mlcontainer.plugin import STATE
from pytest_mlcontainer.plugin.baselines import hold
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.terminal import failure_lines

if TYPE_CHECKING:
    from pytest_mlcontainer.plugin.session import State


Comparison = RepeatsJob | CompareJob | BaselineJob | VariesJob


class DriftError(Exception):
    """A comparison whose verdict is no pass."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.entrypoint}: {outcome.verdict.value}")
        self.outcome = outcome


class ProjectFile(pytest.File):
    """A `pyproject.toml` with our table: images, runs and servers; comparisons one level below."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        try:
            settings, jobs = self._plan()
        except MlContainerError as error:
            if not self.config.getoption("container"):
                yield Unread.from_parent(self, name="config")
                return
            raise self.CollectError(str(error)) from None
        comparisons: dict[str, list[Comparison]] = {}
        for job in jobs:
            if isinstance(job, RepeatsJob):
                comparisons.setdefault(job.entrypoint.name, []).append(job)
            elif isinstance(job, VariesJob):
                comparisons.setdefault(job.run.entrypoint.name, []).append(job)
            elif isinstance(job, (CompareJob, BaselineJob)):
                comparisons.setdefault(job.actual.entrypoint.name, []).append(job)
            else:
                yield JobItem.from_parent(self, name=str(job), settings=settings, job=job)
        for name, found in comparisons.items():
            yield EntrypointNode.from_parent(self, name=name, settings=settings, jobs=found)

    def _plan(self) -> tuple[Settings, Iterable[Job]]:
        state = self.config.stash.get(STATE, None)
        options = Options() if state is None else state.options
        settings = load(self.path, machine()) if state is None else state.load(self.path)
        if settings is None:
            return _nothing(self), ()
        if HOST in platforms(settings, options) and HOST not in settings.platforms:
            problems = check_host(settings)
            if problems:
                raise ConfigError(str(self.path), problems)
        return settings, plan(settings, options)


class EntrypointNode(pytest.Collector):
    """An entrypoint's comparisons: `train::agrees[…]`."""

    def __init__(self, *, settings: Settings, jobs: list[Comparison], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._jobs = jobs

    def collect(self) -> Iterator[pytest.Item]:
        for job in self._jobs:
            name = str(job).partition("::")[2]
            yield JobItem.from_parent(self, name=name, settings=self._settings, job=job)


class ContainerItem(pytest.Item):
    """An item that needs `--container`; its place is a table, which has no line of code."""

    runs_containers = True

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, 0, self.nodeid.partition("::")[2]


class JobItem(ContainerItem):
    """One job as a test."""

    def __init__(self, *, settings: Settings, job: Job, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.settings = settings

    def runtest(self) -> None:
        state = self.config.stash[STATE]
        try:
            self._run(state)
        except (NothingVaried, PlatformSkipped) as error:
            text = state.without_secrets(str(error))
            if isinstance(error, NothingVaried):
                state.record(Result(note=" ".join(text.split())))
            pytest.skip(text)

    def _run(self, state: State) -> None:
        job, settings, pipeline = self.job, self.settings, state.pipeline
        if isinstance(job, ImageJob):
            state.begin_beside(self)
            image = pipeline.image(settings, job)
            for note in image.notes:
                state.record(Result(note=note))
        elif isinstance(job, RunJob):
            state.begin_beside(self)
            run = pipeline.run(settings, job)
            state.record(Result.of_run(run))
            require(run)
        elif isinstance(job, ServeJob):
            with pipeline.serve(settings, job):
                pass
        elif isinstance(job, BaselineJob):
            held = hold(state, settings, job, self.nodeid)
            if held is not None:
                self._judge(state, held)
        elif isinstance(job, RepeatsJob):
            outcome = pipeline.repeats(settings, job, state.comparators)
            self._record_runs(state, job.runs[1:])
            self._judge(state, outcome)
        elif isinstance(job, VariesJob):
            self._judge(state, pipeline.vary(settings, job, state.families, state.comparators))
        else:
            outcome = pipeline.compare(settings, job, state.comparators)
            outcome = pipeline.explain(settings, job, outcome, state.families, state.comparators)
            self._record_runs(state, job.runs[2:])
            for run in () if job.repeats else pipeline.settling_runs(settings, job.expected):
                state.record(Result.of_run(run))
            self._judge(state, outcome)

    def _record_runs(self, state: State, jobs: Iterable[RunJob]) -> None:
        """Runs that no other item reports; what failed without harm is in a note already."""
        for job in jobs:
            run = state.pipeline.run(self.settings, job)
            if run.failure is None:
                state.record(Result.of_run(run))

    def _judge(self, state: State, outcome: Outcome) -> None:
        state.record(Result.of_outcome(outcome))
        if not outcome.verdict.passes:
            raise DriftError(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        error, state = excinfo.value, self.config.stash[STATE]
        if isinstance(error, MlContainerError):
            return state.explanation(error, self.nodeid)
        if isinstance(error, DriftError):
            lines = failure_lines(error.outcome, state.repeat(self.nodeid))
            return state.without_secrets("\n".join(lines))
        return super().repr_failure(excinfo, style)


class Unread(ContainerItem):
    """Stands for a configuration that cannot be read, in a run without `--container`."""

    skip_reason = "run with --container to see what is wrong with [tool.mlcontainer]"

    def runtest(self) -> None:
        raise NotImplementedError(self.skip_reason)


def _nothing(file: ProjectFile) -> Settings:
    raise MlContainerError("no [tool.mlcontainer] table", str(file.path), "write one")
