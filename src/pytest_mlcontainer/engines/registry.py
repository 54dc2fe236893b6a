"""From a URL to its engine: Docker's own schemes, and those that plugins add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import get_annotations
from typing import Final

from pytest_mlcontainer.engines.build_checks import BuildCheck
from pytest_mlcontainer.engines.containers import LogLine
from pytest_mlcontainer.engines.distribution import Repository
from pytest_mlcontainer.engines.docker.build_checks import check_build
from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.docker.contexts import context_files
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.engines.docker.registries.repository import HttpRepository
from pytest_mlcontainer.engines.kubernetes.rights import ClusterFacts
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.engines.protocols import Engine, EngineKind, EngineRequest, Kinds
from pytest_mlcontainer.engines.trial_builds import TrialBuild, TrialBuilt
from pytest_mlcontainer.errors import EngineError, MlContainerError
from pytest_mlcontainer.model import (
    DOCKER_SCHEMES,
    KUBERNETES_SCHEME,
    BuildSettings,
    ImageName,
    Platform,
)
from pytest_mlcontainer.secrets import NOTHING, Redactor


def _open_docker(asked: EngineRequest) -> Engine:
    return DockerEngine(asked.endpoint, asked.environ, asked.owner, asked.keep, asked.on_keep)


def _open_cluster(asked: EngineRequest) -> Engine:
    with _client_installed(str(asked.endpoint)):
        from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
    return ClusterEngine(asked)


@contextmanager
def _client_installed(endpoint: str) -> Iterator[None]:
    """Say of a missing library of clusters how it is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("kubernetes", "websocket"):
            raise
        raise EngineError(
            "the client of Kubernetes is not installed",
            endpoint,
            "install it: pip install 'pytest-mlcontainer[kubernetes]'",
        ) from error


def describe_cluster(url: str, environ: Mapping[str, str], gpu_resource: str) -> ClusterFacts:
    """Ask a cluster what it is, and what it lets us do.

    Raises:
        EngineError: there is none, or it does not answer.
    """
    with _client_installed(url):
        from pytest_mlcontainer.engines.kubernetes import diagnosis
    return diagnosis.describe_cluster(url, environ, gpu_resource)


__all__ = [
    "DOCKER",
    "check_dockerfile",
    "context_files",
    "describe_cluster",
    "is_cluster",
    "is_docker",
    "open_engine",
    "open_repository",
    "try_build",
]

DOCKER: Final = EngineKind("docker", DOCKER_SCHEMES, _open_docker)

KUBERNETES: Final = EngineKind("kubernetes", (KUBERNETES_SCHEME,), _open_cluster)


def is_docker(endpoint: str | None) -> bool:
    """Whether this is an engine with a Docker API; names without a scheme are docker contexts."""
    scheme, separator, _rest = (endpoint or "").partition("://")
    return not separator or scheme in DOCKER.schemes


def is_cluster(endpoint: str | None) -> bool:
    """Whether this is a Kubernetes cluster."""
    return (endpoint or "").partition("://")[0] in KUBERNETES.schemes


def _builder_of(endpoint: str | None) -> str | None:
    """The engine that builds for an engine: for a cluster it is this machine's own."""
    return None if is_cluster(endpoint) else endpoint


def check_dockerfile(
    endpoint: str | None,
    environ: Mapping[str, str],
    processes: Processes,
    build: BuildSettings,
    platform: Platform,
) -> BuildCheck:
    """Have the builder of an engine look at a Dockerfile.

    Raises:
        EngineError: it cannot; the value says why.
    """
    endpoint = _builder_of(endpoint)
    if not is_docker(endpoint):
        what = "the engine has no `docker build --check`"
        raise EngineError(what, f"{endpoint} is none of Docker's", "ask an engine of Docker's")
    return check_build(endpoint, environ, processes, build, platform)


def try_build(
    endpoint: str | None,
    environ: Mapping[str, str],
    processes: Processes,
    build: BuildSettings,
    platform: Platform,
    trial: TrialBuild,
    log: LogLine,
    hidden: Redactor = NOTHING,
) -> TrialBuilt:
    """Have an engine's builder build, to see how that goes; its cache has the steps afterwards.

    Raises:
        EngineError: it cannot; the value says why.
        BuildError: a step failed.
    """
    endpoint = _builder_of(endpoint)
    if not is_docker(endpoint):
        what = "the engine has no BuildKit to try builds with"
        raise EngineError(what, f"{endpoint} is none of Docker's", "ask an engine of Docker's")
    return Buildx(endpoint, environ, processes).try_build(build, platform, trial, log, hidden)


def open_repository(
    name: ImageName, environ: Mapping[str, str], *, push: bool = False
) -> Repository:
    """One repository of a registry, with the login that docker has for it.

    Args:
        push: whether it is to be written.

    Raises:
        RegistryError: the login or the certificates cannot be read.
    """
    return HttpRepository(name, environ, push=push)


def open_engine(asked: EngineRequest, kinds: Kinds = lambda: ()) -> Engine:
    """Connect to the engine that a URL names.

    Args:
        kinds: what plugins add; not asked for an engine of Docker's.

    Raises:
        EngineError: it cannot be reached, or no kind of engine has its scheme.
        MlContainerError: a plugin does not work.
    """
    if is_docker(asked.endpoint):
        return DOCKER.open(asked)
    if is_cluster(asked.endpoint):
        return KUBERNETES.open(asked)
    scheme = str(asked.endpoint).partition("://")[0]
    for kind in kinds():
        if scheme in kind.schemes:
            return _opened(kind, asked)
    raise EngineError(
        "no kind of engine has this scheme",
        str(asked.endpoint),
        "install the package that adds it, or name another engine with --container-engine=URL",
    )


def _opened(kind: EngineKind, asked: EngineRequest) -> Engine:
    try:
        engine = kind.open(asked)
    except MlContainerError:
        raise
    except Exception as error:
        raise EngineError(
            "the engine cannot be opened",
            f"{asked.endpoint}: {type(error).__name__}: {error}",
            f"the plugin with the engines {kind.name} has raised this: see its documentation",
        ) from error
    missing = [name for name in _members() if not hasattr(engine, name)]
    if missing:
        raise EngineError(
            "the engine is not complete",
            f"{asked.endpoint}: {type(engine).__name__} has no {', '.join(missing)}",
            f"repair the plugin with the engines {kind.name}: docs/reference/extending.md of "
            "pytest-mlcontainer says what an engine has to do",
        )
    return engine


def _members() -> tuple[str, ...]:
    """All that the protocol asks for."""
    names = (
        name
        for base in Engine.__mro__
        if base.__module__ == Engine.__module__
        for name in (*vars(base), *get_annotations(base))
        if not name.startswith("_")
    )
    return tuple(sorted(set(names)))
