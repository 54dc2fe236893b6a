"""What is wrong with the selected items, before the first thing is built."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Entrypoint, ImageJob, RunJob, ServeJob, Settings, VariesJob
from pytest_mlcontainer.pipeline.project_secrets import secret_problems
from pytest_mlcontainer.plugin.items import JobItem
from pytest_mlcontainer.plugin.publishing import check_push
from pytest_mlcontainer.plugin.session import ContainerSession, project_file
from pytest_mlcontainer.variations import wanted


def check(session: ContainerSession, items: Iterable[pytest.Item]) -> None:
    """Take note of the items that will run, and see that they can.

    Raises:
        pytest.UsageError: tests of several projects use fixtures in one run; a secret is not there;
            or a plugin that adds formats does not work, which is better known now.
    """
    session.selected = tuple(items)
    _check_records(session)
    if not session.config.getoption("collectonly"):
        _check_secrets(session)
    projects = {
        project_file(item.path, session.config.rootpath)
        for item in session.selected
        if "mlcontainer_project" in getattr(item, "fixturenames", ())
    }
    if len(projects) > 1:
        names = ", ".join(sorted(str(project) for project in projects))
        raise pytest.UsageError(
            f"tests of several projects use container fixtures in one run: {names}\n"
            "  → run pytest once for each (their collected items can run together)"
        )
    check_push(session)
    compares = any(_compares(item) for item in session.selected)
    if compares and not session.is_worker and not session.config.getoption("collectonly"):
        _check_plugins(session)


def _check_records(session: ContainerSession) -> None:
    """Records are called after entrypoints, which several projects may well share."""
    files = {item.settings.file for item in session.selected if isinstance(item, JobItem)}
    if len(files) > 1 and session.options.push is not None:
        raise pytest.UsageError(
            "--container-push: images of several projects cannot have one name: "
            f"{', '.join(sorted(map(str, files)))}\n  → run pytest once for each"
        )
    for name in ("records", "baseline"):
        if len(files) > 1 and getattr(session.options, name) is not None:
            raise pytest.UsageError(
                f"--container-{name}: records of several projects cannot share a folder: "
                f"{', '.join(sorted(map(str, files)))}\n"
                "  → run pytest once for each, with a folder of its own"
            )


def _check_secrets(session: ContainerSession) -> None:
    """What the selected runs are to be given is there; known in a moment, before a build."""
    entries: dict[Path, tuple[Settings, list[Entrypoint]]] = {}
    for item in session.selected:
        if isinstance(item, JobItem) and isinstance(item.job, (RunJob, ServeJob)):
            _settings, found = entries.setdefault(item.settings.file, (item.settings, []))
            found.append(item.job.entrypoint)
    for file, (settings, found) in entries.items():
        problems = secret_problems(settings, found, session.setup.environ)
        if problems:
            raise pytest.UsageError(str(ConfigError(str(file), problems)))


def _check_plugins(session: ContainerSession) -> None:
    """What plugins add, and that there are variations of the names asked for."""
    try:
        _loaded = session.comparators
        for item in session.selected:
            if isinstance(item, JobItem) and isinstance(item.job, VariesJob):
                wanted(session.families, item.job.names)
    except MlContainerError as error:
        raise pytest.UsageError(str(error)) from error


def _compares(item: pytest.Item) -> bool:
    if isinstance(item, JobItem):
        return not isinstance(item.job, (ImageJob, RunJob, ServeJob))
    return "compare_outputs" in getattr(item, "fixturenames", ())
