"""UBJSON, in which XGBoost keeps its models (`.ubj`): leaf by leaf (`trees`), as the same in JSON.

The format (ubjson.org, draft 12) is read here. The libraries for it believe the counts that a file
gives, of values that take no bytes too, so that twenty bytes can ask for any amount of memory, and
make an object of each number of an array before it can be refused. Here a count is held against
what is left of the file, and everything against a limit of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, begins, tree_comparison
from pytest_mlcontainer.compare.sources import ComparedFile

LIMIT_BYTES = 1 << 28
LIMIT_VALUES = 20_000_000
_DEEPEST = 200
_LONGEST_NUMBER = 300
_NUMBERS = {
    "i": ">i1",
    "U": ">u1",
    "I": ">i2",
    "l": ">i4",
    "L": ">i8",
    "d": ">f4",
    "D": ">f8",
}
_STRUCTS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_WORDS: dict[str, Any] = {"Z": None, "T": True, "F": False}
_COUNTS = "iUIlL"


class UbjsonError(ValueError):
    """`str()` says what is wrong, and at which byte."""


def decode(data: bytes) -> Any:
    """The document: dict, list, str, int, float, bool, None.

    Raises:
        UbjsonError: it is broken, or larger than what is read.
    """
    reader = _UbjsonReader(data)
    value = reader.value(reader.marker(), 0)
    if data[reader.at :].strip(b"N"):
        raise reader.error("something follows the value")
    return value


class _UbjsonReader:
    """Reads one value after another; `at` is the next byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = LIMIT_VALUES
        self.at = 0

    def error(self, what: str) -> UbjsonError:
        return UbjsonError(f"{what} at byte {self.at}")

    def marker(self) -> str:
        """The next type, past what stands for nothing."""
        while True:
            found = self._take(1)
            if found != b"N":
                return found.decode("latin-1")

    def value(self, marker: str, depth: int) -> Any:
        """What a type is followed by."""
        self._spend(1)
        if marker in _WORDS:
            return _WORDS[marker]
        if marker in _STRUCTS:
            return self._number(marker)
        if marker == "S":
            return self._text(self._count())
        if marker == "C":
            return self._take(1).decode("latin-1")
        if marker == "H":
            return self._long_number()
        if marker in "[{" and depth < _DEEPEST:
            return self._list(depth + 1) if marker == "[" else self._object(depth + 1)
        raise self.error("too many levels" if marker in "[{" else f"no type is called {marker!r}")

    def _take(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) < count:
            raise self.error(f"the file ends, {count} bytes are expected")
        self.at += count
        return found

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise self.error(f"more than {LIMIT_VALUES} values")

    def _number(self, marker: str) -> int | float:
        layout = _STRUCTS[marker]
        number: int | float = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return number

    def _count(self) -> int:
        """A length; never more than what is left of the file."""
        marker = self.marker()
        if marker not in _COUNTS:
            raise self.error(f"a length of the type {marker!r}")
        count = int(self._number(marker))
        if not 0 <= count <= len(self._data) - self.at:
            raise self.error(f"a length of {count}")
        return count

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error("text that is not UTF-8") from error

    def _long_number(self) -> int | float | str:
        """A number of any length, as text: whole where it is, else what a double holds of it."""
        text = self._text(self._count())
        try:
            if len(text) <= _LONGEST_NUMBER:
                return int(text) if text.lstrip("+-").isdecimal() else float(text)
        except ValueError as error:
            raise self.error("a number that is none") from error
        return text

    def _header(self) -> tuple[str, int | None]:
        """The type of all values of a container, and how many there are, where it says so."""
        kind = ""
        if self._peek() == b"$":
            self.at += 1
            kind = self._take(1).decode("latin-1")
            if self._peek() != b"#":
                raise self.error("a type without a count")
        if self._peek() != b"#":
            return kind, None
        self.at += 1
        return kind, self._count()

    def _peek(self) -> bytes:
        return self._data[self.at : self.at + 1]

    def _list(self, depth: int) -> list[Any]:
        kind, count = self._header()
        if count is not None and kind in _NUMBERS:
            self._spend(count)
            dtype = np.dtype(_NUMBERS[kind])
            raw = self._take(count * dtype.itemsize)
            values: list[Any] = np.frombuffer(raw, dtype).tolist()
            return values
        found: list[Any] = []
        for marker in self._markers(kind, count, "]"):
            found.append(self.value(marker, depth))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        found: dict[str, Any] = {}
        for first in self._markers("", count, "}"):
            if first not in _COUNTS:
                raise self.error(f"a key of the type {first!r}")
            self.at -= 1
            key = self._text(self._count())
            if key in found:
                raise self.error(f"the key {key!r:.80} a second time")
            found[key] = self.value(kind or self.marker(), depth)
        return found

    def _markers(self, kind: str, count: int | None, end: str) -> Iterator[str]:
        """The type of each value of a container, up to its count or its end."""
        if count is not None:
            for _ in range(count):
                yield kind or self.marker()
            return
        while (marker := self.marker()) != end:
            yield marker


def _read(side: ComparedFile) -> Any:
    side.check_size(LIMIT_BYTES, "UBJSON")
    try:
        return decode(side.read())
    except UbjsonError as error:
        raise side.unreadable(f"is broken UBJSON: {error}") from error


# An object whose first key is shorter than 256 bytes, its length in 8 bytes: as XGBoost writes.
_MAGIC = b"{L" + bytes(7)

FORMAT = Format(
    "ubjson",
    tree_comparison(_read),
    lambda side: begins(side, _MAGIC),
    (".ubj", ".ubjson"),
    folds=True,
)
