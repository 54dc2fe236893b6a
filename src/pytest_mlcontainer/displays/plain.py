"""What goes on, in lines: for logs of CI, pipes, and terminals that cannot do more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pytest_mlcontainer.displays.folds import INDENT, Fold, FoldedSteps, unfolded
from pytest_mlcontainer.displays.words import clock, clock_of, state_of, title_of
from pytest_mlcontainer.progress.board import RunningTask, TaskBoard
from pytest_mlcontainer.progress.events import Activity, Event, TaskEnded
from pytest_mlcontainer.report.escape import escape

FIRST_S: Final = 0.6  # what takes less is over before anybody wonders
STEP_S: Final = 5.0  # between two steps of one task
SILENT_S: Final = 30.0
_MOST: Final = 3  # tasks that are named when it has been silent for so long


@dataclass
class _Shown:
    """What was written of a task: when, and which step."""

    last: float
    step: str = ""


@dataclass
class PlainLines:
    """Says that a task was begun, its steps, its end, and from time to time that it goes on.

    Args:
        write: gets lines, each without its end.
        fold: how the place where they are read folds the steps of a build away.
        says_steps: False where somebody else writes what is begun, and each step.
    """

    board: TaskBoard
    write: Callable[[list[str]], None]
    fold: Fold = unfolded
    says_steps: bool = True
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _last: float = 0.0

    def take(self, event: Event, going: RunningTask | None) -> None:
        """An event that the board has taken over."""
        if isinstance(event, TaskEnded) and going is not None:
            self._end(event, going)

    def tick(self, now: float) -> None:
        """Write what is due.

        Args:
            now: in seconds since the epoch.
        """
        due = [line for going in self.board.going() for line in self._due(going, now)]
        if due:
            self._last = now
            if self.says_steps:
                self.write([f"{INDENT}{line}" for line in due])
        elif self._shown and now - self._last >= SILENT_S:
            self._last = now
            self.write([f"{INDENT}{line}" for line in self._still(now)])

    def _due(self, going: RunningTask, now: float) -> Iterator[str]:
        key = going.task.key
        shown = self._shown.get(key)
        if shown is None:
            if now - going.began >= FIRST_S:
                self._shown[key] = _Shown(now, going.step)
                yield f"{title_of(going)}: {state_of(going)}{_expected(going)}"
        elif (going.known or going.step) != shown.step and now - shown.last >= STEP_S:
            self._shown[key] = _Shown(now, going.known or going.step)
            yield f"{title_of(going)}: {state_of(going)}"

    def _still(self, now: float) -> Iterator[str]:
        going = [each for each in self.board.going() if each.task.key in self._shown]
        for each in going[:_MOST]:
            yield f"{title_of(each)}: still {state_of(each)} ({clock_of(each, now)})"
        if len(going) > _MOST:
            yield f"{len(going) - _MOST} more"

    def _end(self, event: TaskEnded, going: RunningTask) -> None:
        if self._shown.pop(event.task, None) is None or not self.says_steps:
            return
        task, how = going.task, "done" if event.worked else "ended"
        ended = f"{how} after {clock(event.at - going.began)}"
        title = f"{title_of(going)}: {task.activity.value}: {ended}"
        said = going.said if task.activity is Activity.BUILDING else []
        self._last = event.at
        steps = FoldedSteps(title, [escape(line) for line in said], event.at)
        self.write(self.fold(steps) if said else unfolded(steps))


def _expected(going: RunningTask) -> str:
    if going.usual_s is not None:
        return f" (about {clock(going.usual_s)})"
    return "" if going.task.limit_s is None else f" (at most {clock(going.task.limit_s)})"
