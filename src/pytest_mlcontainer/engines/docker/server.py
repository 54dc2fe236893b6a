"""A server's container: what it has beside others, and where its port is reached from here.

The second is what testcontainers knows, for engines beside us, elsewhere, and around us.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException
from testcontainers.core.config import ConnectionMode
from testcontainers.core.docker_client import DockerClient

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.client import CUT_REMEDY, innermost
from pytest_mlcontainer.engines.docker.connect import is_url
from pytest_mlcontainer.engines.docker.container import DockerContainer
from pytest_mlcontainer.engines.given_files import readable_tar
from pytest_mlcontainer.errors import EngineError, EngineLostError

_LOOPBACK = "127.0.0.1"
_HERE = ("localhost", _LOOPBACK, "::1")


@dataclass(frozen=True)
class ServerOptions:
    """What a server's container has beside what its spec says.

    Args:
        port: that is published, on any free port of its machine.
        address: of its machine, on which alone that is; "" for all of its addresses.
        writable: folders in memory that every user may write to.
    """

    port: int
    address: str
    writable: tuple[str, ...] = ()


class ServerAddress:
    """Where what an engine publishes is reached from here."""

    def __init__(self, endpoint: str | None, environ: Mapping[str, str]) -> None:
        chosen = dict(environ)
        if endpoint is not None and is_url(endpoint):
            chosen["DOCKER_HOST"] = endpoint
        elif endpoint is not None:
            chosen.pop("DOCKER_HOST", None)
            chosen["DOCKER_CONTEXT"] = endpoint
        self._client = DockerClient(environment=chosen)
        self._mode = self._client.get_connection_mode()
        self.loopback = _LOOPBACK if self._is_here() else ""

    def url(self, container: str, port: int) -> str | None:
        """See `engines.Launched`."""
        with suppress(DockerException, OSError):
            published = self._client.port(container, port)
            return f"http://{self.loopback or self._host(container)}:{published}"
        return None

    def close(self) -> None:
        self._client.client.close()

    def _host(self, container: str) -> str:
        if self._mode is ConnectionMode.docker_host:
            return str(self._client.host())
        if self._mode is ConnectionMode.gateway_ip:
            return str(self._client.gateway_ip(container))
        return str(self._client.bridge_ip(container))

    def _is_here(self) -> bool:
        """Whether the loopback of the engine's machine is our own.

        From within a container testcontainers goes by the engine's bridge instead. Where that is
        one of our own interfaces, the engine runs in this very container; otherwise it is outside.
        """
        if self._client.host() not in _HERE or self._mode is ConnectionMode.bridge_ip:
            return False
        return self._mode is ConnectionMode.docker_host or _is_our_address(self._gateway())

    def _gateway(self) -> str:
        """The address of the engine's bridge; "" where it has none."""
        with suppress(APIError):
            bridge = self._client.client.api.inspect_network("bridge")
            configured = bridge["IPAM"].get("Config") or ()
            return next((each["Gateway"] for each in configured if each.get("Gateway")), "")
        return ""


def _is_our_address(address: str) -> bool:
    """Whether one of this machine's interfaces has it: only to those can anything be bound."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return bool(address)
    return False


@dataclass(frozen=True)
class LaunchedContainer:
    """See `engines.Launched`; `name` is the entrypoint's, `port` the one in the container."""

    name: str
    container: DockerContainer
    port: int
    _address: ServerAddress

    def start(self) -> None:
        with self.container.spec.secrets.hidden.guarding(), answering(self.name):
            self.container.start()

    def url(self) -> str | None:
        return self._address.url(self.container.id, self.port)


def server_spec(spec: ContainerSpec) -> ContainerSpec:
    """The same on a network: ports are published by a bridge, and `none` has no ports."""
    network = "bridge" if spec.limits.network == "none" else spec.limits.network
    return replace(spec, limits=replace(spec.limits, network=network), passing=True)


def fill_server(container: DockerContainer, files: Iterable[bytes] | None) -> None:
    """Put in these files, unpacked at `/`, and those of its secrets."""
    if files is not None:
        container.put("/", files)
    secrets = container.spec.secrets.files
    if secrets:
        container.put("/", [readable_tar(secrets)])


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Say of an engine that does not answer while a server is started that it is the engine.

    Raises:
        EngineError: it does not, or refuses something.
    """
    try:
        yield
    except (DockerException, RequestException, EngineLostError) as error:
        what = f"the engine went away or refused something while the server {name} was started"
        raise EngineError(what, innermost(error), CUT_REMEDY) from error
