"""What goes on, below whatever else is on the terminal, for as long as it goes on.

The block is drawn on the lines below the cursor, which stays where it is. So whoever writes next
has nothing to know of it, once it is erased.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from pytest_mlcontainer.displays.words import clock_of, state_of, title_of
from pytest_mlcontainer.progress.board import RunningTask, TaskBoard
from pytest_mlcontainer.progress.events import Event

FIRST_S: Final = 0.4  # what takes less is not worth a look
_MOST: Final = 6  # tasks that are shown
_LEAST_COLUMNS: Final = 20
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_INDEX, _DOWN, _CLEAR = "\x1bD", "\x1b[B\r", "\x1b[2K"
# Terminals that know it draw all that is between as one frame; others ignore it.
_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"


class LiveBlock:
    """Draws a block of lines, one for each task that goes on.

    Args:
        write: to the terminal.
        size: of the terminal, asked for before each frame.
        color: False for the same without colours.
    """

    def __init__(
        self,
        board: TaskBoard,
        write: Callable[[str], None],
        size: Callable[[], os.terminal_size],
        *,
        color: bool,
    ) -> None:
        self._board = board
        self._write = write
        self._size = size
        self._color = color
        self._lock = threading.RLock()
        self._pauses = 0
        self._drawn: list[str] = []
        self._asked: tuple[object, ...] = ()
        self._rendered: list[str] = []

    def take(self, event: Event, going: RunningTask | None) -> None:
        """An event that the board has taken over; what it changes is drawn at the next tick."""

    def tick(self, now: float) -> None:
        """Draw the next frame.

        Args:
            now: in seconds since the epoch.
        """
        with self._lock:
            if not self._pauses:
                self._draw(self._lines(now))

    def erase(self) -> None:
        """Take the block off the terminal."""
        with self._lock:
            self._draw([])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Erased, and not drawn, as long as somebody else writes."""
        with self._lock:
            self._pauses += 1
            self._draw([])
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1

    def _draw(self, lines: list[str]) -> None:
        if lines == self._drawn:
            return
        height = max(len(lines), len(self._drawn))
        # Down as far as is needed, which scrolls at the bottom, and up again to the same column.
        reserve = f"{_INDEX * height}\x1b[{height}A" if lines else ""
        below = [*lines, *[""] * (height - len(lines))]
        rows = "".join(f"{_DOWN}{_CLEAR}{line}" for line in below)
        self._write(f"{_FRAME}{reserve}{_SAVE}{rows}{_RESTORE}{_END_FRAME}")
        self._drawn = lines

    def _lines(self, now: float) -> list[str]:
        size = self._size()
        shown = [each for each in self._board.going() if now - each.began >= FIRST_S]
        most = min(_MOST, size.lines - 3)
        if not shown or size.columns < _LEAST_COLUMNS or most < 1:
            return []
        rows = [
            (f"  {title_of(each)}", state_of(each), clock_of(each, now)) for each in shown[:most]
        ]
        more = f"  and {len(shown) - most} more" if len(shown) > most else ""
        asked = (size.columns, tuple(rows), more)
        if asked != self._asked:
            self._asked, self._rendered = asked, _render(*asked, color=self._color)
        return self._rendered


def _render(
    columns: int, rows: Iterable[tuple[str, str, str]], more: str, *, color: bool
) -> list[str]:
    """Rows of a title, what it does and a clock as lines of a terminal."""
    # Here, because it takes a tenth of a second, and most sessions are not live.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=2 * columns // 5)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for title, state, clock in rows:
        table.add_row(Text(title, "bold"), Text(state), Text(clock, "cyan"))
    if more:
        table.add_row(Text(more, "dim"))
    console = Console(
        file=io.StringIO(),
        width=columns - 1,
        force_terminal=True,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
    )
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n").split("\n")
