"""What is said of a task, in one line."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.progress.board import RunningTask
from pytest_mlcontainer.report.escape import escape

_NEAR: Final = 0.25
_PARTS: Final = 3


def title_of(going: RunningTask) -> str:
    """What a task is about, with the first of what is varied where that is much."""
    name, _bracket, inside = going.task.title.partition("[")
    parts = inside.removesuffix("]").split(", ")
    if len(parts) <= _PARTS + 1:
        return escape(going.task.title)
    return escape(f"{name}[{', '.join(parts[:_PARTS])} and {len(parts) - _PARTS} more]")


def state_of(going: RunningTask) -> str:
    """What a task does, and how far it is, without its title."""
    task = going.task
    text = task.activity.value
    if task.most is not None:
        text = f"{text}, {going.done} of at most {task.most} runs"
    more = ", ".join(filter(None, (going.known or going.step, going.far)))
    return escape(f"{text}; {more}" if more else text)


def clock_of(going: RunningTask, now: float) -> str:
    """How long it has taken, and may yet: `0:34 of about 1:10`, `5:34 of at most 10:00`.

    A limit is shown once a good part of it is over: most tasks are far from theirs.

    Args:
        now: in seconds since the epoch.
    """
    passed = max(now - going.began, 0.0)
    if going.usual_s is not None and passed <= going.usual_s:
        return f"{clock(passed)} of about {clock(going.usual_s)}"
    limit_s = going.task.limit_s
    if limit_s is not None and passed >= _NEAR * limit_s:
        return f"{clock(passed)} of at most {clock(limit_s)}"
    return clock(passed)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
