"""What a container prints, into two files of limited size: as it comes, or once it has ended."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from requests.exceptions import RequestException

from pytest_mlcontainer.secrets import NOTHING, Redactor

CHUNK_BYTES = 65_536
_STDOUT, _STDERR = 1, 2
# The engine says that a container has ended a moment after it has closed what that printed to.
_TOGETHER_S = 5.0


class LogFiles(AbstractContextManager["LogFiles"]):
    """Two files that take what comes, up to a limit.

    Args:
        most_bytes: of both together; what comes beyond is counted and dropped.
        hidden: what must not get into them.
    """

    def __init__(
        self, stdout: Path, stderr: Path, most_bytes: int, hidden: Redactor = NOTHING
    ) -> None:
        self.seen_bytes = 0
        self._most_bytes = most_bytes
        self._sinks: dict[int, IO[bytes]] = {}
        self._abandoned = False
        self._paths = {_STDOUT: stdout, _STDERR: stderr}
        self._hidden = {kind: hidden.stream() for kind in self._paths}

    def __enter__(self) -> LogFiles:
        self._sinks = {kind: path.open("wb") for kind, path in self._paths.items()}
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for kind, sink in self._sinks.items():
            with sink:
                if not self._abandoned:
                    sink.write(self._hidden[kind].end(cut=self.is_over))

    @property
    def is_over(self) -> bool:
        """Whether more came than may."""
        return self.seen_bytes > self._most_bytes

    def abandon(self) -> None:
        """Leave the files to somebody else."""
        self._abandoned = True

    def take(self, stream: int, data: bytes) -> None:
        room = max(self._most_bytes - self.seen_bytes, 0)
        self.seen_bytes += len(data)
        if room and not self._abandoned:
            kind = stream if stream in self._sinks else _STDOUT
            self._sinks[kind].write(self._hidden[kind].feed(data[:room]))


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
