"""What goes on while tests run, shown by the process that has a terminal."""

from __future__ import annotations

import enum
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from pytest_mlcontainer.displays.folds import fold_for
from pytest_mlcontainer.displays.live import LiveBlock
from pytest_mlcontainer.displays.plain import PlainLines
from pytest_mlcontainer.displays.ticking import Display, Ticking
from pytest_mlcontainer.progress.board import Board, Going
from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import Began, Event, Said
from pytest_mlcontainer.progress.relay import EventReader, EventWriter
from pytest_mlcontainer.report.escape import escape

_LOGGER = logging.getLogger("pytest_mlcontainer")


class Shown(enum.Enum):
    """How what goes on is shown: `--container-progress`."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    NONE = "none"


class SessionProgress:
    """Takes the events of this process, and those of pytest-xdist's workers.

    Args:
        cache: where earlier sessions left how long tasks took.
        journal: the folder that a worker shares with its controller; None for the process with a
            terminal.
    """

    def __init__(self, config: pytest.Config, cache: Path, journal: Path | None) -> None:
        self._writer = None if journal is None else EventWriter(journal)
        self._reader: EventReader | None = None
        self._estimates = Estimates(cache)
        board = Board(self._estimates)
        self._block: LiveBlock | None = None
        self._screen = _Screen(config)
        self._ticking: Ticking | None = None
        shown = Shown.NONE if self._writer is not None else _chosen(config, os.environ)
        self._verbosity = config.get_verbosity() if self._writer is None else 0
        if shown is Shown.LIVE:
            color = config.get_terminal_writer().hasmarkup
            self._block = LiveBlock(board, self._screen.write, self._screen.size, color=color)
            self._begin(board, self._block)
        elif shown is Shown.PLAIN and self._verbosity < 1:
            fold = fold_for(os.environ)
            self._begin(board, PlainLines(board, self._screen.write_lines, fold))
        elif shown is not Shown.NONE or self._verbosity > 0:
            self._begin(board, _Nothing())

    def tell(self, event: Event) -> None:
        """Show an event, or send it to where there is a terminal."""
        line = _line(event)
        if line:
            _LOGGER.info("%s", line)
        if self._writer is not None:
            self._writer.tell(event)
        else:
            self._show(event)

    def listen(self, folder: Path) -> None:
        """Show what workers write into a folder, too."""
        if self._reader is None:
            self._reader = EventReader(folder)

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is drawn as long as pytest writes."""
        return nullcontext() if self._block is None else self._block.paused()

    def end(self) -> None:
        """Show nothing more, and let the next session know how long tasks took."""
        if self._ticking is not None:
            self._ticking.end()
            self._ticking = None
        if self._block is not None:
            self._block.erase()
            self._block = None
        self._screen.close()
        self._estimates.keep()

    def _begin(self, board: Board, display: Display) -> None:
        self._ticking = Ticking(board, display, self._receive)

    def _receive(self) -> None:
        for event in () if self._reader is None else self._reader.new():
            self._show(event)

    def _show(self, event: Event) -> None:
        """With -v the steps of builds and runs, with -vv also what those steps print."""
        if self._ticking is None:
            return
        line = _line(event)
        if line and self._verbosity > (1 if isinstance(event, Said) and event.is_detail else 0):
            with self.paused():
                self._screen.write_lines([escape(line)])
        self._ticking.tell(event)


class _Nothing(Display):
    """Where lines alone are wanted."""

    def take(self, event: Event, going: Going | None) -> None:
        pass

    def tick(self, now: float) -> None:
        pass


class _Screen:
    """What pytest writes to when nothing is captured, kept for while a test runs."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = config.pluginmanager.get_plugin("terminalreporter")
        self._descriptor = -1
        if self._terminal is not None:
            with_terminal = sys.__stdout__.fileno() if sys.__stdout__ else 1
            self._descriptor = os.dup(with_terminal)

    def write(self, text: str) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, text.encode("utf-8", "replace"))

    def write_lines(self, lines: list[str]) -> None:
        text = "".join(f"  {line}\n" for line in lines)
        terminal = self._terminal
        if terminal is not None and terminal.currentfspath is not None:
            # The name of the running test stands there without an end of line.
            text, terminal.currentfspath = "\n" + text, None
        self.write(text)

    def size(self) -> os.terminal_size:
        """As it is now; none where it is no terminal."""
        try:
            return os.get_terminal_size(self._descriptor)
        except OSError:
            return os.terminal_size((0, 0))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _line(event: Event) -> str:
    """What is said of it in a line; "" where that is nothing."""
    if isinstance(event, Began):
        return str(event.task)
    return str(event) if isinstance(event, Said) else ""


def _chosen(config: pytest.Config, environ: Mapping[str, str]) -> Shown:
    """How it is shown: as asked for, or as the place allows.

    Raises:
        pytest.UsageError: what is asked for does not exist.
    """
    asked = config.getoption("container_progress") or environ.get("MLCONTAINER_PROGRESS") or "auto"
    names = [each.value for each in Shown]
    if asked not in names:
        there = ", ".join(names)
        raise pytest.UsageError(f"--container-progress is none of {there}: {asked!r}")
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or config.get_verbosity() < 0:
        return Shown.NONE
    if Shown(asked) is not Shown.AUTO:
        return Shown(asked)
    alone = config.getoption("capture") != "no" and not config.getini("log_cli")
    moves = terminal.isatty and environ.get("TERM", "dumb") not in ("dumb", "")
    return Shown.LIVE if alone and moves and "CI" not in environ else Shown.PLAIN
