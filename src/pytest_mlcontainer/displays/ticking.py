"""Events → a display that is drawn anew as time goes by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from pytest_mlcontainer.progress.board import RunningTask, TaskBoard
from pytest_mlcontainer.progress.events import Event

TICK_S: Final = 0.25


class Display(Protocol):
    """What shows events to somebody."""

    def take(self, event: Event, going: RunningTask | None) -> None:
        """An event, and the task that it is of, as the board has it now."""

    def tick(self, now: float) -> None:
        """Time has passed: draw what is due."""


class Ticking:
    """Gives a display its events, and a tick four times a second from a thread of its own.

    Args:
        before: called at each tick, before the display is: takes in what other processes tell.
    """

    def __init__(
        self, board: TaskBoard, display: Display, before: Callable[[], None] = lambda: None
    ) -> None:
        self._board = board
        self._display = display
        self._before = before
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._go_on, daemon=True, name="mlcontainer display")
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Take an event; from any thread."""
        going = self._board.take(event)
        with self._lock:
            self._display.take(event, going)

    def end(self) -> None:
        """Draw no more."""
        self._ended.set()
        self._thread.join(timeout=4 * TICK_S)

    def _go_on(self) -> None:
        while not self._ended.wait(TICK_S):
            self._before()
            with self._lock:
                self._display.tick(time.time())
