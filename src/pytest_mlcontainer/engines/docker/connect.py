"""From a URL, a docker context or the environment to a client of the engine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace

from docker.context import ContextAPI
from docker.errors import DockerException, TLSParameterError
from docker.utils import kwargs_from_env

from pytest_mlcontainer.engines.docker.client import PATIENCE, EngineClient, Patience, innermost
from pytest_mlcontainer.errors import EngineError

MINIMUM_API = (1, 41)  # Docker Engine 20.10: the first that checks `platform` on create

HOW_TO_GET_ONE = (
    "start Docker (or podman's API service), or name an engine with DOCKER_HOST, "
    "`docker context use`, or --container-engine=URL; `mlcontainer doctor` checks all that is "
    "needed"
)


def is_url(endpoint: str) -> bool:
    """Whether `endpoint` is a URL; otherwise it is the name of a docker context."""
    return "://" in endpoint


def open_client(
    endpoint: str | None, environ: Mapping[str, str], patience: Patience = PATIENCE
) -> EngineClient:
    """Connect as the docker command would.

    Args:
        endpoint: URL or context name; None is DOCKER_HOST, then the current context, then the
            default socket.
        environ: the environment variables that count.
        patience: how long the engine is waited for.

    Raises:
        EngineError: there is no engine, it does not answer, or it is too old.
    """
    shown = endpoint or environ.get("DOCKER_HOST") or "the default engine"
    try:
        arguments = _arguments(endpoint, environ)
        shown = str(arguments.get("base_url") or shown)
        knock(shown, patience.answer_s)
        # Until it has answered once, nothing is waited for that is away.
        asking = EngineClient(replace(patience, away_s=0.0), arguments)
        version = asking.newest_version()
    except (DockerException, TLSParameterError, OSError, ValueError) as error:
        raise EngineError(
            "no engine answers", f"{shown} ({innermost(error)})", _remedy(error)
        ) from error
    check_version(shown, version)
    return asking.speaking(version, patience)


def address(endpoint: str | None, environ: Mapping[str, str]) -> str:
    """The URL that `endpoint` means here; the same for everybody who means the same engine.

    Raises:
        EngineError: there is no such context.
    """
    return str(_arguments(endpoint, environ).get("base_url") or "the default engine")


def check_version(endpoint: str, api_version: str) -> None:
    """Refuse an engine whose API is older than `MINIMUM_API`.

    Raises:
        EngineError: it is.
    """
    if tuple(int(part) for part in api_version.split(".")[:2]) < MINIMUM_API:
        needed = ".".join(map(str, MINIMUM_API))
        raise EngineError(
            "the engine is too old",
            f"{endpoint} speaks API {api_version}, needed is {needed}",
            "update to Docker Engine 20.10 or later (or podman 4), or use another engine with "
            "--container-engine=URL",
        )


def _arguments(endpoint: str | None, environ: Mapping[str, str]) -> dict[str, object]:
    if endpoint is not None and is_url(endpoint):
        tls = kwargs_from_env(environment=dict(environ)).get("tls")
        return {"base_url": endpoint, **({"tls": tls} if tls and _is_tcp(endpoint) else {})}
    if endpoint is None and environ.get("DOCKER_HOST"):
        return dict(kwargs_from_env(environment=dict(environ)))
    if endpoint is not None and ContextAPI.get_context(endpoint) is None:
        known = ", ".join(sorted(context.Name for context in ContextAPI.contexts()))
        raise EngineError(
            "there is no such docker context",
            f"{endpoint!r}; known: {known}",
            "`docker context ls` lists them; a URL needs its scheme, as in unix:///run/docker.sock",
        )
    return dict(ContextAPI.kwargs_from_context(endpoint, environment=dict(environ)))


def knock(endpoint: str, timeout_s: float) -> None:
    """Try a local socket first: docker-py leaves the one open with which it fails.

    Raises:
        OSError: nobody listens there.
    """
    path = endpoint.removeprefix("unix://")
    if path == endpoint or not hasattr(socket, "AF_UNIX"):
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(timeout_s)
        knocking.connect(path)


def _remedy(error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return (
            "let this user use it: `sudo usermod -aG docker $USER`, then log in again; or name "
            "another engine with DOCKER_HOST or --container-engine=URL"
        )
    return HOW_TO_GET_ONE


def _is_tcp(endpoint: str) -> bool:
    return endpoint.startswith(("tcp://", "https://"))
