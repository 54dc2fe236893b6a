"""The two files of a comparison: which side each is, how it is opened, what "cannot be read" is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from pytest_mlcontainer.model import Output

ACTUAL = "actual run"
EXPECTED = "reference"
CHUNK_BYTES = 1 << 20

T = TypeVar("T")


class UnreadableError(Exception):
    """A file, or an item in it, that cannot be read; `str()` names the side and the reason."""


@dataclass(frozen=True)
class Side:
    """One of the two files.

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

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file for reading.

        Raises:
            UnreadableError: it is gone, a folder, or not permitted.
        """
        try:
            stream = self.path.open("rb")
        except OSError as error:
            raise self.unreadable(f"cannot be opened ({error.strerror or error})") from error
        with stream:
            yield stream

    def read(self) -> bytes:
        with self.open() as stream:
            return stream.read()

    def size_bytes(self) -> int:
        with self.open() as stream:
            return stream.seek(0, 2)


@dataclass(frozen=True)
class Pair:
    """The same output of both runs."""

    name: str
    actual: Side
    expected: Side


def make_pair(name: str, actual: Output, expected: Output) -> Pair:
    return Pair(
        name,
        Side(ACTUAL, name, actual.path, actual.opened),
        Side(EXPECTED, name, expected.path, expected.opened),
    )


def read_both(pair: Pair, read: Callable[[Side], T]) -> tuple[T, T]:
    """Both sides as `read` gives them.

    Raises:
        UnreadableError: one or both cannot be read; the text names every side that cannot.
    """
    found: list[T] = []
    reasons: list[str] = []
    for side in (pair.actual, pair.expected):
        try:
            found.append(read(side))
        except UnreadableError as error:
            reasons.append(str(error))
    if reasons:
        raise UnreadableError("; ".join(reasons))
    return found[0], found[1]


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def same_bytes(pair: Pair) -> bool:
    """Whether both files hold the same bytes; read in chunks, up to the first difference."""
    with pair.actual.open() as actual, pair.expected.open() as expected:
        while True:
            left, right = actual.read(CHUNK_BYTES), expected.read(CHUNK_BYTES)
            if left != right:
                return False
            if not left:
                return True
