"""An engine's stream of what a container prints, taken apart: as it comes, or once it has ended."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress

import requests
from requests.exceptions import RequestException

from pytest_mlcontainer.engines.printed import LogFiles

CHUNK_BYTES = 65_536
# The engine says that a container has ended a moment after it has closed what that printed to.
_TOGETHER_S = 5.0


def answer_within(limit_s: float, ask: Callable[[], requests.Response]) -> requests.Response | None:
    """The answer to a request whose body may be silent for any time; None where there is none yet.

    requests knows one limit for the head of an answer and for each piece of its body.

    Args:
        ask: sends the request, without a limit for reading. An answer that comes too late is
            closed.

    Raises:
        RequestException: the engine cannot be asked.
    """
    answer: Future[requests.Response] = Future()

    def wait() -> None:
        try:
            response = ask()
        except Exception as error:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)
        else:
            if answer.set_running_or_notify_cancel():
                answer.set_result(response)
            else:
                response.close()

    threading.Thread(target=wait, daemon=True).start()
    with suppress(FutureTimeoutError):
        return answer.result(limit_s)
    return None if answer.cancel() else answer.result()


class Following:
    """Takes what is printed into files, in a thread, until the stream ends.

    Args:
        chunks: the engine's multiplexed stream, from before the start of the container.
        on_full: called once, from that thread, when there is more than the files may hold. The
            rest is still read, since nobody ends who cannot write.
    """

    def __init__(
        self, chunks: Iterator[bytes], files: LogFiles, on_full: Callable[[], None]
    ) -> None:
        self.files = files
        self._on_full = on_full
        self._ended_at: float | None = None
        self._thread = threading.Thread(target=self._follow, args=(chunks,), daemon=True)
        self._thread.start()

    def finish(self) -> bool:
        """Whether all is there, asked when the container has ended.

        A stream that ended long before its container did was cut off on the way.
        """
        asked = time.monotonic()
        self._thread.join(_TOGETHER_S)
        ended_at = None if self._thread.is_alive() else self._ended_at
        if ended_at is None or ended_at < asked - _TOGETHER_S:
            self.files.abandon()
            return False
        return True

    def _follow(self, chunks: Iterator[bytes]) -> None:
        was_over = False
        with suppress(RequestException, OSError), self.files as files:
            for kind, data in frames(chunks):
                files.take(kind, data)
                if files.is_over and not was_over:
                    was_over = True
                    self._on_full()
            self._ended_at = time.monotonic()


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Take apart the engine's multiplexed log stream: 8 bytes of header (stream, length), data.

    Raises:
        ConnectionError: it was cut off.
    """
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        start = 0
        while len(buffer) - start >= 8:
            kind, length = struct.unpack_from(">BxxxL", buffer, start)
            end = start + 8 + length
            if len(buffer) < end:
                break
            yield kind, bytes(buffer[start + 8 : end])
            start = end
        del buffer[:start]
    if buffer:
        raise ConnectionError("it ends within a line")
