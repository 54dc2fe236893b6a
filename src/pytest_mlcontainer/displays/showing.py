"""Events shown in one place, in pytest and in the command alike: how is chosen once, from both."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pytest_mlcontainer.displays.folds import INDENT, fold_for
from pytest_mlcontainer.displays.live import LiveBlock
from pytest_mlcontainer.displays.plain import PlainLines
from pytest_mlcontainer.displays.ticking import Display, Ticking
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.progress.board import TaskBoard
from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import Event, TaskBegan, TaskMessage
from pytest_mlcontainer.report.escape import escape

VARIABLE: Final = "MLCONTAINER_PROGRESS"


class DisplayKind(enum.Enum):
    """How what goes on is shown."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    NONE = "none"


_USUAL_SIZE: Final = os.terminal_size((80, 24))
NO_SIZE: Final = os.terminal_size((0, 0))


def size_of(descriptor: int) -> os.terminal_size:
    """Of the terminal behind a descriptor; (0, 0) where it is none.

    Terminals that nobody sits at (of `docker run -t`, of some CI) have no size of their own.
    """
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return NO_SIZE
    columns, lines = (found or usual for found, usual in zip(size, _USUAL_SIZE, strict=True))
    return os.terminal_size((columns, lines))


class DisplayOutput(Protocol):
    """Where it is shown. Nothing that goes wrong there may end what is shown."""

    def write(self, text: str) -> None:
        """Write it at once."""

    def write_lines(self, lines: list[str]) -> None:
        """Write whole lines, below what stands there."""

    def size(self) -> os.terminal_size:
        """Of the terminal; (0, 0) where it is none."""


@dataclass(frozen=True)
class DisplayChoice:
    """How it is to be shown there.

    Args:
        shown: not `AUTO`; see `choose`.
        verbosity: 1 for each step, 2 also for what it prints.
        color: False for a live display without.
    """

    shown: DisplayKind
    verbosity: int
    color: bool


def choose(asked: str | None, environ: Mapping[str, str], *, is_free: bool) -> DisplayKind:
    """How it is shown: as asked for, or as the place allows.

    Args:
        asked: by an option; None leaves it to `MLCONTAINER_PROGRESS`.
        is_free: whether the place is a terminal on which nobody else draws.

    Raises:
        MlContainerError: what is asked for does not exist.
    """
    name = asked or environ.get(VARIABLE) or DisplayKind.AUTO.value
    if name not in [each.value for each in DisplayKind]:
        source = VARIABLE if asked is None else "--container-progress"
        there = ", ".join(each.value for each in DisplayKind)
        raise MlContainerError(f"{source} is none of {there}", repr(name), "leave it out for auto")
    if DisplayKind(name) is not DisplayKind.AUTO:
        return DisplayKind(name)
    moves = is_free and environ.get("TERM", "dumb") not in ("dumb", "")
    return DisplayKind.LIVE if moves and "CI" not in environ else DisplayKind.PLAIN


class Showing:
    """Shows events, and lets the next session know how long tasks took.

    Args:
        cache: where sessions leave that.
        receive: gives what other processes have told since it was called last.
    """

    def __init__(
        self,
        place: DisplayOutput,
        wish: DisplayChoice,
        environ: Mapping[str, str],
        cache: Path,
        receive: Callable[[], Iterable[Event]] = tuple,
    ) -> None:
        self._place = place
        self._verbosity = wish.verbosity
        self._receive = receive
        self._estimates = Estimates(cache)
        board = TaskBoard(self._estimates)
        is_live = wish.shown is DisplayKind.LIVE
        self._block = (
            LiveBlock(board, place.write, place.size, color=wish.color) if is_live else None
        )
        display: Display = self._block or PlainLines(
            board,
            place.write_lines if wish.shown is DisplayKind.PLAIN else _drop,
            fold_for(environ),
            says_steps=wish.verbosity < 1,
        )
        self._has_ended = False
        self._ticking = Ticking(board, display, self._show_received)

    def tell(self, event: Event) -> None:
        """Show an event; from any thread."""
        if self._has_ended:
            return
        line = line_of(event)
        if line and self._verbosity > (
            1 if isinstance(event, TaskMessage) and event.is_detail else 0
        ):
            with self.paused():
                self._place.write_lines([f"{INDENT}{escape(line)}"])
        self._ticking.tell(event)

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is drawn as long as somebody else writes there."""
        return nullcontext() if self._block is None else self._block.paused()

    def end(self) -> None:
        """Show nothing more."""
        self._ticking.end()
        self._show_received()
        self._has_ended = True
        if self._block is not None:
            self._block.erase()
        self._estimates.keep()

    def _show_received(self) -> None:
        for event in self._receive():
            self.tell(event)


def line_of(event: Event) -> str:
    """What is said of it in a line; "" where that is nothing."""
    if isinstance(event, TaskBegan):
        return str(event.task)
    return str(event) if isinstance(event, TaskMessage) and not event.is_far else ""


def _drop(_lines: list[str]) -> None:
    """Lines that nobody wants."""
