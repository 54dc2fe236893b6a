"""What goes on, as a stream of events: whatever takes time tells them, displays draw them."""

from __future__ import annotations

import enum
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Union

DETAIL: Final = "| "  # before a line that a step printed, as against the step itself
FAR: Final = "~ "  # before how far the step is that goes on, which the next such line replaces


class Activity(enum.Enum):
    """What a task does."""

    BUILDING = "building"
    PULLING = "pulling"
    LOOKING = "checking"
    RUNNING = "running"
    SERVING = "starting"
    OPENING = "opening"
    SEARCHING = "searching for a cause"
    PUBLISHING = "publishing"


@dataclass(frozen=True)
class Task:
    """Something that takes time.

    Args:
        key: tells it from all others, also those of other processes.
        title: what it is about, such as `train[linux/arm64]`.
        project: whose it is, for what is known of earlier sessions.
        limit_s: after which it is ended, in seconds; None where nothing does that.
        most: how many parts it has at most; None where it has none to be counted.
    """

    key: str
    activity: Activity
    title: str
    project: str = ""
    limit_s: float | None = None
    most: int | None = None

    def __str__(self) -> str:
        return f"{self.title}: {self.activity.value}"


@dataclass(frozen=True)
class TaskBegan:
    """A task was begun.

    Args:
        at: seconds since the epoch: the clock that processes of one machine share.
    """

    task: Task
    at: float


@dataclass(frozen=True)
class TaskMessage:
    """Something in a line: a step, or what a step printed.

    Args:
        about: what it is of, such as a task's title; "" for nothing in particular.
        task: the key of a task that goes on; "" for none.
    """

    about: str
    text: str
    task: str = ""

    @property
    def is_detail(self) -> bool:
        """Whether a step printed it, so that it says little by itself."""
        return self.text.startswith(DETAIL)

    @property
    def is_far(self) -> bool:
        """Whether it says how far a step is."""
        return self.text.startswith(FAR)

    def __str__(self) -> str:
        return f"{self.about}: {self.text}" if self.about else self.text


@dataclass(frozen=True)
class TaskAdvanced:
    """A task came further.

    Args:
        task: its key.
        done: how many of its parts.
        text: what is known now, in a few words.
    """

    task: str
    done: int
    text: str = ""


@dataclass(frozen=True)
class TaskEnded:
    """A task came to its end, however it went.

    Args:
        task: its key.
        worked: False where it raised.
    """

    task: str
    at: float
    worked: bool = True


Event = Union[TaskBegan, TaskMessage, TaskAdvanced, TaskEnded]
Tell = Callable[[Event], None]
_KINDS: Final = {kind.__name__: kind for kind in (TaskBegan, TaskMessage, TaskAdvanced, TaskEnded)}


class Progress:
    """What whoever works on a task tells of it."""

    def __init__(self, tell: Tell, task: Task) -> None:
        self._tell = tell
        self._task = task

    def say(self, line: str) -> None:
        """A step of it; behind `DETAIL`, what a step printed; behind `FAR`, how far it is."""
        self._tell(TaskMessage(self._task.title, line, self._task.key))

    def advance(self, done: int, text: str = "") -> None:
        """So many of its parts are done."""
        self._tell(TaskAdvanced(self._task.key, done, text))


@contextmanager
def task(
    tell: Tell,
    activity: Activity,
    title: str,
    *,
    project: str = "",
    limit_s: float | None = None,
    most: int | None = None,
) -> Iterator[Progress]:
    """A task that goes on as long as the `with` block does; arguments as of `Task`."""
    key = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    begun = Task(key, activity, title, project, limit_s, most)
    tell(TaskBegan(begun, time.time()))
    worked = False
    try:
        yield Progress(tell, begun)
        worked = True
    finally:
        tell(TaskEnded(key, time.time(), worked))


def event_to_json(event: Event) -> dict[str, Any]:
    """The event as JSON can hold it, for another process."""
    raw = asdict(event)
    if isinstance(event, TaskBegan):
        raw["task"]["activity"] = event.task.activity.name
    return {"kind": type(event).__name__, **raw}


def event_from_json(raw: dict[str, Any]) -> Event:
    """The inverse of `event_to_json`.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    values = dict(raw)
    kind = _KINDS[values.pop("kind")]
    if kind is TaskBegan:
        task_ = dict(values["task"])
        task_["activity"] = Activity[task_["activity"]]
        values["task"] = Task(**task_)
    event: Event = kind(**values)
    return event
