"""What goes on while tests run, shown by the process that has a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from pytest_mlcontainer.displays.showing import (
    DisplayChoice,
    DisplayKind,
    Showing,
    choose,
    line_of,
    size_of,
)
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import TimelineSpan
from pytest_mlcontainer.progress.events import Event
from pytest_mlcontainer.progress.relay import EventReader, EventWriter
from pytest_mlcontainer.progress.timeline import Timeline

_LOGGER = logging.getLogger("pytest_mlcontainer")


class SessionProgress:
    """Takes the events of this process, and those of pytest-xdist's workers.

    Args:
        cache: where earlier sessions left how long tasks took.
        journal: the folder that a worker shares with its controller; None for the process with a
            terminal.

    Raises:
        pytest.UsageError: what is asked for does not exist.
    """

    def __init__(self, config: pytest.Config, cache: Path, journal: Path | None) -> None:
        self._writer = None if journal is None else EventWriter(journal, _worker(config))
        self._reader: EventReader | None = None
        self._folder: Path | None = None
        self._timeline = Timeline()
        self._screen: _Screen | None = None
        self._showing: Showing | None = None
        wish = None if self._writer is not None else _wish(config)
        if wish is not None:
            self._screen = _Screen(config)
            self._showing = Showing(self._screen, wish, os.environ, cache, self._received)
            if wish.shown is DisplayKind.LIVE:
                self._screen.share(self._showing.paused)

    def tell(self, event: Event) -> None:
        """Show an event, or send it to where there is a terminal."""
        line = line_of(event)
        if line:
            _LOGGER.info("%s", line)
        if self._writer is not None:
            self._writer.tell(event)
        else:
            self._timeline.take(event)
            self._show(event)

    def _show(self, event: Event) -> None:
        if self._showing is not None:
            self._showing.tell(event)

    def listen(self, folder: Path) -> None:
        """Show what workers write into a folder, too."""
        if self._reader is None:
            self._reader, self._folder = EventReader(folder), folder

    def timeline(self) -> tuple[TimelineSpan, ...]:
        """What was done up to now, by workers too."""
        return self._timeline.spans(self._folder)

    def end_worker(self, worker: str) -> None:
        """A worker is no more: nothing that it told of goes on."""
        for event in () if self._reader is None else self._reader.end(worker):
            self._show(event)

    def end(self) -> None:
        """Show nothing more, and let the next session know how long tasks took."""
        showing, self._showing = self._showing, None
        if showing is not None:
            showing.end()
        if self._screen is not None:
            self._screen.close()

    def _received(self) -> list[Event]:
        return [] if self._reader is None else self._reader.new()


class _Screen:
    """What pytest writes to when nothing is captured, kept for while a test runs."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = config.pluginmanager.get_plugin("terminalreporter")
        self._writer = config.get_terminal_writer()
        self._descriptor = -1
        with suppress(OSError, ValueError):  # there may be none, as under a service
            self._descriptor = os.dup(sys.__stdout__.fileno() if sys.__stdout__ else 1)

    def share(self, paused: Callable[[], AbstractContextManager[None]]) -> None:
        """Have nothing drawn while pytest writes, whatever writes there."""
        write = self._writer.write

        def write_alone(msg: str, *, flush: bool = False, **markup: bool) -> None:
            del flush  # else what is drawn next would come before it
            with paused():
                write(msg, flush=True, **markup)

        vars(self._writer)["write"] = write_alone

    def write(self, text: str) -> None:
        """A reader that has gone, or a full disk, is no failure of a run."""
        with suppress(OSError):
            os.write(self._descriptor, text.encode("utf-8", "replace"))

    def write_lines(self, lines: list[str]) -> None:
        """See `DisplayOutput.write_lines`."""
        text = "".join(f"{line}\n" for line in lines)
        terminal = self._terminal
        if terminal is not None and terminal.currentfspath is not None:
            # The name of the running test stands there without an end of line.
            text, terminal.currentfspath = "\n" + text, None
        self.write(text)

    def size(self) -> os.terminal_size:
        """See `DisplayOutput.size`."""
        return size_of(self._descriptor)

    def close(self) -> None:
        """Write nothing more."""
        vars(self._writer).pop("write", None)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _worker(config: pytest.Config) -> str:
    """As its controller calls it."""
    return str(getattr(config, "workerinput", {}).get("workerid", os.getpid()))


def _wish(config: pytest.Config) -> DisplayChoice | None:
    """How it is shown; None where nothing is."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    is_free = config.getoption("capture") != "no" and not config.getini("log_cli")
    asked, verbosity = config.getoption("container_progress"), config.get_verbosity()
    try:
        shown = choose(
            asked, os.environ, is_free=is_free and terminal is not None and terminal.isatty
        )
    except MlContainerError as error:
        raise pytest.UsageError(str(error)) from error
    if terminal is None or verbosity < 0 or (shown is DisplayKind.NONE and verbosity < 1):
        return None
    return DisplayChoice(shown, verbosity, config.get_terminal_writer().hasmarkup)
