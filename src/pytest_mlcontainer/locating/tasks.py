"""Tasks of workers, put where the other run had them: which worker gets which is left to chance.

A task is a call of a function of the project's from outside of it, in a thread or a child process.
Tasks of one function meet where they are given the same, else in their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.locating.recording import ProcessRecording, split_path

_MAIN: Final = "t0>"
_Given = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class WorkerTask:
    """A task.

    Attributes:
        stream: the name of its process.
        path: of its call.
        given: the function's name, and digests of what it was given.
    """

    stream: str
    path: str
    given: _Given


def aligned(
    expected: Sequence[ProcessRecording], actual: Sequence[ProcessRecording]
) -> tuple[ProcessRecording, ...]:
    """The actual side's recordings, each task where the expected side has the same.

    Args:
        actual: each with the name of the process that it meets.
    """
    places = _places(_tasks(expected), _tasks(actual))
    if all((task.stream, task.path) == place for task, place in places.items()):
        return tuple(actual)
    moved = {(task.stream, task.path): place for task, place in places.items()}
    found = {each.name: replace(each, events=[], layers={}) for each in (*expected, *actual)}
    for stream in actual:
        for event in stream.events:
            name, path = _moved(moved, stream.name, event.path)
            found[name].events.append(replace(event, path=path))
        for place, layers in stream.layers.items():
            name, path = _moved(moved, stream.name, place)
            found[name].layers.setdefault(path, []).extend(layers)
    return tuple(found.values())


def _tasks(streams: Sequence[ProcessRecording]) -> list[WorkerTask]:
    """All tasks of a side, in the order of its processes."""
    return [task for stream in streams for task in _tasks_of(stream)]


def _tasks_of(stream: ProcessRecording) -> list[WorkerTask]:
    paths = {event.path for event in stream.events}
    child = "." in stream.name
    begun = [each for each in stream.events if each.site is None]
    tasks = [each for each in begun if _is_task(each.path, child, paths)]
    given = [(split_path(each.path)[1], tuple(sorted(each.read.items()))) for each in tasks]
    return [
        WorkerTask(stream.name, each.path, what) for each, what in zip(tasks, given, strict=True)
    ]


def _is_task(path: str, child: bool, paths: set[str]) -> bool:
    above = path.rpartition("/")[0]
    # A forked child goes on below the statement that made it, of which it tells nothing.
    return above not in paths if child else not above and not path.startswith(_MAIN)


def _places(ours: list[WorkerTask], theirs: list[WorkerTask]) -> dict[WorkerTask, tuple[str, str]]:
    """Where each of their tasks belongs: the process, and the path of the call."""
    found: dict[WorkerTask, tuple[str, str]] = {}
    by_given, by_name = defaultdict(list), defaultdict(list)
    for task in ours:
        by_given[task.given].append(task)
    left = []
    for task in theirs:
        same = by_given[task.given]
        if same:
            found[task] = _place(same.pop(0))
        else:
            left.append(task)
    for task in ours:
        if task in by_given[task.given]:
            by_name[task.given[0]].append(task)
    for task in left:
        same = by_name[task.given[0]]
        # Where there is none like it, it must not meet another.
        found[task] = _place(same.pop(0)) if same else (task.stream, f"{task.path}~")
    return found


def _place(task: WorkerTask) -> tuple[str, str]:
    return task.stream, task.path


def _moved(
    moved: dict[tuple[str, str], tuple[str, str]], stream: str, path: str
) -> tuple[str, str]:
    """Where something of a task's belongs; itself, where it is of none."""
    end = len(path)
    while end > 0:
        place = moved.get((stream, path[:end]))
        if place is not None:
            return place[0], place[1] + path[end:]
        end = path.rfind("/", 0, end)
    return stream, path
