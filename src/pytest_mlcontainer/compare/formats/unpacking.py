"""Unpacking archives within limits that hold whatever an archive says about its own size."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import CHUNK_BYTES, ComparedFile, Pair, UnreadableError
from pytest_mlcontainer.model import Difference

LIMIT_BYTES = 8 << 30
DEEPEST = 5
_TIMES_THE_FILE = 10
_LARGE_BYTES = 1 << 30
_LIKELY_RATIO = 500
# Both sides are read once to see whether they differ and once to look inside.
_READINGS = 4
_LEFT_FREE_BYTES = 1 << 30
_CHECKED_EVERY = 64

Open = Callable[[], AbstractContextManager[IO[bytes]]]


class UnpackingBudget:
    """What may still be unpacked while one output is compared, in all archives inside it."""

    def __init__(self, file_bytes: int) -> None:
        self._limit_bytes = limit_for(file_bytes)
        self._left_bytes = [_READINGS * self._limit_bytes]
        self.depth = 1

    def deeper(self) -> UnpackingBudget:
        """For an archive inside the one at hand: what it takes is taken here too."""
        inner = UnpackingBudget(0)
        inner._limit_bytes, inner._left_bytes = self._limit_bytes, self._left_bytes
        inner.depth = self.depth + 1
        return inner

    def take(self, count: int) -> None:
        """Note that so many bytes were unpacked.

        Raises:
            UnreadableError: that is too many.
        """
        self._left_bytes[0] -= count
        if self._left_bytes[0] < 0:
            raise UnreadableError(
                f"unpacks to more than {self._limit_bytes} bytes, archives inside it included, and "
                "may be made to fill memory and disk; ignore it by a rule, or write less into one "
                "archive"
            )


CompareInside = Callable[[Pair, RuleBook, UnpackingBudget], Iterator[Difference]]


def limit_for(file_bytes: int) -> int:
    """How many bytes a file of this size may unpack to."""
    return max(LIMIT_BYTES, _TIMES_THE_FILE * file_bytes)


def check_expansion(side: ComparedFile, expanded_bytes: int, file_bytes: int) -> None:
    """Refuse what says itself that it is a bomb, before anything of it is read.

    Raises:
        UnreadableError: it promises too many bytes, or too many for its size.
    """
    limit = limit_for(file_bytes)
    ratio = expanded_bytes // max(1, file_bytes)
    if expanded_bytes > limit or (expanded_bytes > _LARGE_BYTES and ratio > _LIKELY_RATIO):
        raise side.unreadable(
            f"has {file_bytes} bytes and promises to unpack to {expanded_bytes} ({ratio} times as "
            f"many); at most {limit} are unpacked, and past {_LARGE_BYTES} at most {_LIKELY_RATIO} "
            "times the file's size; ignore it by a rule, or write it without compression"
        )


def same_content(
    left: IO[bytes], right: IO[bytes], step: int, allowance: UnpackingBudget
) -> int | None:
    """How many bytes both have, if they are the same; read up to the first difference."""
    size = 0
    while True:
        mine, theirs = left.read(step), right.read(step)
        allowance.take(len(mine) + len(theirs))
        if mine != theirs:
            return None
        if not mine:
            return size
        size += len(mine)


def unpack(open_stream: Open, target: Path, step: int, allowance: UnpackingBudget) -> None:
    """Write a stream into a new file.

    Raises:
        UnreadableError: there is too much of it, or no room for it.
    """
    with open_stream() as stream, target.open("xb") as file:
        _check_room(target, CHUNK_BYTES)
        written = 0
        while chunk := stream.read(step):
            allowance.take(len(chunk))
            file.write(chunk)
            written += len(chunk)
            if written >= _CHECKED_EVERY * CHUNK_BYTES:
                _check_room(target, written)
                written = 0


def _check_room(target: Path, wanted: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free - wanted < _LEFT_FREE_BYTES:
        raise UnreadableError(
            f"cannot be unpacked to look inside: {free} bytes are free in {target.parent.parent}, "
            f"and {_LEFT_FREE_BYTES} are left alone; free some, or let TMPDIR name a larger disk"
        )
