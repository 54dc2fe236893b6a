"""A pod's port, reached from this machine: a listener here, and a connection to the pod for each
that comes in."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from websocket import ABNF, WebSocketException

from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.errors import EngineError

_LOOPBACK: Final = "127.0.0.1"
_PROTOCOL: Final = "v4.channel.k8s.io"
_PIECE_BYTES: Final = 1 << 16
_ANSWER_S, _LOOK_S = 2.0, 0.5
_DATA, _ERROR = b"\0", b"\1"


class PortForwarding:
    """Listens on a free port of the loopback, until it is closed."""

    def __init__(self, api: ClusterApi, pod: str, port: int) -> None:
        self._api = api
        self._pod = pod
        self._port = port
        self._ending = threading.Event()
        self._listener = socket.create_server((_LOOPBACK, 0))
        name = f"port {port} of {pod}"
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://{_LOOPBACK}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Take no more connections, and end those that there are."""
        self._ending.set()
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
                opened = self._connect()
            except (WebSocketException, ApiException, EngineError, OSError, ValueError):
                return
            try:
                _exchange(connection, opened, self._ending)
            except (WebSocketException, OSError, ValueError):
                pass  # one side has gone, which the other sees by its connection's end
            finally:
                opened.shutdown()

    def _connect(self) -> Any:
        url = f"{self._api.url('pods', self._pod, 'portforward')}?ports={self._port}"
        return self._api.open_websocket(url, {"sec-websocket-protocol": _PROTOCOL})


def _exchange(here: socket.socket, there: Any, ending: threading.Event) -> None:
    """Hand on what comes from each side; two channels, the second of which is for errors, begin
    with the number of the port."""
    begun: set[bytes] = set()
    ended_at: float | None = None
    while not ending.is_set():
        if ended_at is not None and time.monotonic() > ended_at + _ANSWER_S:
            return
        ready = _ready([] if ended_at is not None else [here], there)
        if here in ready:
            data = here.recv(_PIECE_BYTES)
            if data:
                there.send_binary(_DATA + data)
            else:
                # A request may have its end long before its answer.
                ended_at = time.monotonic()
        if there in ready:
            kind, frame = there.recv_data_frame(True)
            channel, data = frame.data[:1], frame.data[1:]
            if kind == ABNF.OPCODE_CLOSE or (channel == _ERROR and channel in begun):
                return
            if channel == _DATA and channel in begun:
                here.sendall(data)
            begun.add(channel)


def _ready(here: list[socket.socket], there: Any) -> list[Any]:
    """Which sides have something to read; TLS may have decrypted more than was asked for."""
    plain = there.sock
    if isinstance(plain, ssl.SSLSocket) and plain.pending():
        return [there]
    found, _, _ = select.select([*here, plain], [], [], _LOOK_S)
    return [there if each is plain else each for each in found]
