"""How requests reach an engine by a local socket or by ssh, in place of docker-py's own ways.

docker-py's socket is left open where it cannot connect, and its pipe to `ssh` knows no time limit,
whatever is asked for, and starts an `ssh` for each request.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.transport import UnixHTTPAdapter
from docker.transport.basehttpadapter import BaseHTTPAdapter
from requests.adapters import BaseAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

_Connect = Callable[[float | None], socket.socket]  # with a time limit in seconds
_LEAVE_S = 10.0  # for an ssh whose connection was closed


def accepted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as docker-py takes them: for ssh it wants a package that is not needed here."""
    ssh = str(arguments.get("base_url")).startswith("ssh://")
    return {**arguments, "base_url": "tcp://localhost:22"} if ssh else dict(arguments)


def use(client: docker.APIClient, endpoint: str, connections: BaseAdapter | None = None) -> None:
    """Let a client speak by connections that keep time limits, where its own do not.

    Args:
        client: made with `accepted` arguments and a version, so that it has asked for nothing yet.
        endpoint: the URL that was meant.
        connections: of another client to the same endpoint, to go on with.
    """
    own = client.get_adapter(client.base_url)
    connect: _Connect | None = None
    if isinstance(own, UnixHTTPAdapter):
        connect = partial(_connect_unix, own.socket_path)
        # Nothing is gained by having the engine press what only goes through a socket of this
        # machine: files come out in 0.6 of the time.
        client.headers["Accept-Encoding"] = "identity"
    elif endpoint.startswith("ssh://"):
        connect = partial(_connect_ssh, endpoint)
        client.base_url = "http+docker://ssh"
    if connections is None and connect is not None:
        connections = _Adapter(connect)
    if connections is not None:
        own.close()
        client.mount(client.base_url, connections)


class _Adapter(BaseHTTPAdapter):
    def __init__(self, connect: _Connect) -> None:
        self._pool = _Pool("localhost", maxsize=10, connect_socket=connect)
        super().__init__()

    def get_connection(self, _url: Any, _proxies: Any = None) -> HTTPConnectionPool:
        return self._pool

    def request_url(self, request: Any, _proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()


class _Connection(HTTPConnection):
    def __init__(self, host: str, *, connect_socket: _Connect, **_others: Any) -> None:
        super().__init__(host)
        self._connect = connect_socket

    def connect(self) -> None:
        timeout = self.timeout
        self.sock = self._connect(timeout if isinstance(timeout, int | float) else None)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def _connect_unix(path: str, timeout_s: float | None) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout_s)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _connect_ssh(endpoint: str, timeout_s: float | None) -> socket.socket:
    """One end of a pair of sockets, whose other end is all that `ssh` reads and writes.

    It ends when that is closed.
    """
    where = urlsplit(endpoint)
    words = ["ssh"]
    words += ["-l", where.username] if where.username else []
    words += ["-p", str(where.port)] if where.port else []
    words += ["--", where.hostname or "", "docker system dial-stdio"]
    ours, theirs = socket.socketpair()
    with theirs:
        # Ctrl-C is for us: what we made on the engine has to be removed by this connection.
        process = subprocess.Popen(
            words,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN),
        )
    made = _Closing(fileno=ours.detach())
    made.settimeout(timeout_s)
    threading.Thread(target=_reap, args=(process, made.closed), daemon=True).start()
    return made


class _Closing(socket.socket):
    """A socket that says when it is closed."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


def _reap(process: subprocess.Popen[bytes], closed: threading.Event) -> None:
    """Wait for an `ssh`; one that stays when its connection was closed has lost the other side."""
    while not closed.wait(1.0):
        if process.poll() is not None:
            return
    try:
        process.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
