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
    """The project's image on the reference platform, built or, with `--container-image`, found."""
    return mlcontainer_project.image()


@pytest.fixture(scope="session")
def run_entrypoint(mlcontainer_project: Project) -> Project:
    """`run_entrypoint("train", platform=…, env=…) -> Run`; see `api.Project.__call__`."""
    return mlcontainer_project


@pytest.fixture(scope="session")
def training_run(mlcontainer_project: Project) -> Run:
    """The run of the entrypoint `train` on the reference platform."""
    return mlcontainer_project(mlcontainer_project.find("training_run", "train", "training", "fit"))


@pytest.fixture(scope="session")
def inference_run(mlcontainer_project: Project) -> Run:
    """The run of the entrypoint `infer` on the reference platform, after what it needs."""
    names = ("infer", "inference", "predict")
    return mlcontainer_project(mlcontainer_project.find("inference_run", *names))


@pytest.fixture(scope="session")
def platform_matrix(mlcontainer_project: Project) -> PlatformMatrix:
    """The platforms under test: `platform_matrix.run("infer")` runs on all of them."""
    from pytest_mlcontainer.plugin.api import PlatformMatrix

    return PlatformMatrix(mlcontainer_project)


@pytest.fixture(scope="session")
def compare_outputs(mlcontainer_project: Project) -> OutputComparison:
    """`compare_outputs(run, reference)` fails the test on drift; see `api.OutputComparison`."""
    from pytest_mlcontainer.plugin.api import OutputComparison

    return OutputComparison(mlcontainer_project)


@pytest.fixture(scope="module")
def inference_server(mlcontainer_project: Project) -> Iterator[RunningServer]:
    """The project's server entrypoint, started and healthy: `inference_server.url`."""
    with mlcontainer_project.serve() as server:
        yield server
