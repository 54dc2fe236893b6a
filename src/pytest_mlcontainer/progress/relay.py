"""Events on their way from worker processes to the one that has a terminal: lines of JSON in files.

FOLDER/PID.events
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytest_mlcontainer.progress.events import Event, event_from_json, event_to_json

_SUFFIX: Final = ".events"
_MOST_BYTES: Final = 1 << 20  # that are read at once, of each worker


class EventWriter:
    """Writes the events of this process.

    Args:
        folder: that both processes know.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{os.getpid()}{_SUFFIX}"

    def tell(self, event: Event) -> None:
        """In one write, and so whole or not at all; what cannot be written is not shown."""
        line = json.dumps(event_to_json(event)).encode("utf-8", "surrogateescape") + b"\n"
        try:
            with self._file.open("ab", buffering=0) as file:
                file.write(line)
        except OSError:
            return


class EventReader:
    """Reads what has come since it was asked last, of all other processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def new(self) -> Iterator[Event]:
        """Events, in the order of each process."""
        for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
            for line in self._lines(file):
                try:
                    yield event_from_json(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    continue  # of a process that ended while it wrote

    def _lines(self, file: Path) -> list[bytes]:
        start = self._read.get(file, 0)
        try:
            with file.open("rb") as source:
                source.seek(start)
                text = source.read(_MOST_BYTES)
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read[file] = start + len(whole)
        return whole.splitlines()
