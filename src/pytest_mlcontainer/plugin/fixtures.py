"""The fixtures. What they return is in `api`, which is imported only when one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_mlcontainer.model import Image, Run
    from pytest_mlcontainer.plugin.api import (
        OutputComparison,
        PlatformMatrix,
        Project,
        RunningServer,
    )


@pytest.fixture(scope="session")
def mlcontainer_project(pytestconfig: pytest.Config) -> Project:
    """The project under test: the nearest `pyproject.toml` with a `[tool.mlcontainer]` table."""
    from pytest_mlcontainer.plugin.api import project_under_test
    from pytest_mlcontainer.plugin.session import session_of

    return project_under_test(session_of(pytestconfig))


@pytest.fixture(scope="session")
def project_image(mlcontainer_project: Project) -> Image:
    """The `Image` on the reference platform, built or, with `--container-image`, found:
    `.reference`, `.digest`, `.platform`, `.user`, `.workdir`, `.size_bytes`.
    """
    return mlcontainer_project.image()


@pytest.fixture(scope="session")
def run_entrypoint(mlcontainer_project: Project) -> Project:
    """`run_entrypoint(name, *, platform, env, timeout, repeat, vary, check) -> Run` runs an
    entrypoint, or gives the run that was made with the same arguments.

    name: of the entrypoint. platform: `linux/arm64`, `host`, …; the reference platform by default.
    env: variables on top of the configured ones. timeout: seconds, instead of the configured limit.
    repeat: another number asks for another run of the same thing. vary: names of variations that
    the run is made under. check: False gives a run that failed, too, with its `failure`.
    """
    return mlcontainer_project


@pytest.fixture(scope="session")
def training_run(mlcontainer_project: Project) -> Run:
    """The `Run` of the entrypoint `train` (or `training`, `fit`) on the reference platform."""
    return mlcontainer_project(mlcontainer_project.find("training_run", "train", "training", "fit"))


@pytest.fixture(scope="session")
def inference_run(mlcontainer_project: Project) -> Run:
    """The `Run` of the entrypoint `infer` (or `inference`, `predict`) on the reference platform,
    after what it needs.
    """
    names = ("infer", "inference", "predict")
    return mlcontainer_project(mlcontainer_project.find("inference_run", *names))


@pytest.fixture(scope="session")
def platform_matrix(mlcontainer_project: Project) -> PlatformMatrix:
    """The platforms under test, the reference first: iterable, `.reference`, and
    `.run(name) -> {Platform: Run}`, which runs an entrypoint on all of them, side by side.
    """
    from pytest_mlcontainer.plugin.api import PlatformMatrix

    return PlatformMatrix(mlcontainer_project)


@pytest.fixture(scope="session")
def compare_outputs(mlcontainer_project: Project, pytestconfig: pytest.Config) -> OutputComparison:
    """`compare_outputs(run, reference, *, rules, check)` compares runs, and fails the test with the
    whole explanation on drift; also `compare_outputs(platform_matrix.run("infer"))`.

    rules: a table of rules instead of the configured ones. check: False only gives the outcomes.
    """
    from pytest_mlcontainer.plugin.api import OutputComparison

    return OutputComparison(mlcontainer_project, pytestconfig.get_verbosity())


@pytest.fixture(scope="module")
def inference_server(mlcontainer_project: Project) -> Iterator[RunningServer]:
    """The server entrypoint on the reference platform, started and healthy: `.url`, `.platform`."""
    with mlcontainer_project.serve() as server:
        yield server
