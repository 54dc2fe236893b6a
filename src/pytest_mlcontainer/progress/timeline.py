"""The tasks of a session with their times, from the events that tell of them."""

from __future__ import annotations

import time
from pathlib import Path

from pytest_mlcontainer.model import TimelineSpan
from pytest_mlcontainer.progress.events import Event, TaskBegan, TaskEnded
from pytest_mlcontainer.progress.relay import read_marks


class Timeline:
    """Remembers when tasks were begun and ended, in this process."""

    def __init__(self) -> None:
        self._started = time.time()
        self._marks: list[TaskBegan | TaskEnded] = []

    def take(self, event: Event) -> None:
        """Remember an event if it is of a beginning or an end."""
        if isinstance(event, (TaskBegan, TaskEnded)):
            self._marks.append(event)

    def spans(self, folder: Path | None) -> tuple[TimelineSpan, ...]:
        """All tasks up to now, in the order in which they were begun.

        Args:
            folder: where workers tell their events; None where there are no workers.
        """
        sides = {"": self._marks, **({} if folder is None else read_marks(folder))}
        found = [span for worker, marks in sides.items() for span in self._paired(marks, worker)]
        return tuple(sorted(found, key=lambda span: span.start_s))

    def _paired(self, marks: list[TaskBegan | TaskEnded], worker: str) -> list[TimelineSpan]:
        now = time.time()
        ends = {mark.task: mark for mark in marks if isinstance(mark, TaskEnded)}
        return [
            TimelineSpan(
                mark.task.activity.value,
                mark.task.title,
                max(0.0, mark.at - self._started),
                max(0.0, (now if (end := ends.get(mark.task.key)) is None else end.at) - mark.at),
                worker,
                end is not None and end.worked,
            )
            for mark in list(marks)
            if isinstance(mark, TaskBegan)
        ]
