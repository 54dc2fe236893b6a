"""A proxy in front of a real engine that does to its connections what networks and restarts do.

Each request goes over a connection of its own, so that a fault hits what it is meant for.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Fault:
    """What happens to some requests.

    Args:
        request: regular expression for `METHOD /path?query`.
        kind: `refuse` (closed before the engine hears of it), `drop` (closed when the engine has
            answered), `cut` (closed after `after` bytes of the answer), `stall` (nothing comes any
            more after `after` bytes of the answer), `empty` (the answer has nothing in it), a
            number (the answer is that status, with `message`).
        times: how many requests it hits.
        skip: how many it lets pass first.
    """

    request: str
    kind: str
    after: int = 0
    times: int = 1
    skip: int = 0
    message: str = "an answer that a test asked for"
    hit: int = field(default=0, init=False)

    def strikes(self, request: str) -> bool:
        if self.hit >= self.times or not re.search(self.request, request):
            return False
        self.skip -= 1
        self.hit += self.skip < 0
        return self.skip < 0


class FaultyProxy:
    """Listens on a unix socket; use as a context manager.

    Args:
        engine: the real engine's socket.
        delay_s: before each piece of an answer is handed on.
        bytes_per_s: of what comes from the engine; 0 for as fast as it goes.
    """

    def __init__(
        self, engine: str, listen: Path, delay_s: float = 0.0, bytes_per_s: float = 0.0
    ) -> None:
        self._engine = engine.removeprefix("unix://")
        self._path = listen
        self._delay_s = delay_s
        self._bytes_per_s = bytes_per_s
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._closed = threading.Event()
        self.requests: list[str] = []
        self.url = f"unix://{listen}"

    def __enter__(self) -> FaultyProxy:
        self.up()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closed.set()
        self.down()
        for thread in self._threads:
            thread.join(10)

    def add(self, request: str, kind: str | int, **more: Any) -> Fault:
        fault = Fault(request, str(kind), **more)
        self._faults.append(fault)
        return fault

    def up(self) -> None:
        """Take connections."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(50)
        self._begin(self._accept, self._listener)

    def down(self) -> None:
        """Cut all connections and take no more, as an engine that ends."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._path.unlink(missing_ok=True)
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for live in self._live:
                _shut(live)

    def restart(self, away_s: float) -> None:
        """Go down, and come up again later."""
        self.down()
        self._begin(self._come_back, away_s)

    def _come_back(self, away_s: float) -> None:
        if not self._closed.wait(away_s):
            self.up()

    def _begin(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            with self._lock:
                self._live |= {client, engine}
            try:
                self._handle(client, engine)
            except OSError:
                pass
            finally:
                with self._lock:
                    self._live -= {client, engine}

    def _handle(self, client: socket.socket, engine: socket.socket) -> None:
        head, rest = _read_head(client)
        request = " ".join(head.split("\r\n")[0].split(" ")[:2])
        with self._lock:
            self.requests.append(request)
            fault = next((each for each in self._faults if each.strikes(request)), None)
        if fault is not None and fault.kind == "refuse":
            return
        if fault is not None and fault.kind == "empty":
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        if fault is not None and fault.kind.isdigit():
            _swallow(client, head, rest)
            client.sendall(_answer(int(fault.kind), fault.message))
            return
        if "upgrade:" not in head.lower():
            head = re.sub(r"(?im)^connection:.*\r\n", "", head)
            head = head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        engine.connect(self._engine)
        engine.sendall(head.encode("latin-1") + rest)
        sending = threading.Thread(target=_copy, args=(client, engine), daemon=True)
        sending.start()
        self._hand_on(client, engine, fault, sending)
        _shut(engine)
        _shut(client)
        sending.join(10)

    def _hand_on(
        self,
        client: socket.socket,
        engine: socket.socket,
        fault: Fault | None,
        sending: threading.Thread,
    ) -> None:
        """Send what the engine answers, up to where the fault strikes."""
        left = None
        if fault is not None:
            left = 0 if fault.kind == "drop" else fault.after
        while data := engine.recv(65536):
            if left is not None and len(data) > left:
                client.sendall(data[:left])
                while fault is not None and fault.kind == "stall" and sending.is_alive():
                    sending.join(0.1)  # until the client has had enough
                return
            left = None if left is None else left - len(data)
            time.sleep(self._delay_s)
            if self._bytes_per_s:
                time.sleep(len(data) / self._bytes_per_s)
            client.sendall(data)


def _read_head(client: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            raise OSError("closed")
        data += more
    head, _blank, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1") + "\r\n\r\n", rest


def _swallow(client: socket.socket, head: str, rest: bytes) -> None:
    """Read a request's body, so that its sender gets to the answer."""
    length = re.search(r"(?im)^content-length: *(\d+)", head)
    left = int(length.group(1)) - len(rest) if length else 0
    while left > 0 and (data := client.recv(65536)):
        left -= len(data)
    if "chunked" in head.lower():
        while not rest.endswith(b"0\r\n\r\n") and (data := client.recv(65536)):
            rest = rest[-8:] + data


def _answer(status: int, message: str) -> bytes:
    body = json.dumps({"message": message}).encode()
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
