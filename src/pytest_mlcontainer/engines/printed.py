"""What a container prints, into two files of limited size."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

from pytest_mlcontainer.secrets import NOTHING, Redactor

STDOUT, STDERR = 1, 2


class LogFiles(AbstractContextManager["LogFiles"]):
    """Two files that take what comes, up to a limit.

    Args:
        most_bytes: of both together; what comes beyond is counted and dropped.
        hidden: what must not get into them.
    """

    def __init__(
        self, stdout: Path, stderr: Path, most_bytes: int, hidden: Redactor = NOTHING
    ) -> None:
        self.seen_bytes: int = 0
        self._most_bytes = most_bytes
        self._sinks: dict[int, IO[bytes]] = {}
        self._abandoned = False
        self._paths = {STDOUT: stdout, STDERR: stderr}
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
        """Write a piece of `STDOUT` or `STDERR`, as far as there is room."""
        room = max(self._most_bytes - self.seen_bytes, 0)
        self.seen_bytes += len(data)
        if room and not self._abandoned:
            kind = stream if stream in self._sinks else STDOUT
            self._sinks[kind].write(self._hidden[kind].feed(data[:room]))
