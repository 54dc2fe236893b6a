"""What goes on at this moment, made up of the events so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import (
    FAR,
    Event,
    Task,
    TaskAdvanced,
    TaskBegan,
    TaskEnded,
    TaskMessage,
)

_MOST_SAID = 2000  # lines of a build that are kept to be shown


@dataclass
class RunningTask:
    """A task that goes on.

    Args:
        began: in seconds since the epoch.
        usual_s: how long its like took in an earlier session; None where that is not known.
        step: the last step that it told of; `far`, how far that is.
        known: the last thing that it found.
        said: all that it told of, but for the middle of what is very long.
    """

    task: Task
    began: float
    usual_s: float | None = None
    step: str = ""
    far: str = ""
    done: int = 0
    known: str = ""
    said: list[str] = field(default_factory=list)


class TaskBoard:
    """The tasks that go on, of all processes of a session.

    Args:
        estimates: what is known of earlier sessions, and told of this one.
    """

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates
        self._lock = threading.Lock()
        self._going: dict[str, RunningTask] = {}

    def take(self, event: Event) -> RunningTask | None:
        """Take an event over.

        Returns:
            The task that it is of, as it is now; None for what is of no task that goes on.
        """
        with self._lock:
            if isinstance(event, TaskBegan):
                usual_s = self._estimates.usual_s(event.task)
                going = RunningTask(event.task, event.at, usual_s)
                self._going[event.task.key] = going
                return going
            if isinstance(event, TaskEnded):
                ended = self._going.pop(event.task, None)
                if ended is not None and event.worked:
                    self._estimates.note(ended.task, event.at - ended.began)
                return ended
            return self._note(event)

    def going(self) -> tuple[RunningTask, ...]:
        """What goes on, in the order in which it was begun."""
        with self._lock:
            return tuple(self._going.values())

    def _note(self, event: TaskMessage | TaskAdvanced) -> RunningTask | None:
        going = self._going.get(event.task)
        if going is None:
            return None
        if isinstance(event, TaskAdvanced):
            going.done, going.known = event.done, event.text or going.known
            return going
        if event.is_far:
            going.far = event.text.removeprefix(FAR)
            return going
        if not event.is_detail:
            going.step, going.far = event.text, ""
        if len(going.said) >= _MOST_SAID:
            del going.said[_MOST_SAID // 2]
        going.said.append(event.text)
        return going
