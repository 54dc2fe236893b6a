"""Events on their way from worker processes to the one that has a terminal: lines of JSON in files.

FOLDER/WORKER.events
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_mlcontainer.progress.events import (
    Event,
    TaskBegan,
    TaskEnded,
    event_from_json,
    event_to_json,
)

_SUFFIX: Final = ".events"
_MARKED: Final = (TaskBegan.__name__.encode(), TaskEnded.__name__.encode())
_MARKS: Final = tuple(b'{"kind": "%s"' % kind for kind in _MARKED)
_MOST_BYTES: Final = 1 << 20  # that are read at once, of each worker


class EventWriter:
    """Writes the events of this process.

    Args:
        folder: that both processes know.
        worker: the name by which the other one knows this process.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._file = folder / f"{worker}{_SUFFIX}"

    def tell(self, event: Event) -> None:
        """In one write, and so whole or not at all; what cannot be written is not shown."""
        line = json.dumps(event_to_json(event)).encode("utf-8", "surrogateescape") + b"\n"
        try:
            with self._file.open("ab", buffering=0) as file:
                file.write(line)
        except OSError:
            return


def read_marks(folder: Path) -> dict[str, list[TaskBegan | TaskEnded]]:
    """The beginnings and ends of tasks that each worker told of, from the first on."""
    found: dict[str, list[TaskBegan | TaskEnded]] = {}
    for file in sorted(folder.glob(f"*{_SUFFIX}")):
        marks = found.setdefault(file.stem, [])
        with suppress(OSError), file.open("rb") as lines:
            for line in lines:
                with suppress(ValueError, KeyError, TypeError):
                    if line.startswith(_MARKS):
                        event = event_from_json(json.loads(line))
                        marks += [event] if isinstance(event, (TaskBegan, TaskEnded)) else []
    return found


class EventReader:
    """Reads what has come since it was asked last, of all workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._read: dict[str, int] = {}
        self._going: dict[str, list[str]] = {}

    def new(self) -> list[Event]:
        """Events, in the order of each worker."""
        with self._lock:
            files = sorted(self._folder.glob(f"*{_SUFFIX}"))
            return [event for file in files for event in self._new_of(file.stem)]

    def end(self, worker: str) -> list[Event]:
        """The last events of a worker that is no more: nothing of it goes on."""
        with self._lock:
            last = self._new_of(worker)
            left = self._going.pop(worker, [])
            return [*last, *(TaskEnded(key, time.time(), worked=False) for key in left)]

    def _new_of(self, worker: str) -> list[Event]:
        found: list[Event] = []
        for line in self._lines(worker):
            try:
                found.append(event_from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                continue  # of a process that ended while it wrote
        going = self._going.setdefault(worker, [])
        for event in found:
            if isinstance(event, TaskBegan):
                going.append(event.task.key)
            elif isinstance(event, TaskEnded) and event.task in going:
                going.remove(event.task)
        return found

    def _lines(self, worker: str) -> list[bytes]:
        start = self._read.get(worker, 0)
        try:
            with (self._folder / f"{worker}{_SUFFIX}").open("rb") as source:
                source.seek(start)
                text = source.read(_MOST_BYTES)
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read[worker] = start + len(whole)
        return whole.splitlines()
