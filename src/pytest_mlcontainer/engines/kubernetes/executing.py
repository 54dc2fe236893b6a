"""Programs executed in a pod's container, over a connection that may break off."""

from __future__ import annotations

import json
import select
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import websocket
from kubernetes.client.exceptions import ApiException
from websocket import WebSocketException

from pytest_mlcontainer.engines.kubernetes.api import AWAY_REMEDY, ClusterApi
from pytest_mlcontainer.errors import EngineError, EngineLostError

T = TypeVar("T")

PATIENCE_S, PAUSE_S = 60.0, 0.5
_PIECE_BYTES: Final = 1 << 17
_LOOK_S: Final = 1.0
_ANSWER_S: Final = 60.0  # for the rest of a frame that has begun
_MOST_STDERR_BYTES: Final = 1 << 16
# https://kubernetes.io/docs/reference/using-api: the first byte of a message says its channel.
_STDIN, _STDOUT, _STDERR, _STATUS = b"\0", b"\1", b"\2", b"\3"


@dataclass
class Execution:
    """A program that runs, or has run, in a container.

    Args:
        code: its exit code; None as long as that is not known.
        errors: what it printed to stderr, or the first of that.
    """

    code: int | None = None
    errors: bytes = field(default=b"")

    def words(self) -> str:
        """What it printed to stderr, as text."""
        return self.errors.decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class PodPlace:
    """One container of a pod."""

    api: ClusterApi
    pod: str
    container: str

    def execute(
        self,
        command: Sequence[str],
        execution: Execution,
        stdin: bytes | Iterator[bytes] = b"",
        *,
        silence_s: float,
    ) -> Iterator[bytes]:
        """Execute a program; what it prints to stdout comes piece by piece.

        Args:
            execution: gets the rest; its code is known after the last piece.
            stdin: what it is given. It sees no end of it, and has to know how much there is.
            silence_s: how long it may neither print nor take anything.

        Raises:
            EngineLostError: the connection broke, so that how it ended is not known.
            EngineError: the cluster refuses to execute it.
        """
        sock = self._open(command, reads=stdin != b"")
        try:
            for piece in (stdin,) if isinstance(stdin, bytes) else stdin:
                for start in range(0, len(piece), _PIECE_BYTES):
                    sock.send_binary(_STDIN + piece[start : start + _PIECE_BYTES])
            yield from self._printed(sock, execution, silence_s)
        except (WebSocketException, OSError) as error:
            raise self._broken(str(error)) from error
        finally:
            sock.shutdown()

    def run(self, command: Sequence[str], *, limit_s: float = 60.0) -> tuple[Execution, bytes]:
        """The same for a program that prints little, and may be executed twice where a connection
        broke; returns what it printed, too."""

        def once() -> tuple[Execution, bytes]:
            execution = Execution()
            return execution, b"".join(self.execute(command, execution, silence_s=limit_s))

        return patiently(self.api, once)

    def _printed(self, sock: Any, execution: Execution, silence_s: float) -> Iterator[bytes]:
        """What comes on stdout; the library's own reader gathers all that has come, by copying."""
        status, heard = b"", time.monotonic()
        while True:
            if not _has_come(sock):
                if time.monotonic() > heard + silence_s or self.api.ending.is_set():
                    raise self._broken(f"silent for {time.monotonic() - heard:.0f} s")
                continue
            heard = time.monotonic()
            kind, frame = sock.recv_data_frame(True)
            if kind == websocket.ABNF.OPCODE_CLOSE:
                break
            channel, data = frame.data[:1], frame.data[1:]
            if channel == _STDOUT and data:
                yield data
            elif channel == _STDERR:
                execution.errors += data[: _MOST_STDERR_BYTES - len(execution.errors)]
            elif channel == _STATUS:
                status += data
        execution.code = self._code(status)

    def _code(self, status: bytes) -> int:
        """The exit code, from what the API sends of it at the end."""
        if not status:
            raise self._broken("the connection ended without an exit code")
        raw = json.loads(status)
        if raw.get("status") == "Success":
            return 0
        for cause in (raw.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        raise EngineError(
            "nothing can be executed in the pod", f"{self.pod}: {raw.get('message')}", ""
        )

    def _open(self, command: Sequence[str], *, reads: bool) -> Any:
        query = [("container", self.container), ("stdout", "true"), ("stderr", "true")]
        query += [("stdin", "true")] if reads else []
        query += [("command", word) for word in command]
        url = f"{self.api.url('pods', self.pod, 'exec')}?{urlencode(query)}"
        try:
            opened = self.api.open_websocket(url)
        except (WebSocketException, ApiException, OSError) as error:
            raise self._refused(error) from error
        opened.settimeout(_ANSWER_S)
        return opened

    def _refused(self, error: Exception) -> EngineError:
        status = getattr(error, "status_code", None)
        body = getattr(error, "resp_body", b"") or b""
        said = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        if isinstance(error, websocket.WebSocketBadStatusException) and status == 403:
            return EngineError(
                "the cluster does not let programs be executed in pods",
                f"{self.pod}: {said or error}",
                "`mlcontainer doctor --engine=URL` prints the smallest Role that is enough",
            )
        return self._broken(said or str(error))

    def _broken(self, said: str) -> EngineLostError:
        return EngineLostError("the connection to a pod broke", f"{self.pod}: {said}", AWAY_REMEDY)


def patiently(api: ClusterApi, once: Callable[[], T]) -> T:
    """Try something again while a cluster's parts are away; a kubelet takes its time to be back.

    Raises:
        EngineLostError: they stay away.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return once()
        except EngineLostError:
            if time.monotonic() > deadline or api.ending.wait(PAUSE_S):
                raise


def _has_come(sock: Any) -> bool:
    """Wait a moment for something to read; TLS may have decrypted more than was asked for."""
    plain = sock.sock
    if isinstance(plain, ssl.SSLSocket) and plain.pending():
        return True
    poll = select.poll()
    poll.register(plain, select.POLLIN)
    return bool(poll.poll(_LOOK_S * 1000))
