"""A session's beginning, and the hooks of the process with a terminal: what is said at its end."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.config import has_table
from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.plugin import explained
from pytest_mlcontainer.plugin.github import GitHub
from pytest_mlcontainer.plugin.key import SESSION
from pytest_mlcontainer.plugin.overlooked import overlooked
from pytest_mlcontainer.plugin.publishing import Publisher, left_out, told_by
from pytest_mlcontainer.plugin.session import ContainerSession, options_of
from pytest_mlcontainer.plugin.so_far import ReportSoFar
from pytest_mlcontainer.report.publication import publication_lines
from pytest_mlcontainer.report.terminal import summary_lines


class Controller:
    """Hooks that only the process with a terminal needs; registered with `--container` alone."""

    def __init__(self, session: ContainerSession) -> None:
        self._session = session
        self._github = GitHub(session.config.rootpath, os.environ)
        self._so_far = ReportSoFar(self._write)
        name = session.options.push
        self._publisher = None if name is None else Publisher(session, name)

    def pytest_runtest_logstart(self) -> None:
        """Before the first test too: else the report of an earlier session would be taken for the
        one of this."""
        self._so_far.changed()

    @pytest.hookimpl(tryfirst=True)  # before the terminal and JUnit take it over
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        explained.restore(report)
        self._session.results.collect(report)
        self._github.collect(report, self._session.results.checks_of(report))
        if self._publisher is not None:
            self._publisher.collect(report)
        self._so_far.count(report)
        self._so_far.changed()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has ended, or died."""
        self._session.progress.end_worker(str(node.gateway.id))
        left_out(self._session.config).extend(told_by(node))

    def pytest_enter_pdb(self) -> None:
        """A debugger has the terminal from now on."""
        self._session.progress.end()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        results = self._session.results
        _print(terminalreporter, "containers", self._summary(terminalreporter))
        _print(terminalreporter, "baseline", results.updates)
        if results.publication is not None:
            _print(terminalreporter, "published", publication_lines(results.publication))
        for line in self._github.commands():
            terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._publisher is not None and not session.config.getoption("collectonly"):
            self._publish(self._publisher, session)
        self._session.progress.end()
        self._so_far.end()
        results = self._session.results
        # A worker died, or the session ended early.
        results.recover(self._session.begun_runs())
        written = self._write(self._so_far.why_unfinished(session))
        if self._github.is_here:
            self._github.summarise(results.summary())
        if not written and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _publish(self, publisher: Publisher, session: pytest.Session) -> None:
        """What was asked for and is not done makes the session fail, too.

        One that was refused before its first test says itself why nothing is published.
        """
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        publisher.leave_out(left_out(session.config))
        published = publisher.publish(session)
        self._session.results.publication = published
        if not published.worked and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, unfinished: str) -> bool:
        timeline = self._session.progress.timeline()
        return self._session.results.write(self._session.options.report, timeline, unfinished)

    def _summary(self, terminal: pytest.TerminalReporter) -> list[str]:
        """What was compared, and what has to be known beside."""
        results = self._session.results
        lines = [*summary_lines(results.found), *results.unwritten]
        lines += overlooked(self._session, terminal)
        for look in self._session.pipeline.kept():
            lines.append(f"kept: {look} (`mlcontainer clean` removes it)")
        return lines


def begin(config: pytest.Config) -> None:
    """Read the options and put this session on `config.stash`.

    Raises:
        pytest.UsageError: an option's value is wrong.
    """
    options = options_of(config)
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        owner, journal = Owner(**worker["mlcontainer_owner"]), Path(worker["mlcontainer_journal"])
        config.stash[SESSION] = ContainerSession(config, options, owner, journal)
    else:
        session = ContainerSession(config, options, current_owner(uuid.uuid4().hex))
        config.stash[SESSION] = session
        config.pluginmanager.register(Controller(session), "mlcontainer-controller")
    _add_project_file(config)


def _add_project_file(config: pytest.Config) -> None:
    """Collect the root's `pyproject.toml` too where `testpaths` would leave it out."""
    file = config.rootpath / "pyproject.toml"
    if (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and file.is_file()
        and has_table(file)
        and not any(config.rootpath.samefile(arg) for arg in config.args if Path(arg).exists())
    ):
        config.args.append(str(file))


def _print(terminal: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    if lines:
        terminal.write_sep("=", title)
        for line in lines:
            terminal.write_line(line)
