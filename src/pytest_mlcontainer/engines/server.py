"""A server entrypoint in a container of testcontainers, on a free port of this machine."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, DockerException
from docker.types import Mount
from requests.exceptions import RequestException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.client import CUT_REMEDY, innermost
from pytest_mlcontainer.engines.connect import address, is_url
from pytest_mlcontainer.engines.denials import allow_denied
from pytest_mlcontainer.engines.failures import cut_line, explain_create, explain_start
from pytest_mlcontainer.engines.gpus import device_request
from pytest_mlcontainer.engines.isolation import isolation, socket_mounts
from pytest_mlcontainer.engines.sessions import container_labels
from pytest_mlcontainer.errors import EngineError, RunError
from pytest_mlcontainer.model import Output, Owner, Server
from pytest_mlcontainer.secrets import Redactor

_POLL_S = 0.1
_REQUEST_TIMEOUT_S = 5.0
_TAIL_LINES = 20


@dataclass(frozen=True)
class Started:
    """A server that answered its health path.

    Args:
        url: base URL without a trailing slash, reachable from this machine.
        container: the container's id.
        startup_s: seconds from its start to the first good answer.
    """

    url: str
    container: str
    startup_s: float


@contextmanager
def serve(
    name: str,
    spec: ContainerSpec,
    server: Server,
    *,
    endpoint: str | None,
    environ: Mapping[str, str],
    owner: Owner,
    files: tuple[tuple[Output, str], ...] = (),
    writable: tuple[str, ...] = (),
) -> Iterator[Started]:
    """Start a server, wait until it answers, and remove it at the end of the `with` block.

    Args:
        name: of the entrypoint, for messages.
        files: outputs of other runs with the absolute paths they are put at.
        writable: folders that every user may write to, in memory.

    Raises:
        EngineError: the engine goes away or does not answer.
        RunError: it ends by itself, or does not answer within `server.startup_timeout_s`.
    """
    with _answering(name):
        container = _container(spec, server, endpoint, environ, owner, files, writable)
    started = time.monotonic()
    try:
        with spec.secrets.hidden.guarding(), _answering(name):
            _start(container, spec)
            url = _await(name, container, server, started, spec.secrets.hidden)
        yield Started(url, container.get_container_id(), time.monotonic() - started)
    finally:
        # From an engine that is away, or does not let go of it, the session's end removes it.
        with suppress(DockerException, RequestException):
            container.stop(force=True, delete_volume=True)


@contextmanager
def _answering(name: str) -> Iterator[None]:
    """Say of an engine that does not answer that it is the engine.

    Raises:
        EngineError: it does not, or refuses something.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        what = f"the engine went away or refused something while the server {name} was started"
        raise EngineError(what, innermost(error), CUT_REMEDY) from error


def _container(
    spec: ContainerSpec,
    server: Server,
    endpoint: str | None,
    environ: Mapping[str, str],
    owner: Owner,
    files: tuple[tuple[Output, str], ...],
    writable: tuple[str, ...],
) -> DockerContainer:
    container = DockerContainer(spec.image, docker_client_kw=_client_arguments(endpoint, environ))
    container.with_envs(**{**dict(spec.env), **dict(spec.secrets.variables)})
    container.with_bind_ports(server.port)
    for output, path in files:
        container.with_copy_into_container(output.path, path, output.mode | 0o444)
    for path, content in spec.secrets.files:
        container.with_copy_into_container(content, path, 0o444)
    for path in writable:
        container.with_tmpfs_mount(path)
    if spec.command:
        container.with_command(list(spec.command))
    limits = spec.limits
    mounts = [
        *(Mount(path, volume, read_only=True) for volume, path in spec.volumes),
        *socket_mounts(spec, address(endpoint, environ)),
    ]
    chosen: dict[str, Any] = {
        "platform": str(spec.platform),
        "labels": container_labels(owner),
        # Ports are published by a bridge; `none` has no ports.
        "network": "bridge" if limits.network == "none" else limits.network,
        "entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "working_dir": spec.workdir,
        "user": limits.user,
        "mem_limit": limits.memory_bytes,
        "nano_cpus": None if limits.cpus is None else int(limits.cpus * 1e9),
        "shm_size": limits.shm_size_bytes,
        "device_requests": [device_request(limits.gpus)] if limits.gpus else None,
        "mounts": mounts or None,
        **isolation(spec),
    }
    container.with_kwargs(
        **{option: value for option, value in chosen.items() if value is not None}
    )
    return container


def _client_arguments(endpoint: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    chosen = dict(environ)
    if endpoint is not None and is_url(endpoint):
        chosen["DOCKER_HOST"] = endpoint
    elif endpoint is not None:
        chosen.pop("DOCKER_HOST", None)
        chosen["DOCKER_CONTEXT"] = endpoint
    return {"environment": chosen}


def _start(container: DockerContainer, spec: ContainerSpec) -> None:
    # testcontainers' own reaper needs an image, a socket in a container and a port; ours does not.
    # Only what is started here goes without it.
    reaper_was_off = testcontainers_config.ryuk_disabled
    testcontainers_config.ryuk_disabled = True
    try:
        container.start()
    except APIError as error:
        explanation = str(error.explanation)
        made = container._container
        if made is None:
            raise explain_create(explanation, spec) from error
        made.reload()
        raise explain_start(explanation, made.attrs, spec) from error
    finally:
        testcontainers_config.ryuk_disabled = reaper_was_off


def _await(
    name: str, container: DockerContainer, server: Server, started: float, hidden: Redactor
) -> str:
    deadline = started + server.startup_timeout_s
    last = "no answer"
    url = ""
    while time.monotonic() < deadline:
        _check_alive(name, container, hidden)
        if not url:
            port = container.get_docker_client().port(container.get_container_id(), server.port)
            url = f"http://{container.get_container_host_ip()}:{port}"
        last = _health(url + server.health)
        if last == "":
            return url
        time.sleep(_POLL_S)
    raise RunError(
        f"the server {name} did not answer in time",
        f"{server.health} on port {server.port}, {server.startup_timeout_s:g} s: {last}\n"
        f"{_tail(container, server.health, hidden)}",
        "it answers, but not with success: check `health`, or raise startup-timeout"
        if last.startswith("HTTP ")
        else "it must listen on 0.0.0.0, not 127.0.0.1, inside the container; check `port`, or "
        "raise startup-timeout",
    )


def _check_alive(name: str, container: DockerContainer, hidden: Redactor) -> None:
    container.reload()
    state = container.get_wrapped_container().attrs["State"]
    if state["Status"] in ("exited", "dead"):
        last = _tail(container, None, hidden)
        table = f"[tool.mlcontainer.entrypoints.{name}]"
        remedy = "a server entrypoint must stay in the foreground; its own words are above"
        raise RunError(
            f"the server {name} ended before it answered",
            f"exit code {state['ExitCode']}\n{last}",
            "; ".join(filter(None, (remedy, allow_denied(last, table, root=None)))),
        )


def _health(url: str) -> str:
    """Empty when the server answers with success, otherwise why not."""
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, urllib.error.URLError, ValueError) as error:
        return str(getattr(error, "reason", error))


def _tail(container: DockerContainer, health: str | None, hidden: Redactor) -> str:
    """The last lines it printed, without those about the requests that we made ourselves."""
    own = f"GET {health} " if health else "\n"
    stdout, stderr = container.get_logs()
    for stream, raw in (("stderr", stderr), ("stdout", stdout)):
        lines = hidden.text(raw.decode("utf-8", "replace")).splitlines()
        lines = [line for line in lines if line.strip() and own not in line]
        if lines:
            last = (f"  {cut_line(line)}" for line in lines[-_TAIL_LINES:])
            return "\n".join((f"last lines of {stream}:", *last))
    return "it printed nothing"
