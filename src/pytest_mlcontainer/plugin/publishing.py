"""`--container-push`: whether everything that there is to test has passed, and then publishing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.matrix import image_job, plan, platforms
from pytest_mlcontainer.model import HOST, ImageName, Publication, Settings
from pytest_mlcontainer.pipeline.release import (
    EXPECTED,
    FAILED,
    SKIPPED,
    SessionTests,
    why_held_back,
)
from pytest_mlcontainer.plugin.results import HARMLESS
from pytest_mlcontainer.plugin.session import ContainerSession

LEFT_OUT: Final = "mlcontainer_left_out"
_FILE: Final = "pyproject.toml"


class Publisher:
    """Watches a session's tests, and publishes at its end.

    Args:
        name: to publish under.
    """

    def __init__(self, session: ContainerSession, name: ImageName) -> None:
        self._session = session
        self._name = name
        self._passed: set[str] = set()
        self._others: dict[str, str] = {}
        self._left_out: list[str] = []

    def collect(self, report: pytest.TestReport) -> None:
        """Take notice of one phase of a test."""
        if "container" not in report.keywords:
            return
        test = report.nodeid
        if report.failed:
            self._others[test] = FAILED
        elif report.skipped and getattr(report, HARMLESS, False):
            self._passed.add(test)
        elif report.skipped:
            self._others.setdefault(test, EXPECTED if _xfails(report) else SKIPPED)
        elif report.when == "call":
            self._passed.add(test)

    def leave_out(self, tests: list[str]) -> None:
        """Take notice of tests with containers that were deselected."""
        self._left_out += tests

    def publish(self, session: pytest.Session) -> Publication:
        """Publish, or say why nothing is published."""
        files = sorted({_file_of(test) for test in (*self._passed, *self._others)} - {""})
        if len(files) != 1:
            several = f"several projects were tested: {', '.join(files)}"
            return self._held_back(several if files else "no test of [tool.mlcontainer] has passed")
        try:
            settings = self._session.load(Path(session.config.rootpath, files[0]))
        except MlContainerError as error:
            return self._held_back(error.what)
        assert settings is not None
        why = self._why_not(session, settings, files[0])
        if why:
            return self._held_back(why)
        options = self._session.options
        jobs = tuple(
            image_job(settings, options, each)
            for each in platforms(settings, options)
            if each != HOST
        )
        if not jobs:
            return self._held_back("host alone was tested, which has no image")
        pipeline = self._session.pipeline
        published = pipeline.publishing.publish(settings, jobs, self._name, self._tests())
        return pipeline.hidden.clean(published)

    def _why_not(self, session: pytest.Session, settings: Settings, file: str) -> str:
        """What is missing of a whole session in which all passed; "" where nothing is."""
        ended = not (session.shouldfail or session.shouldstop)
        return why_held_back(
            SessionTests(
                wanted=tuple(f"{file}::{job}" for job in plan(settings, self._session.options)),
                passed=frozenset(self._passed),
                others=dict(self._others),
                left_out=tuple(self._left_out),
                is_whole=ended and session.exitstatus == pytest.ExitCode.OK,
            )
        )

    def _held_back(self, why: str) -> Publication:
        return Publication(asked=str(self._name), held_back=why)

    def _tests(self) -> tuple[str, ...]:
        return tuple(sorted(self._passed))


def check_push(session: ContainerSession) -> None:
    """See that the registry would take it, before hours of tests.

    Raises:
        pytest.UsageError: it would not.
    """
    config, name = session.config, session.options.push
    if name is None or session.is_worker or config.getoption("collectonly"):
        return
    try:
        session.pipeline.publishing.check(name)
    except MlContainerError as error:
        raise pytest.UsageError(f"--container-push={name}: {error}") from error


def left_out(config: pytest.Config) -> list[str]:
    """What of this process's tests was deselected, for whoever publishes."""
    noted: list[str] = config.stash.setdefault(_LEFT_OUT, [])
    return noted


def told_by(node: Any) -> list[str]:
    """The same of a worker of pytest-xdist that has ended."""
    output = getattr(node, "workeroutput", None) or {}  # none of one that died
    return [str(test) for test in output.get(LEFT_OUT, ())]


def tell(config: pytest.Config) -> None:
    """Where this is such a worker: tell it."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output[LEFT_OUT] = left_out(config)


_LEFT_OUT: Final = pytest.StashKey[list[str]]()


def _file_of(test: str) -> str:
    file = test.partition("::")[0]
    return file if Path(file).name == _FILE else ""


def _xfails(report: pytest.TestReport) -> bool:
    return hasattr(report, "wasxfail")
