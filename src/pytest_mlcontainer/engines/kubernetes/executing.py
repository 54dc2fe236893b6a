"""Programs executed in a pod's container, over a connection that may break off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import websocket
from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import ERROR_CHANNEL, WSClient
from websocket import WebSocketException

from pytest_mlcontainer.engines.kubernetes.api import AWAY_REMEDY, ClusterApi
from pytest_mlcontainer.errors import EngineError, EngineLostError

_PIECE_BYTES: Final = 1 << 17
_LOOK_S: Final = 1.0
_MOST_STDERR_BYTES: Final = 1 << 16


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
        stream = self._open(command, reads=stdin != b"")
        try:
            for piece in (stdin,) if isinstance(stdin, bytes) else stdin:
                for start in range(0, len(piece), _PIECE_BYTES):
                    stream.write_stdin(piece[start : start + _PIECE_BYTES])
            yield from self._printed(stream, execution, silence_s)
        except (WebSocketException, OSError) as error:
            raise self._broken(str(error)) from error
        finally:
            with suppress(WebSocketException, OSError):
                stream.close()
            stream.sock.shutdown()  # `close` leaves the socket open when the other side was first

    def run(
        self, command: Sequence[str], stdin: bytes = b"", *, limit_s: float = 60.0
    ) -> tuple[Execution, bytes]:
        """The same for a program that prints little; returns that, too."""
        execution = Execution()
        printed = b"".join(self.execute(command, execution, stdin, silence_s=limit_s))
        return execution, printed

    def _printed(self, stream: Any, execution: Execution, silence_s: float) -> Iterator[bytes]:
        heard = time.monotonic()
        while True:
            open_still = stream.is_open()
            if open_still:
                stream.update(timeout=_LOOK_S)
            # Without waiting: `update` has taken what there is.
            errors = stream.read_stderr(timeout=0)
            execution.errors += errors[: _MOST_STDERR_BYTES - len(execution.errors)]
            piece = stream.read_stdout(timeout=0)
            if piece:
                yield piece
            said = errors[:1] + piece[:1]
            if said:
                heard = time.monotonic()
            elif not open_still:
                break
            elif time.monotonic() > heard + silence_s or self.api.ending.is_set():
                raise self._broken(f"silent for {time.monotonic() - heard:.0f} s")
        execution.code = self._code(stream.read_channel(ERROR_CHANNEL))

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
        url = url.replace("https://", "wss://", 1).replace("http://", "ws://", 1)
        headers = {key.lower(): value for key, value in self.api.headers().items()}
        try:
            opened = WSClient(self.api.configuration, url, headers, False, binary=True)
        except (WebSocketException, ApiException, OSError) as error:
            raise self._refused(error) from error
        opened.sock.settimeout(60.0)
        return opened

    def _refused(self, error: Exception) -> EngineError:
        status = getattr(error, "status_code", None)
        body = getattr(error, "resp_body", b"") or b""
        said = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        if isinstance(error, websocket.WebSocketBadStatusException) and status in (403, 404, 400):
            remedy = "`mlcontainer doctor --engine=URL` prints the smallest Role that is enough"
            return EngineError(
                "the cluster does not let programs be executed in pods",
                f"{self.pod}: {said or error}",
                remedy if status == 403 else "",
            )
        return self._broken(said or str(error))

    def _broken(self, said: str) -> EngineLostError:
        return EngineLostError("the connection to a pod broke", f"{self.pod}: {said}", AWAY_REMEDY)
