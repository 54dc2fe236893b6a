"""What it costs to show what goes on."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measure import Figure, in_turns
from pytest_mlcontainer.displays.showing import DisplayChoice, DisplayKind, Showing
from pytest_mlcontainer.progress.events import (
    FAR,
    Activity,
    Event,
    Task,
    TaskAdvanced,
    TaskBegan,
    TaskEnded,
    TaskMessage,
)

NAME = "display"
ROUNDS = 5
_BAR_PERCENT: Final = 1.0
_SECONDS: Final = 6.0
_TASKS: Final = 4
_EVENTS_PER_S: Final = 20  # of all tasks together: what a build with pip in it prints


def figures(rounds: int) -> Iterator[Figure]:
    """Processor time of a session's own process in the same seconds of events, shown live, in
    plain lines and not at all, as a share of them."""
    taken = in_turns({shown.value: _replay(shown) for shown in _SHOWN}, rounds)
    bare = median(taken[DisplayKind.NONE.value])
    for shown in (DisplayKind.LIVE, DisplayKind.PLAIN):
        cost = median(taken[shown.value])
        detail = f"{cost * 1000:.0f} ms / {bare * 1000:.0f} ms"
        share = 100 * (cost - bare) / _SECONDS
        yield Figure(NAME, f"share of wall time, {shown.value}", share, _BAR_PERCENT, "%", detail)


_SHOWN: Final = (DisplayKind.LIVE, DisplayKind.PLAIN, DisplayKind.NONE)


class _Terminal:
    """A place of the usual size that takes what is written."""

    def __init__(self) -> None:
        self._file = io.StringIO()

    def write(self, text: str) -> None:
        self._file.write(text)

    def write_lines(self, lines: list[str]) -> None:
        self._file.write("".join(f"{line}\n" for line in lines))

    def size(self) -> os.terminal_size:
        return os.terminal_size((100, 30))


def _replay(shown: DisplayKind) -> Callable[[], float]:
    """A way that tells the same events at the same moments; gives seconds of processor time."""

    def way() -> float:
        with tempfile.TemporaryDirectory() as cache:
            showing = Showing(_Terminal(), DisplayChoice(shown, 0, color=True), {}, Path(cache))
            started, before = time.monotonic(), time.process_time()
            for number, event in enumerate(_events()):
                time.sleep(max(0.0, started + number / _EVENTS_PER_S - time.monotonic()))
                showing.tell(event)
            showing.end()
            return time.process_time() - before

    return way


def _events() -> Iterator[Event]:
    tasks = [
        Task(f"t{number}", Activity.BUILDING, f"image[linux/{number}]", limit_s=600, most=100)
        for number in range(_TASKS)
    ]
    now = time.time()
    yield from (TaskBegan(task, now) for task in tasks)
    for number in range(int(_SECONDS * _EVENTS_PER_S) - 2 * _TASKS):
        task = tasks[number % _TASKS]
        if number % 3 == 0:
            yield TaskMessage(
                task.title, f"[{number}/200] RUN pip install package-{number}", task.key
            )
        elif number % 3 == 1:
            yield TaskMessage(task.title, f"{FAR}{number} of 200 MB", task.key)
        else:
            yield TaskAdvanced(task.key, number // 2, "layers")
    yield from (TaskEnded(task.key, time.time()) for task in tasks)
