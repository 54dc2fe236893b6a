"""A pod's port, reached from this machine: a listener here, and a connection to the pod for each
that comes in."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import closing, suppress
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import PortForward, create_websocket
from websocket import WebSocketException

from pytest_mlcontainer.engines.kubernetes.api import ClusterApi

_LOOPBACK: Final = "127.0.0.1"
_PROTOCOL: Final = "v4.channel.k8s.io"
_PIECE_BYTES: Final = 1 << 16
_END_S, _LOOK_S = 5.0, 0.02


class PortForwarding:
    """Listens on a free port of the loopback, until it is closed."""

    def __init__(self, api: ClusterApi, pod: str, port: int) -> None:
        self._api = api
        self._pod = pod
        self._port = port
        self._listener = socket.create_server((_LOOPBACK, 0))
        name = f"port {port} of {pod}"
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://{_LOOPBACK}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(connection,), daemon=True).start()

    def _forward(self, connection: socket.socket) -> None:
        """Both ways, until one side ends; a pod that refuses is a port that nobody listens on."""
        with closing(connection):
            try:
                forwarded = self._connect()
            except (WebSocketException, ApiException, OSError, ValueError):
                return
            try:
                _exchange(connection, forwarded.socket(self._port))
            finally:
                _end(forwarded)

    def _connect(self) -> Any:
        url = f"{self._api.url('pods', self._pod, 'portforward')}?ports={self._port}"
        url = url.replace("https://", "wss://", 1).replace("http://", "ws://", 1)
        headers = {key.lower(): value for key, value in self._api.headers().items()}
        headers["sec-websocket-protocol"] = _PROTOCOL
        opened = create_websocket(self._api.configuration, url, headers)
        return PortForward(opened, [self._port])


def _end(forwarded: Any) -> None:
    """Close it, with the socket that the library leaves open when the pod's side was first."""
    forwarded.close()
    deadline = time.monotonic() + _END_S
    while forwarded.connected and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    forwarded.websocket.shutdown()


def _exchange(here: socket.socket, there: Any) -> None:
    # One direction may be done long before the other: a request has its end before its answer.
    other = {here: there, there: here}
    with suppress(OSError):
        while True:
            ready, _, _ = select.select([*other], [], [])
            for side in ready:
                data = side.recv(_PIECE_BYTES)
                if data:
                    (here if side is there else there).sendall(data)
                elif side is there:
                    return
                else:
                    del other[here]
