"""The two files of a comparison: which side each is, how it is opened, what "cannot be read" is."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, TypeVar

from pytest_mlcontainer.model import Output

ACTUAL = "actual run"
EXPECTED = "reference"
CHUNK_BYTES = 1 << 20
_FIRST_BYTES = 1 << 16
# What Python and its libraries raise for bytes that are not what they claim to be.
WRONG_BYTES = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

T = TypeVar("T")


class UnreadableError(Exception):
    """A file, or an item in it, that cannot be read; `str()` names the side and the reason."""


class MalformedError(UnreadableError):
    """A file that breaks the rules of its format, and may be compared as text all the same."""


@dataclass(frozen=True)
class ComparedFile:
    """One of the two files of a comparison.

    Args:
        label: `ACTUAL` or `EXPECTED`.
        name: the output's name, as messages show it.
        opened: what was found in a pickle inside the project's image; see `model.Output`.
    """

    label: str
    name: str
    path: Path
    opened: Path | None = None

    def unreadable(self, reason: str) -> UnreadableError:
        return UnreadableError(f"{self.label}: {self.name} {reason}")

    def malformed(self, reason: str) -> MalformedError:
        return MalformedError(f"{self.label}: {self.name} {reason}")

    def open(self) -> BufferedReader:
        """The file for reading.

        Raises:
            UnreadableError: it is gone, a folder, or not permitted.
        """
        try:
            return open(self.path, "rb")  # noqa: PTH123 - faster; the caller closes it
        except OSError as error:
            raise self._unopened(error) from error

    def read(self) -> bytes:
        with self.open() as stream:
            return stream.read()

    def check_size(self, limit_bytes: int, what: str, remedy: str = "") -> None:
        """Refuse what is too large to be read at once.

        Args:
            what: the file is, for the message.

        Raises:
            UnreadableError: it is.
        """
        size = self.size_bytes()
        if size > limit_bytes:
            more = f"more than the {limit_bytes} that are read into memory"
            raise self.unreadable(f"is {what} of {size} bytes, {more}{remedy}")

    def size_bytes(self) -> int:
        """Of a folder, of all files below it."""
        try:
            found = self.path.stat()
            if stat.S_ISDIR(found.st_mode):
                return sum(each.stat().st_size for each in self.path.rglob("*") if each.is_file())
            return found.st_size
        except OSError as error:
            raise self._unopened(error) from error

    def _unopened(self, error: OSError) -> UnreadableError:
        return self.unreadable(f"cannot be opened ({error.strerror or error})")


@dataclass(frozen=True)
class Pair:
    """The same output of both runs."""

    name: str
    actual: ComparedFile
    expected: ComparedFile


def make_pair(name: str, actual: Output, expected: Output) -> Pair:
    """The pair called `name`; each side keeps its own name."""
    return Pair(
        name,
        ComparedFile(ACTUAL, actual.name, actual.path, actual.opened),
        ComparedFile(EXPECTED, expected.name, expected.path, expected.opened),
    )


def read_both(pair: Pair, read: Callable[[ComparedFile], T]) -> tuple[T, T]:
    """Both sides as `read` gives them.

    Raises:
        UnreadableError: one or both cannot be read; the text names every side that cannot.
        MalformedError: the same, where nothing but the rules of the format is in the way.
    """
    found: list[T] = []
    reasons: list[str] = []
    is_malformed = True
    for side in (pair.actual, pair.expected):
        try:
            found.append(read(side))
        except UnreadableError as error:
            reasons.append(str(error))
            is_malformed = is_malformed and isinstance(error, MalformedError)
    if reasons:
        told = _told_once(reasons)
        raise MalformedError(told) if is_malformed else UnreadableError(told)
    return found[0], found[1]


def _told_once(reasons: list[str]) -> str:
    """What is wrong with each side; a package that is missing is missing for both."""
    told = {reason.partition(": ")[2] for reason in reasons}
    same = len(reasons) > 1 and len(told) == 1
    return f"both runs: {told.pop()}" if same else "; ".join(reasons)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def same_bytes(pair: Pair) -> int | None:
    """How many bytes both files have, if they are the same; read in chunks, up to a difference."""
    with pair.actual.open() as actual, pair.expected.open() as expected:
        left, right = actual.read(_FIRST_BYTES), expected.read(_FIRST_BYTES)
        if left != right or len(left) < _FIRST_BYTES:
            return len(left) if left == right else None
        # Buffers that are used again; what they hold beyond the end is the same on both sides.
        mine, theirs = bytearray(CHUNK_BYTES), bytearray(CHUNK_BYTES)
        size = len(left)
        while True:
            count = actual.readinto(mine)
            if count != expected.readinto(theirs) or mine != theirs:
                return None
            if not count:
                return size
            size += count


def same_folders(pair: Pair) -> int | None:
    """How many bytes the files of both folders have, if these have the same names and bytes."""
    sides = [
        {path.relative_to(side.path): path for path in side.path.rglob("*") if path.is_file()}
        for side in (pair.actual, pair.expected)
    ]
    if sides[0].keys() != sides[1].keys():
        return None
    size = 0
    for name, path in sides[0].items():
        files = replace(pair.actual, path=path), replace(pair.expected, path=sides[1][name])
        same = same_bytes(Pair(pair.name, *files))
        if same is None:
            return None
        size += same
    return size
