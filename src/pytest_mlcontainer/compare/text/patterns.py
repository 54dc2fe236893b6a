"""What a rule's `patterns` match inside text does not count: times, ids, paths of one run.

Each match is replaced by one mark before two texts are compared, so a match on one side against
none on the other still counts, and so does everything around it.

A regular expression can need for ever (`(a+)+b` on a line of thirty a's), and Python's has no limit
of its own. So a line has a longest length here, and all of one output's matching a longest time, as
has that of all names of a comparison (`names`); past either the comparison fails and says so, it
never passes.
"""

from __future__ import annotations

import functools
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.sources import UnreadableError

ONLY_MASKED = "differs only in what the rule's patterns match"
LONGEST_CHARACTERS = 1 << 20
LIMIT_S = 60.0
_MARK = "\0"
_SHOWN_MARK = "…"


class Clock:
    """Computing time for matching, shared by all that is matched under it.

    Args:
        whose: patterns, as a message about them calls them.
    """

    def __init__(self, whose: str, limit_s: float) -> None:
        self._whose = whose
        self._limit_s = self._left_s = limit_s

    @contextmanager
    def running(self, pattern: str) -> Iterator[None]:
        """To be held while the pattern is tried.

        Raises:
            UnreadableError: the time is up.
        """
        started = time.thread_time()
        try:
            with _interrupted_after(self._left_s):
                yield
        except _TimeUpError as error:
            self._left_s = 0.0
            raise self._too_slow(pattern) from error
        self._left_s -= time.thread_time() - started
        if self._left_s <= 0:
            raise self._too_slow(pattern)

    def _too_slow(self, pattern: str) -> UnreadableError:
        return UnreadableError(
            f"the patterns {self._whose} took more than {self._limit_s:g} s of computing; the last "
            f"one tried was {pattern!r}; repeats within repeats, as in (a+)+, take exponentially "
            "long"
        )


class Masks:
    """Replaces what patterns match, within a time that all its texts share."""

    def __init__(self) -> None:
        self._clock = Clock("of a rule", LIMIT_S)

    def mask(self, text: str, patterns: tuple[str, ...]) -> str:
        return self.mask_all([text], patterns)[0]

    def mask_all(self, texts: list[str], patterns: tuple[str, ...]) -> list[str]:
        """The texts with a mark in place of each match, pattern after pattern.

        Raises:
            UnreadableError: a pattern is broken, a text too long, or the time is up.
        """
        for text in texts if patterns else ():
            if len(text) > LONGEST_CHARACTERS:
                raise UnreadableError(
                    f"a line (or string) of {len(text)} characters is too long for a rule's "
                    f"patterns, which are tried on at most {LONGEST_CHARACTERS}; ignore the item, "
                    "or leave the patterns out"
                )
        for pattern in patterns:
            texts = self._apply(pattern, texts)
        return texts

    def mask_values(self, values: Values, patterns: tuple[str, ...]) -> Values:
        """The same for an array of objects, element by element; what is no text stays."""
        if not patterns:
            return values
        flat = list(values.reshape(-1))
        places = [place for place, value in enumerate(flat) if isinstance(value, str)]
        texts = self.mask_all([flat[place] for place in places], patterns)
        for place, text in zip(places, texts, strict=True):
            flat[place] = text
        masked = np.empty(len(flat), object)
        masked[:] = flat
        return masked.reshape(values.shape)

    def _apply(self, pattern: str, texts: list[str]) -> list[str]:
        substitute = _compile(pattern).sub
        with self._clock.running(pattern):
            return [substitute(_mark, text) for text in texts]


def shown(text: str) -> str:
    """A masked text for a reader."""
    return text.replace(_MARK, _SHOWN_MARK)


@functools.lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UnreadableError(f"the pattern {pattern!r} of a rule is broken: {error}") from error


def _mark(found: re.Match[str]) -> str:
    """An empty match leaves nothing, or `x*` would put marks everywhere."""
    return _MARK if found[0] else ""


class _TimeUpError(Exception):
    """Raised inside the matching by the timer."""


@contextmanager
def _interrupted_after(limit_s: float) -> Iterator[None]:
    """Stop a single match that takes too long.

    Python's matcher looks for signals while it works, and only the main thread gets them. The timer
    counts this process's computing time, so that it disturbs no timer of pytest's or its plugins.
    Elsewhere the time is checked between texts only.
    """
    if not _may_set_timer():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _raise_time_up)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, max(limit_s, 0.001))
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _may_set_timer() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    if not hasattr(signal, "setitimer"):
        return False
    busy = signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
    return not busy and signal.getsignal(signal.SIGVTALRM) in (signal.SIG_DFL, signal.SIG_IGN)


def _raise_time_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TimeUpError
