"""What goes on while the command works, on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from pytest_mlcontainer.displays.showing import NO_SIZE, DisplayChoice, Showing, choose, size_of
from pytest_mlcontainer.pipeline.setup import cache_folder
from pytest_mlcontainer.progress.events import Tell


@contextmanager
def following(environ: Mapping[str, str], *, verbose: bool) -> Iterator[Tell]:
    """Shows the events that are told in the `with` block.

    Args:
        verbose: with each step, without what it prints.

    Raises:
        MlContainerError: `MLCONTAINER_PROGRESS` is none of what there is.
    """
    shown = choose(None, environ, is_free=sys.stderr.isatty())
    wish = DisplayChoice(shown, int(verbose), color=not environ.get("NO_COLOR"))
    showing = Showing(_StandardError(), wish, environ, cache_folder(environ))
    try:
        yield showing.tell
    finally:
        showing.end()


class _StandardError:
    """Whoever reads it may have gone: that is found out where the answer is printed."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()

    def write_lines(self, lines: list[str]) -> None:
        self.write("".join(f"{line}\n" for line in lines))

    def size(self) -> os.terminal_size:
        try:
            return size_of(sys.stderr.fileno())
        except (OSError, ValueError):  # something else is in its place
            return NO_SIZE
