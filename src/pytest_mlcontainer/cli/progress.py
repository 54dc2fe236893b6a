"""What goes on while the command works, on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from pytest_mlcontainer.displays.folds import fold_for
from pytest_mlcontainer.displays.live import LiveBlock
from pytest_mlcontainer.displays.plain import PlainLines
from pytest_mlcontainer.displays.ticking import Display, Ticking
from pytest_mlcontainer.pipeline.surroundings import cache_folder
from pytest_mlcontainer.progress.board import Board
from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import Began, Event, Said, Tell
from pytest_mlcontainer.report.escape import escape


@contextmanager
def following(environ: Mapping[str, str], *, verbose: bool) -> Iterator[Tell]:
    """Shows the events that are told in the `with` block: live on a terminal, else in lines.

    Args:
        verbose: with each step, without what it prints.
    """
    estimates = Estimates(cache_folder(environ))
    board = Board(estimates)
    shown = environ.get("MLCONTAINER_PROGRESS") or "auto"
    is_live = shown == "live" or (shown == "auto" and _moves(environ))
    block = _block(board, environ) if is_live else None
    display: Display = block or PlainLines(board, _write_lines, fold_for(environ))
    ticking = None if shown == "none" else Ticking(board, display)

    def tell(event: Event) -> None:
        wanted = isinstance(event, Began) or (isinstance(event, Said) and not event.is_detail)
        if verbose and wanted:
            line = str(event.task) if isinstance(event, Began) else str(event)
            with nullcontext() if block is None else block.paused():
                _write_lines([escape(line)])
        if ticking is not None:
            ticking.tell(event)

    try:
        yield tell
    finally:
        if ticking is not None:
            ticking.end()
        if block is not None:
            block.erase()
        estimates.keep()


def _block(board: Board, environ: Mapping[str, str]) -> LiveBlock:
    def size() -> os.terminal_size:
        try:
            return os.get_terminal_size(sys.stderr.fileno())
        except OSError:
            return os.terminal_size((0, 0))

    return LiveBlock(board, _write, size, color=not environ.get("NO_COLOR"))


def _moves(environ: Mapping[str, str]) -> bool:
    """Whether standard error is a terminal that can draw below its cursor."""
    dumb = environ.get("TERM", "dumb") in ("dumb", "")
    return sys.stderr.isatty() and not dumb and "CI" not in environ


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _write_lines(lines: list[str]) -> None:
    _write("".join(f"  {line}\n" for line in lines))
