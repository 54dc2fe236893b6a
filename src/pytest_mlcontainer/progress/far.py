"""How far a step is, in a few words and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pytest_mlcontainer.progress.events import FAR

_EVERY_S: Final = 1.0


class TransferProgress:
    """Tells how far a step is, at most once a second.

    Args:
        log: told that, behind `FAR`.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._told: float | None = None

    def tell(self, words: Callable[[], str]) -> None:
        """Tell it in these words, which are asked for only when it is time."""
        now = self._clock()
        if self._told is None or now - self._told >= _EVERY_S:
            self._told = now
            self._log(FAR + words())


class Transfers:
    """How much of several parts has come: the layers of an image, the files of a context."""

    def __init__(self, far: TransferProgress) -> None:
        self._far = far
        self._parts: dict[str, tuple[int, int | None]] = {}

    def take(self, part: str, current: int, total: int | None) -> None:
        """So many bytes of a part have come, of how many in all; None where that is not known."""
        self._parts[part] = (current, total)
        self._far.tell(self._words)

    def _words(self) -> str:
        from rich.filesize import decimal  # here: most builds fetch nothing

        come = decimal(sum(current for current, _total in self._parts.values()))
        totals = [max(total, current) for current, total in self._parts.values() if total]
        total = decimal(sum(totals)) if len(totals) == len(self._parts) else come
        return come if come == total else f"{come} of {total}"
