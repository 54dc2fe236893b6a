"""How long tasks took in earlier sessions, kept in the folder that sessions share."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_mlcontainer.progress.events import Task
from pytest_mlcontainer.storage import read_object, write_json

_FILE: Final = "durations.json"
_MOST: Final = 2000  # tasks that are kept: the latest
_LEAST_S: Final = 1.0  # what is shorter needs no estimate


class Estimates:
    """Reads them once, and writes them at the end.

    Args:
        folder: None for nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, float] = {}
        self._noted: dict[str, float] = {}
        if folder is not None:
            with suppress(OSError, ValueError):
                kept = read_object(folder / _FILE) or {}
                self._known = {
                    key: float(value)
                    for key, value in kept.items()
                    if isinstance(value, (int, float))
                }

    def usual_s(self, task: Task) -> float | None:
        """How long its like took the last time, in seconds; None where that is not known."""
        return self._known.get(_key(task))

    def note(self, task: Task, seconds: float) -> None:
        """It took so long this time."""
        if seconds >= _LEAST_S:
            self._noted[_key(task)] = round(seconds, 1)

    def keep(self) -> None:
        """Let the next session know. Where that cannot be, it has no estimate, no more."""
        if self._folder is None or not self._noted:
            return
        older = {key: value for key, value in self._known.items() if key not in self._noted}
        latest = list({**older, **self._noted}.items())[-_MOST:]
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json(self._folder / _FILE, dict(latest))


def _key(task: Task) -> str:
    text = "\0".join((task.project, task.activity.name, task.title))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]
