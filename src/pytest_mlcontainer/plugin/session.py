"""What lives for one pytest session with `--container`: options, the pipeline, what came out."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from platform import machine
from typing import Any

import pytest

from pytest_mlcontainer.config import has_table, load, parse_options
from pytest_mlcontainer.engines import EngineKind, Kinds
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.hooks import load_comparators, load_engines, load_families, schemes_of
from pytest_mlcontainer.model import (
    Comparator,
    Entrypoint,
    Family,
    ImageJob,
    Options,
    Owner,
    RunJob,
    ServeJob,
    Settings,
    VariesJob,
)
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.pipeline import DETAIL, LogLine, Pipeline, Surroundings
from pytest_mlcontainer.pipeline.surroundings import cache_folder, with_programs_beside
from pytest_mlcontainer.pipeline.workplace import secret_problems
from pytest_mlcontainer.plugin import _Controller, explained
from pytest_mlcontainer.plugin.api import Project
from pytest_mlcontainer.plugin.contributions import Contributions
from pytest_mlcontainer.plugin.items import JobItem
from pytest_mlcontainer.plugin.misuse import misuse_of
from pytest_mlcontainer.report import Result, write_reports
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.terminal import summary_lines
from pytest_mlcontainer.secrets import NOTHING, Redactor
from pytest_mlcontainer.storage import why_unwritable
from pytest_mlcontainer.variations import FAMILIES, wanted

_MOST_PARALLEL = 4  # runs at once: each may want much memory, and all cores
_LONGEST_LINE = 2000
_LOGGER = logging.getLogger("pytest_mlcontainer")


class State:
    """The session's state, on `config.stash`.

    Args:
        owner: the controller under pytest-xdist, else this process.
        contributions: where tests' results go.
        kinds: of engines, those that plugins add.
    """

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        owner: Owner,
        contributions: Contributions,
        kinds: Kinds,
    ) -> None:
        self._config = config
        self._kinds = kinds
        # Made now, while pytest does not capture; its own writer is captured while a test runs.
        self._log = _log(config)
        self.options = options
        self._owner = owner
        self._started = time.monotonic()
        self._pipeline: Pipeline | None = None
        self._surroundings: Surroundings | None = None
        self._comparators: tuple[Comparator, ...] | None = None
        self._families: tuple[Family, ...] | None = None
        self._selected: tuple[pytest.Item, ...] = ()
        self._shown: dict[str, str] = {}
        self._begun: dict[tuple[Path, RunJob], Settings] = {}
        self._unwritten: MlContainerError | None = None
        self.current: pytest.Item | None = None
        self.contributions = contributions

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = Pipeline(self.surroundings, self.options)
        return self._pipeline

    @property
    def surroundings(self) -> Surroundings:
        if self._surroundings is None:
            self._surroundings = surroundings(self._config, self._owner, self._log, self._kinds)
        return self._surroundings

    def load(self, file: Path) -> Settings | None:
        """See `config.load`."""
        return load(file, machine(), schemes_of(self._kinds))

    @property
    def comparators(self) -> tuple[Comparator, ...]:
        """Formats that plugins add: packages, plugins of pytest, and conftest modules.

        Raises:
            MlContainerError: one of them does not work.
        """
        if self._comparators is None:
            plugins = self._config.pluginmanager
            self._comparators = load_comparators(plugins.list_name_plugin(), plugins.is_blocked)
        return self._comparators

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of variations, those of plugins too; errors as of `comparators`."""
        if self._families is None:
            plugins = self._config.pluginmanager
            others = plugins.list_name_plugin()
            self._families = load_families(FAMILIES, others, plugins.is_blocked)
        return self._families

    def for_workers(self) -> dict[str, Any]:
        """What workers are told, in a form that execnet can carry."""
        folder = str(self.contributions.folder_for_workers())
        return {"mlcontainer_owner": asdict(self._owner), "mlcontainer_contributions": folder}

    def select(self, items: Iterable[pytest.Item]) -> None:
        """Take note of the items that will run.

        Raises:
            pytest.UsageError: tests of several projects use fixtures in one run; or a plugin that
                adds formats does not work, which is better known before anything is built.
        """
        self._selected = tuple(items)
        self._check_one_project()
        self._check_secrets()
        projects = {
            project_file(item.path, self._config.rootpath)
            for item in self._selected
            if "mlcontainer_project" in getattr(item, "fixturenames", ())
        }
        if len(projects) > 1:
            names = ", ".join(sorted(str(project) for project in projects))
            raise pytest.UsageError(
                f"tests of several projects use container fixtures in one run: {names}\n"
                "  → run pytest once for each (their collected items can run together)"
            )
        if any(_compares(item) for item in self._selected) and not _is_worker(self._config):
            self._check_plugins()

    def _check_one_project(self) -> None:
        """Records are called after entrypoints, which several projects may well share."""
        files = {item.settings.file for item in self._selected if isinstance(item, JobItem)}
        for name in ("records", "baseline"):
            if len(files) > 1 and getattr(self.options, name) is not None:
                raise pytest.UsageError(
                    f"--container-{name}: records of several projects cannot share a folder: "
                    f"{', '.join(sorted(map(str, files)))}\n"
                    "  → run pytest once for each, with a folder of its own"
                )

    def _check_secrets(self) -> None:
        """What the selected runs are to be given is there; known in a moment, before a build."""
        if self._config.getoption("collectonly"):
            return
        entries: dict[Path, tuple[Settings, list[Entrypoint]]] = {}
        for item in self._selected:
            if isinstance(item, JobItem) and isinstance(item.job, (RunJob, ServeJob)):
                _settings, found = entries.setdefault(item.settings.file, (item.settings, []))
                found.append(item.job.entrypoint)
        for file, (settings, found) in entries.items():
            problems = secret_problems(settings, found, self.surroundings.environ)
            if problems:
                raise pytest.UsageError(str(ConfigError(str(file), problems)))

    def _check_plugins(self) -> None:
        """What plugins add, and that there are variations of the names asked for."""
        if self._config.getoption("collectonly"):
            return
        try:
            _loaded = self.comparators
            for item in self._selected:
                if isinstance(item, JobItem) and isinstance(item.job, VariesJob):
                    wanted(self.families, item.job.names)
        except MlContainerError as error:
            raise pytest.UsageError(str(error)) from error

    def begin_beside(self, item: JobItem) -> None:
        """Start selected images, or runs, of this item's project side by side.

        A run waits for what it needs, so all of them can be begun at once, in the plan's order.
        """
        jobs = tuple(
            other.job
            for other in self._selected
            if isinstance(other, JobItem)
            and other.settings.file == item.settings.file
            and isinstance(other.job, (ImageJob, RunJob))
            and type(other.job) is type(item.job)
        )
        self.prefetch(item.settings, jobs)

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start jobs side by side; runs that are then made count, whether a test asks or not."""
        self._begun |= {(settings.file, job): settings for job in jobs if isinstance(job, RunJob)}
        self.pipeline.prefetch(settings, jobs)

    def repeat(self, nodeid: str) -> str:
        """The command that repeats one test just as it was, from where pytest was started."""
        # What `mlcontainer test` has started says so: else its settings would be those again on
        # which the project's own pytest ends.
        alone = str(self._config.inipath) == os.devnull
        words = ["mlcontainer", "test"] if alone else ["pytest", "--container"]
        for name in ("platform", "image", "gpus", "repeat", "baseline", "vary", "budget"):
            value = self._config.getoption(f"container_{name}")
            words += [f"--container-{name}={value}"] if value else []
        engines = self._config.getoption("container_engine")
        words += [f"--container-engine={engine}" for engine in engines]
        file, colons, item = nodeid.partition("::")
        place = os.path.relpath(self._config.rootpath / file, self._config.invocation_params.dir)
        return shlex.join([*words, f"{place}{colons}{item}"])

    def without_secrets(self, text: str) -> str:
        """Text that is shown. Logs and messages have no secrets by then, but what is compared
        comes also from inside files whose bytes show nothing, such as compressed ones."""
        return self._hidden.text(text)

    @property
    def _hidden(self) -> Redactor:
        return NOTHING if self._pipeline is None else self._pipeline.hidden

    def explanation(self, error: MlContainerError, where: str) -> str:
        """The error in full the first time, and afterwards where it was explained.

        Errors quote what containers printed, so that each line is escaped.
        """
        said = self.without_secrets(str(error))
        text = "\n".join(escape(line, _LONGEST_LINE) for line in said.split("\n"))
        first = self._shown.setdefault(text, where)
        if first == where:
            return text
        return f"not run: {escape(self.without_secrets(error.what))} (explained in full at {first})"

    def explain(
        self,
        item: pytest.Item,
        excinfo: pytest.ExceptionInfo[BaseException],
        report: pytest.TestReport,
    ) -> None:
        """Make a report's text ours: of our items' failures, and of our errors in any test."""
        text = self._explain_in_test(item, excinfo)
        if text is not None:
            report.longrepr = text
        if isinstance(report.longrepr, str) and (text is not None or isinstance(item, JobItem)):
            explained.mark(report)

    def _explain_in_test(
        self, item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str | None:
        """An error of ours in somebody's test, without our own frames; None for other errors."""
        error = misuse_of(excinfo.value) or excinfo.value
        if not isinstance(error, MlContainerError) or isinstance(item, JobItem):
            return None
        lines = [
            f"{item.path.name}:{entry.lineno + 1}: {str(entry.statement).strip()}"
            for entry in excinfo.traceback
            if entry.path == item.path
        ]
        return "\n".join((*lines[-1:], self.explanation(error, item.nodeid)))

    def project(self) -> Project:
        """The project of the test that runs now.

        Raises:
            pytest.UsageError: it has no configuration.
        """
        assert self.current is not None
        file = project_file(self.current.path, self._config.rootpath)
        settings = None if file is None else self.load(file)
        if settings is None:
            raise pytest.UsageError(
                f"no [tool.mlcontainer] table in any pyproject.toml above {self.current.path}\n"
                "  → write one (`mlcontainer init` makes a first version of it)"
            )
        return Project(settings, self)

    def record(self, result: Result) -> None:
        """Attach a result to the test that runs now."""
        if self.current is not None:
            if result.outcome is not None and not result.outcome.verdict.passes:
                result = replace(result, repeat=self.repeat(self.current.nodeid))
            self.contributions.add(self.current, self._hidden.clean(result))

    def record_update(self, lines: list[str]) -> None:
        """Attach what was written to the test that runs now."""
        if self.current is not None:
            self.contributions.add_update(self.current, lines)

    def collect(self, report: pytest.TestReport) -> None:
        """Take over what a test's report carries, from this process or a worker."""
        explained.restore(report)
        self.contributions.collect(report)

    def complete(self) -> None:
        """Add what was run and rode on no report: a worker died, or the session ended early."""
        self.contributions.recover()
        for (_file, job), settings in self._begun.items():
            run = self.pipeline.known_run(settings, job)
            if run is not None:
                self.contributions.results.append(self._hidden.clean(Result.of_run(run)))

    def summarise(self, terminal: pytest.TerminalReporter) -> None:
        """Print what was compared, at the end of the session."""
        lines = summary_lines(self.contributions.results)
        if self._unwritten is not None:
            lines += str(self._unwritten).split("\n")
        if self._ended_before(terminal):
            lines.append(
                "no container ran, because of errors in the project's tests: `mlcontainer test` "
                "runs [tool.mlcontainer] alone"
            )
        for container in self.pipeline.kept():
            lines.append(f"kept: docker logs {container} (`mlcontainer clean` removes it)")
        if lines:
            terminal.section("containers")
            for line in lines:
                terminal.write_line(line)
        if self.contributions.updates:
            terminal.section("baseline")
            for line in self.contributions.updates:
                terminal.write_line(line)

    def _ended_before(self, terminal: pytest.TerminalReporter) -> bool:
        """Whether pytest has collected items of ours, and ended on errors of other files."""
        errors = terminal.stats.get("error", ())
        collecting = any(isinstance(each, pytest.CollectReport) for each in errors)
        ran = any(terminal.stats.get(kind) for kind in ("passed", "failed", "skipped", "xfailed"))
        return collecting and not ran and bool(self._selected)

    def write_report(self) -> bool:
        """Write the reports where `--container-report` says; False where that cannot be done."""
        folder = self.options.report
        if folder is None:
            return True
        try:
            write_reports(folder, self.contributions.results, time.monotonic() - self._started)
        except OSError as error:
            value = why_unwritable(folder, error)
            remedy = "name a folder that can be written, with room for the report"
            self._unwritten = MlContainerError("the report cannot be written", value, remedy)
        return self._unwritten is None

    def end(self) -> None:
        """Let go of everything; the controller also cleans up after its workers."""
        if self._pipeline is not None:
            self._pipeline.close()
        if not _is_worker(self._config):
            self.pipeline.clean_up(last=True)
        self.contributions.close()


def begin(config: pytest.Config) -> State:
    """Read the options and make this session's state.

    Raises:
        pytest.UsageError: an option's value is wrong.
    """
    plugins = config.pluginmanager

    def kinds() -> tuple[EngineKind, ...]:
        return load_engines(plugins.list_name_plugin(), plugins.is_blocked)

    try:
        options = parse_options(
            machine(),
            schemes=schemes_of(kinds),
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
        )
    except MlContainerError as error:
        raise pytest.UsageError(str(error)) from error
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        contributions = Contributions(Path(worker["mlcontainer_contributions"]))
        return State(config, options, Owner(**worker["mlcontainer_owner"]), contributions, kinds)
    state = State(config, options, current_owner(uuid.uuid4().hex), Contributions(), kinds)
    config.pluginmanager.register(_Controller(state), "mlcontainer-controller")
    return state


def add_project_file(config: pytest.Config) -> None:
    """Collect the root's `pyproject.toml` too where `testpaths` would leave it out."""
    file = config.rootpath / "pyproject.toml"
    if (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and file.is_file()
        and has_table(file)
        and not any(config.rootpath.samefile(arg) for arg in config.args if Path(arg).exists())
    ):
        config.args.append(str(file))


def project_file(start: Path, root: Path) -> Path | None:
    """The nearest `pyproject.toml` with our table, from `start` upwards to `root`'s top."""
    for folder in (start, *start.parents, root):
        file = folder / "pyproject.toml"
        if file.is_file() and has_table(file):
            return file
    return None


def surroundings(config: pytest.Config, owner: Owner, log: LogLine, kinds: Kinds) -> Surroundings:
    """What this process and its environment give a pipeline."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Surroundings(
        owner=owner,
        cache=cache_folder(os.environ),
        environ=with_programs_beside(sys.executable, environ),
        log=log,
        parallel=1 if _is_worker(config) else min(cores or 1, _MOST_PARALLEL),
        processes=int(getattr(config, "workerinput", {}).get("workercount", 1)),
        kinds=kinds,
    )


def _log(config: pytest.Config) -> LogLine:
    """To the logger; with -v also to the terminal, because a silent build looks like a hang.

    -v shows the steps of builds and runs, -vv also what those steps print.
    """
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    verbosity = config.get_verbosity()
    if terminal is None or verbosity < 1 or _is_worker(config):
        return _LOGGER.info
    screen = os.dup(sys.__stdout__.fileno()) if sys.__stdout__ else os.dup(1)

    def log(line: str) -> None:
        _LOGGER.info(line)
        if verbosity < 2 and f": {DETAIL}" in line:
            return
        text = f"  {escape(line)}\n"
        if terminal.currentfspath is not None:
            # The name of the running test stands there without an end of line.
            text, terminal.currentfspath = "\n" + text, None
        os.write(screen, text.encode("utf-8", "replace"))

    return log


def _compares(item: pytest.Item) -> bool:
    if isinstance(item, JobItem):
        return not isinstance(item.job, (ImageJob, RunJob, ServeJob))
    return "compare_outputs" in getattr(item, "fixturenames", ())


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
