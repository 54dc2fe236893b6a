"""What one pytest session with `--container` holds: options, the pipeline, what plugins add."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from platform import machine
from typing import Any

import pytest

from pytest_mlcontainer.config import has_table, load, parse_options
from pytest_mlcontainer.engines import EngineKind
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.hooks import load_comparators, load_engines, load_families, schemes_of
from pytest_mlcontainer.model import (
    Comparator,
    Family,
    ImageJob,
    Options,
    Owner,
    Run,
    RunJob,
    Settings,
)
from pytest_mlcontainer.pipeline import Pipeline, PipelineSetup
from pytest_mlcontainer.pipeline.setup import cache_folder, with_programs_beside
from pytest_mlcontainer.plugin.key import SESSION
from pytest_mlcontainer.plugin.progress import SessionProgress
from pytest_mlcontainer.plugin.results import Results
from pytest_mlcontainer.plugin.wording import Wording
from pytest_mlcontainer.progress.events import Tell
from pytest_mlcontainer.secrets import NOTHING, Redactor
from pytest_mlcontainer.variations import FAMILIES

_MOST_PARALLEL = 4  # runs at once: each may want much memory, and all cores


class ContainerSession:
    """The session, on `config.stash`. What is costly is made when it is asked for first.

    Args:
        owner: the controller under pytest-xdist, else this process.
        journal: folder in which a worker notes its results; None for the process that reports.
    """

    def __init__(
        self, config: pytest.Config, options: Options, owner: Owner, journal: Path | None = None
    ) -> None:
        self.config = config
        self.options = options
        self._owner = owner
        self._pipeline: Pipeline | None = None
        self._setup: PipelineSetup | None = None
        self._comparators: tuple[Comparator, ...] | None = None
        self._families: tuple[Family, ...] | None = None
        self._begun: dict[tuple[Path, RunJob], Settings] = {}
        self.selected: tuple[pytest.Item, ...] = ()
        self.wording: Wording = Wording(config, lambda: self.hidden)
        self.results: Results = Results(self.wording, journal)
        # Made now, while pytest does not capture; its own writer is captured while a test runs.
        self.progress: SessionProgress = SessionProgress(config, cache_folder(os.environ), journal)

    @property
    def is_worker(self) -> bool:
        """Whether this process works for a controller of pytest-xdist."""
        return _is_worker(self.config)

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = Pipeline(self.setup, self.options)
        return self._pipeline

    @property
    def setup(self) -> PipelineSetup:
        if self._setup is None:
            self._setup = _setup(self.config, self._owner, self.progress.tell)
        return self._setup

    def load(self, file: Path) -> Settings | None:
        """See `config.load`."""
        return load(file, machine(), schemes_of(lambda: _kinds(self.config)))

    @property
    def hidden(self) -> Redactor:
        """What must not be shown; nothing as long as nothing was run."""
        return NOTHING if self._pipeline is None else self._pipeline.hidden

    @property
    def comparators(self) -> tuple[Comparator, ...]:
        """Formats that plugins add: packages, plugins of pytest, and conftest modules.

        Raises:
            MlContainerError: one of them does not work.
        """
        if self._comparators is None:
            plugins = self.config.pluginmanager
            self._comparators = load_comparators(plugins.list_name_plugin(), plugins.is_blocked)
        return self._comparators

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of variations, those of plugins too; errors as of `comparators`."""
        if self._families is None:
            plugins = self.config.pluginmanager
            others = plugins.list_name_plugin()
            self._families = load_families(FAMILIES, others, plugins.is_blocked)
        return self._families

    def for_workers(self) -> dict[str, Any]:
        """What workers are told, in a form that execnet can carry."""
        self.pipeline.enter()  # workers are not there yet that would see this process die
        folder = str(self.results.folder_for_workers())
        self.progress.listen(Path(folder))
        return {"mlcontainer_owner": asdict(self._owner), "mlcontainer_journal": folder}

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start jobs side by side; runs that are then made count, whether a test asks or not."""
        self._begun |= {(settings.file, job): settings for job in jobs if isinstance(job, RunJob)}
        self.pipeline.runs.prefetch(settings, jobs)

    def begun_runs(self) -> list[Run]:
        """Runs that were begun side by side and are there, whether a test asked for them or not."""
        runs = (
            self.pipeline.runs.known(settings, job)
            for (_file, job), settings in self._begun.items()
        )
        return [run for run in runs if run is not None]

    def end(self) -> None:
        """Let go of everything; the controller also cleans up after its workers."""
        if self._pipeline is not None:
            self._pipeline.close()
        if not self.is_worker:
            self.pipeline.clean_up(last=True)
        self.progress.end()
        self.results.close()


def session_of(config: pytest.Config) -> ContainerSession:
    """The session that `begin` put there."""
    found = config.stash[SESSION]
    assert isinstance(found, ContainerSession)
    return found


def options_of(config: pytest.Config) -> Options:
    """The options of the command line.

    Raises:
        pytest.UsageError: one has a wrong value.
    """
    try:
        return parse_options(
            machine(),
            schemes=schemes_of(lambda: _kinds(config)),
            platforms=config.getoption("container_platform"),
            gpus=config.getoption("container_gpus"),
            image=config.getoption("container_image"),
            engines=config.getoption("container_engine"),
            keep=config.getoption("container_keep"),
            records=config.getoption("container_records"),
            baseline=config.getoption("container_baseline"),
            update=config.getoption("container_update"),
            repeat=config.getoption("container_repeat"),
            report=config.getoption("container_report"),
            vary=config.getoption("container_vary"),
            budget=config.getoption("container_budget"),
            locate=config.getoption("container_locate"),
            cure=config.getoption("container_cure"),
            push=config.getoption("container_push"),
        )
    except MlContainerError as error:
        raise pytest.UsageError(str(error)) from error


def project_file(start: Path, root: Path) -> Path | None:
    """The nearest `pyproject.toml` with our table, from `start` upwards to `root`'s top."""
    for folder in (start, *start.parents, root):
        file = folder / "pyproject.toml"
        if file.is_file() and has_table(file):
            return file
    return None


def _setup(config: pytest.Config, owner: Owner, tell: Tell) -> PipelineSetup:
    """What this process and its environment give a pipeline."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return PipelineSetup(
        owner=owner,
        cache=cache_folder(os.environ),
        environ=with_programs_beside(sys.executable, environ),
        tell=tell,
        parallel=1 if _is_worker(config) else min(cores or 1, _MOST_PARALLEL),
        processes=int(getattr(config, "workerinput", {}).get("workercount", 1)),
        kinds=lambda: _kinds(config),
    )


def _kinds(config: pytest.Config) -> tuple[EngineKind, ...]:
    """Kinds of engines that plugins add; errors as of `comparators`."""
    plugins = config.pluginmanager
    return load_engines(plugins.list_name_plugin(), plugins.is_blocked)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
