"""A server entrypoint's container, started by testcontainers, with a free port of its machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from pytest_mlcontainer.engines import Container, ContainerSpec
from pytest_mlcontainer.engines.docker.client import CUT_REMEDY, PATIENCE, innermost
from pytest_mlcontainer.engines.docker.connect import address, is_url, knock
from pytest_mlcontainer.engines.docker.gpus import device_request
from pytest_mlcontainer.engines.docker.isolation import isolation
from pytest_mlcontainer.engines.docker.mounts import plan_mounts, volumes_of
from pytest_mlcontainer.engines.docker.refusals import explain_create, explain_start
from pytest_mlcontainer.engines.docker.sessions import container_labels
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Owner

_LOOPBACK = "127.0.0.1"
_HERE = ("localhost", _LOOPBACK, "::1")


@dataclass(frozen=True)
class LaunchedContainer:
    """See `engines.Launched`.

    Args:
        port: in the container.
        here: it is published on this machine's loopback alone.
    """

    container: Container
    port: int
    here: bool
    _made: DockerContainer

    def url(self) -> str | None:
        made = self._made
        with suppress(DockerException, OSError):
            port = made.get_docker_client().port(self.container.id, self.port)
            host = _LOOPBACK if self.here else made.get_container_host_ip()
            return f"http://{host}:{port}"
        return None


@contextmanager
def launch(
    name: str,
    spec: ContainerSpec,
    port: int,
    *,
    endpoint: str | None,
    environ: Mapping[str, str],
    owner: Owner,
    adopt: Callable[[str], Container],
    files: Iterable[bytes] | None = None,
    writable: tuple[str, ...] = (),
) -> Iterator[LaunchedContainer]:
    """See `engines.Launcher`.

    Args:
        adopt: gives the container of an id, which was started here and is removed here.
    """
    with _answering(name):
        container = _container(spec, endpoint, environ, owner, files, writable)
        here = _publish(container, port)
    try:
        with spec.secrets.hidden.guarding(), _answering(name):
            _start(container, spec)
        yield LaunchedContainer(adopt(container.get_container_id()), port, here, container)
    finally:
        # From an engine that is away, or does not let go of it, the session's end removes it.
        with suppress(DockerException, OSError):
            knock(address(endpoint, environ), PATIENCE.answer_s)
            container.stop(force=True, delete_volume=True)
        container.get_docker_client().client.close()


class _FilledContainer(DockerContainer):  # type: ignore[misc, unused-ignore]
    """One that is given a whole tar stream between its making and its start.

    testcontainers itself copies single files, each read whole, and knows no owners and no times.
    """

    def with_files(self, tar: Iterable[bytes]) -> None:
        self._transferable_specs.append((b"", ""))
        self._tar = tar

    def _transfer_into_container(
        self, transferable: Any, destination_in_container: str, mode: int = 0o644
    ) -> None:
        if destination_in_container:
            super()._transfer_into_container(transferable, destination_in_container, mode)
        elif self._container is not None:
            self._container.put_archive("/", (piece for piece in self._tar))


def _declared_volumes(container: DockerContainer, spec: ContainerSpec) -> tuple[str, ...]:
    """Where its image asks for volumes; none where it is not there, which creating says."""
    with suppress(APIError):
        return volumes_of(container.get_docker_client().client.api.inspect_image(spec.image))
    return ()


def _publish(container: DockerContainer, port: int) -> bool:
    """Let the engine publish the port; returns whether on its loopback alone, which is ours."""
    container.with_bind_ports(port)
    here = _is_here(container)
    if here:
        # `with_bind_ports` has no way to say it; docker-py takes an address, and any port of it.
        ports: dict[str, Any] = container.ports
        ports[str(port)] = (_LOOPBACK, None)
    return here


def _is_here(container: DockerContainer) -> bool:
    """Whether the loopback of the engine's machine is our own.

    From within a container testcontainers goes by the engine's bridge instead. Where that is one
    of our own interfaces, the engine runs in this very container; otherwise it is outside.
    """
    client = container.get_docker_client()
    mode = client.get_connection_mode().name
    if client.host() not in _HERE or mode not in ("docker_host", "gateway_ip"):
        return False
    return mode == "docker_host" or _is_our_address(_gateway(client.client.api))


def _gateway(api: docker.APIClient) -> str:
    """The address of an engine's bridge; "" where it has none."""
    with suppress(APIError):
        configured = api.inspect_network("bridge")["IPAM"].get("Config") or ()
        return next((each["Gateway"] for each in configured if each.get("Gateway")), "")
    return ""


def _is_our_address(address: str) -> bool:
    """Whether one of this machine's interfaces has it: only to those can anything be bound."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return bool(address)
    return False


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
    endpoint: str | None,
    environ: Mapping[str, str],
    owner: Owner,
    files: Iterable[bytes] | None,
    writable: tuple[str, ...],
) -> DockerContainer:
    client = _client_arguments(endpoint, environ)
    container = _FilledContainer(spec.image, docker_client_kw=client)
    container.with_envs(**{**dict(spec.env), **dict(spec.secrets.variables)})
    if files is not None:
        container.with_files(files)
    for path, content in spec.secrets.files:
        container.with_copy_into_container(content, path, 0o444)
    for path in writable:
        container.with_tmpfs_mount(path)
    if spec.command:
        container.with_command(list(spec.command))
    limits = spec.limits
    declared = set(_declared_volumes(container, spec)) - set(writable)
    mounts = plan_mounts(spec, owner.labels(), address(endpoint, environ), sorted(declared))
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
