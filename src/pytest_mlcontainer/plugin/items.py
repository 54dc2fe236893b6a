"""The test items that `[tool.mlcontainer]` declares.

A project with the table collects them in every run of pytest, also without `--container`: what
carries them out is imported when one is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from platform import machine
from typing import Any

import pytest

from pytest_mlcontainer.config import check_host, line_of_table, load
from pytest_mlcontainer.errors import (
    ConfigError,
    MlContainerError,
    NothingChecked,
    NothingVaried,
    PlatformSkipped,
)
from pytest_mlcontainer.matrix import plan, platforms
from pytest_mlcontainer.model import (
    HOST,
    BaselineJob,
    CheckJob,
    CompareJob,
    ImageJob,
    Job,
    Options,
    RepeatsJob,
    Settings,
    VariesJob,
)
from pytest_mlcontainer.plugin.key import SESSION

Comparison = RepeatsJob | CompareJob | BaselineJob | VariesJob


class ProjectFile(pytest.File):
    """A `pyproject.toml` with our table: images, runs, servers, and below what looks at them."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        try:
            settings, jobs = self._plan()
        except MlContainerError as error:
            if not self.config.getoption("container"):
                yield Unread.from_parent(self, name="config")
                return
            raise self.CollectError(str(error)) from None
        for are_checks, group in groupby(jobs, lambda job: isinstance(job, CheckJob)):
            if are_checks:
                yield JobsNode.from_parent(self, name="image", settings=settings, jobs=[*group])
            else:
                yield from self._collect(settings, group)

    def _collect(
        self, settings: Settings, jobs: Iterable[Job]
    ) -> Iterator[pytest.Item | pytest.Collector]:
        comparisons: dict[str, list[Job]] = {}
        for job in jobs:
            if isinstance(job, Comparison):
                comparisons.setdefault(_entrypoint_of(job), []).append(job)
            else:
                yield JobItem.from_parent(self, name=str(job), settings=settings, job=job)
        for name, found in comparisons.items():
            yield JobsNode.from_parent(self, name=name, settings=settings, jobs=found)

    def _plan(self) -> tuple[Settings, Iterable[Job]]:
        options, read = self._session()
        settings = read(self.path)
        if settings is None:
            return _nothing(self), ()
        if HOST in platforms(settings, options) and HOST not in settings.platforms:
            problems = check_host(settings)
            if problems:
                raise ConfigError(str(self.path), problems)
        return settings, plan(settings, options)

    def _session(self) -> tuple[Options, Callable[[Path], Settings | None]]:
        """What is asked for, and what reads a table."""
        if SESSION not in self.config.stash:
            return Options(), partial(load, machine=machine())
        from pytest_mlcontainer.plugin.session import session_of

        session = session_of(self.config)
        return session.options, session.load


class JobsNode(pytest.Collector):
    """An entrypoint's comparisons, `train::agrees[…]`, or checks of the image, `image::lint`."""

    def __init__(self, *, settings: Settings, jobs: list[Job], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._jobs = jobs

    def collect(self) -> Iterator[pytest.Item]:
        for job in self._jobs:
            name = str(job).partition("::")[2]
            yield JobItem.from_parent(self, name=name, settings=self._settings, job=job)


class ContainerItem(pytest.Item):
    """An item that needs `--container`; its place is the table that declares it."""

    runs_containers = True
    entrypoint = ""

    def reportinfo(self) -> tuple[Any, int | None, str]:
        line = line_of_table(self.path, self.entrypoint)
        return self.path, line, self.nodeid.partition("::")[2]


class JobItem(ContainerItem):
    """One job as a test."""

    had_nothing_to_do: bool = False

    def __init__(self, *, settings: Settings, job: Job, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.settings = settings
        self.entrypoint: str = _entrypoint_of(job)

    def runtest(self) -> None:
        from pytest_mlcontainer.plugin.carrying_out import JobScope, carry_out
        from pytest_mlcontainer.plugin.session import session_of
        from pytest_mlcontainer.report import Result

        session = session_of(self.config)
        try:
            carry_out(self.job, JobScope(session, self.settings, self.nodeid))
        except (NothingChecked, NothingVaried, PlatformSkipped) as error:
            text = session.wording.without_secrets(str(error))
            if not isinstance(error, PlatformSkipped):
                self.had_nothing_to_do = True
                session.results.record(Result(note=" ".join(text.split())))
            pytest.skip(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from pytest_mlcontainer.plugin.carrying_out import failure_text
        from pytest_mlcontainer.plugin.session import session_of

        text = failure_text(excinfo.value, session_of(self.config), self.nodeid)
        return super().repr_failure(excinfo, style) if text is None else text


class Unread(ContainerItem):
    """Stands for a configuration that cannot be read, in a run without `--container`."""

    skip_reason = "run with --container to see what is wrong with [tool.mlcontainer]"

    def runtest(self) -> None:
        raise NotImplementedError(self.skip_reason)


def _entrypoint_of(job: Job) -> str:
    """The name of the one that a job is about; "" for what is about the image."""
    if isinstance(job, (ImageJob, CheckJob)):
        return ""
    if isinstance(job, (CompareJob, BaselineJob)):
        return job.actual.entrypoint.name
    return job.run.entrypoint.name if isinstance(job, VariesJob) else job.entrypoint.name


def _nothing(file: ProjectFile) -> Settings:
    raise MlContainerError("no [tool.mlcontainer] table", str(file.path), "write one")
