"""A server's pod, and where its port is reached from here."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.container import PodContainer
from pytest_mlcontainer.engines.kubernetes.forwarding import PortForwarding


class LaunchedPod:
    """See `engines.Launched`; `port` is the one in the container."""

    def __init__(self, api: ClusterApi, container: PodContainer, port: int) -> None:
        self._api = api
        self._container = container
        self._port = port
        self._forwarding: PortForwarding | None = None

    @property
    def container(self) -> PodContainer:
        return self._container

    def start(self) -> None:
        self._container.start()
        self._forwarding = PortForwarding(self._api, self._container.pod(), self._port)

    def url(self) -> str | None:
        ended = self._container.inspect_exit().code is not None
        return None if self._forwarding is None or ended else self._forwarding.url

    def close(self) -> None:
        """Let nobody reach it any more."""
        if self._forwarding is not None:
            self._forwarding.close()


def server_spec(spec: ContainerSpec, writable: tuple[str, ...]) -> ContainerSpec:
    """The same with a network, which a port is reached by, and with folders to write to."""
    network = "bridge" if spec.limits.network == "none" else spec.limits.network
    limits = replace(spec.limits, network=network)
    scratch = tuple(dict.fromkeys((*spec.scratch, *writable)))
    return replace(spec, limits=limits, scratch=scratch, passing=True)
