"""What a Parquet file claims about itself, checked before a reader believes it.

Schema and page headers are Thrift structs in the compact protocol. A reader reserves what a page
header asks for, up to 2 GiB, before it has unpacked a byte, and follows a schema as deep as it
goes. What a footer says of row groups is read here, too: pyarrow, asked for a column whose codec,
type or statistics make no sense, ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pytest_mlcontainer.compare.sources import Side

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_DEEPEST_STRUCT = 16
_DEEPEST_SCHEMA = 200
_SMALL_FOOTER = 4096
_HEADER_BYTES = (256, 1 << 16, 1 << 24)
_PAGE_BYTES = 1 << 26
_RATIO = 256


# Encodings of texts as deltas, which pyarrow cannot read into a dictionary.
_DELTAS = {5, 6, 7}
_STATISTICS = 12
_CHUNK_NUMBERS = {4: "codec", 5: "values", 7: "packed_bytes", 9: "start", 11: "dictionary"}


@dataclass(frozen=True)
class Chunk:
    """A column of a row group.

    Args:
        deltas: whether an encoding of its is one of deltas.
        codec: 0 where pages are not compressed.
        start, end: where its pages lie.
        missing: how many cells are null; None where it does not say.
    """

    deltas: bool
    codec: int
    values: int
    start: int
    end: int
    missing: int | None


@dataclass(frozen=True)
class Group:
    """A row group."""

    rows: int
    chunks: tuple[Chunk, ...]


class _BrokenError(Exception):
    """No Thrift; or not all of it is there."""


class _Thrift:
    """Reads structs of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def fields(self, depth: int = 0) -> Iterator[tuple[int, int]]:
        """Number and type of each field, whose value has to be read or skipped then."""
        if depth > _DEEPEST_STRUCT:
            raise _BrokenError("structs within structs")
        number = 0
        while head := self.byte():
            delta, type = head >> 4, head & 15
            number = number + delta if delta else self.integer()
            yield number, type

    def byte(self) -> int:
        if self.at >= len(self._data):
            raise _BrokenError("it ends too early")
        self.at += 1
        return self._data[self.at - 1]

    def varint(self) -> int:
        found = shift = 0
        while True:
            byte = self.byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
            if shift > 70:
                raise _BrokenError("a number without end")

    def integer(self) -> int:
        coded = self.varint()
        return (coded >> 1) ^ -(coded & 1)

    def list_head(self) -> tuple[int, int]:
        """How many elements, and their type."""
        head = self.byte()
        count = head >> 4
        return self.varint() if count == 15 else count, head & 15

    def skip(self, type: int, depth: int = 0) -> None:
        if type in (_TRUE, _FALSE):
            return
        if type == _BYTE:
            self.byte()
        elif type == _DOUBLE:
            self.at += 8
        elif type == _BINARY:
            length = self.varint()
            self.at += length
        elif type in (_LIST, _SET):
            count, inner = self.list_head()
            self._skip_elements(count, (inner,), depth)
        elif type == _MAP:
            count = self.varint()
            types = self.byte() if count else 0
            self._skip_elements(count, (types >> 4, types & 15), depth)
        elif type == _STRUCT:
            for _, inner in self.fields(depth + 1):
                self.skip(inner, depth + 1)
        elif 3 < type < _DOUBLE:
            self.varint()
        else:
            raise _BrokenError(f"an unknown type {type}")

    def _skip_elements(self, count: int, types: tuple[int, ...], depth: int) -> None:
        for _ in range(count):
            for type in types:
                self.skip(_BYTE if type in (_TRUE, _FALSE) else type, depth)
            if self.at > len(self._data):
                raise _BrokenError("it ends too early")


def check_schema(side: Side, start: int, length: int) -> None:
    """A schema nested deeper than any table's would exhaust the stack of those who follow it.

    Raises:
        UnreadableError: it is, or it cannot be read.
    """
    if length < _SMALL_FOOTER:
        return
    with side.open() as stream:
        stream.seek(start)
        thrift = _Thrift(stream.read(length))
    try:
        deepest = _schema_depth(thrift)
    except _BrokenError as error:
        raise side.unreadable(f"is damaged: its footer cannot be read ({error})") from error
    if deepest > _DEEPEST_SCHEMA:
        raise side.unreadable(f"nests its columns deeper than {_DEEPEST_SCHEMA} levels")


def _schema_depth(thrift: _Thrift) -> int:
    for number, type in thrift.fields():
        if (number, type) != (2, _LIST):
            thrift.skip(type)
            continue
        open_groups: list[int] = []
        deepest = 0
        for _ in range(thrift.list_head()[0]):
            children = _children(thrift)
            while open_groups and not open_groups[-1]:
                open_groups.pop()
            if open_groups:
                open_groups[-1] -= 1
            if children > 0:
                open_groups.append(children)
                deepest = max(deepest, len(open_groups))
        return deepest
    return 0


def _children(thrift: _Thrift) -> int:
    found = 0
    for number, type in thrift.fields():
        if number == 5 and type == 5:
            found = thrift.integer()
        else:
            thrift.skip(type)
    return found


def read_groups(side: Side, start: int, length: int) -> tuple[Group, ...]:
    """What the footer says of its row groups.

    Raises:
        UnreadableError: it makes no sense.
    """
    with side.open() as stream:
        stream.seek(start)
        thrift = _Thrift(stream.read(length))
    groups: tuple[Group, ...] = ()
    try:
        for number, type in thrift.fields():
            if (number, type) == (4, _LIST):
                groups = tuple(_group(thrift) for _ in range(thrift.list_head()[0]))
            else:
                thrift.skip(type)
    except _BrokenError as error:
        raise side.unreadable(f"is damaged: its footer cannot be read ({error})") from error
    return groups


def _group(thrift: _Thrift) -> Group:
    rows = 0
    chunks: tuple[Chunk, ...] = ()
    for number, type in thrift.fields():
        if (number, type) == (1, _LIST):
            chunks = tuple(_chunk(thrift) for _ in range(thrift.list_head()[0]))
        elif (number, type) == (3, 6):
            rows = thrift.integer()
        else:
            thrift.skip(type)
    return Group(rows, chunks)


def _chunk(thrift: _Thrift) -> Chunk:
    found: Chunk | None = None
    for number, type in thrift.fields():
        if (number, type) == (3, _STRUCT):
            found = _chunk_metadata(thrift)
        else:
            thrift.skip(type)
    if found is None:
        raise _BrokenError("a column without metadata")
    return found


def _chunk_metadata(thrift: _Thrift) -> Chunk:
    encodings: list[int] = []
    missing: int | None = None
    numbers = dict.fromkeys(_CHUNK_NUMBERS.values(), 0)
    for number, type in thrift.fields():
        if (number, type) == (2, _LIST):
            encodings = [thrift.integer() for _ in range(thrift.list_head()[0])]
        elif (number, type) == (_STATISTICS, _STRUCT):
            missing = _missing(thrift)
        elif number in _CHUNK_NUMBERS and type in (5, 6):
            numbers[_CHUNK_NUMBERS[number]] = thrift.integer()
        else:
            thrift.skip(type)
    start = numbers["start"]
    if numbers["dictionary"] > 0:
        start = min(start, numbers["dictionary"])
    end = start + numbers["packed_bytes"]
    deltas = not _DELTAS.isdisjoint(encodings)
    return Chunk(deltas, numbers["codec"], numbers["values"], start, end, missing)


def _missing(thrift: _Thrift) -> int | None:
    found: int | None = None
    for number, type in thrift.fields():
        if (number, type) == (3, 6):
            found = thrift.integer()
        else:
            thrift.skip(type)
    return found


def check_pages(side: Side, groups: tuple[Group, ...], paths: list[str]) -> None:
    """No page may unpack to far more than it holds.

    Args:
        paths: of the columns, in the order of each group's chunks.

    Raises:
        UnreadableError: one does, or lies outside of the file.
    """
    size_bytes = side.size_bytes()
    with side.open() as stream:
        for group in groups:
            if len(group.chunks) != len(paths):
                raise side.unreadable(
                    f"is damaged: a row group has {len(group.chunks)} columns of {len(paths)}"
                )
            for name, chunk in zip(paths, group.chunks, strict=True):
                if not chunk.values:
                    continue
                if not 4 <= chunk.start <= chunk.end <= size_bytes:
                    raise side.unreadable(
                        f"is damaged: column {name!r} lies outside of its {size_bytes} bytes"
                    )
                if chunk.codec:
                    _check_chunk(side, stream, name, chunk.start, chunk.end)


def _check_chunk(side: Side, stream: BinaryIO, name: str, start: int, end: int) -> None:
    at = start
    while at < end:
        try:
            length, unpacked, packed = _read_header(stream, at, end)
        except _BrokenError as error:
            raise side.unreadable(
                f"is damaged: a page header of column {name!r} at byte {at} ({error})"
            ) from error
        if unpacked > max(_PAGE_BYTES, packed * _RATIO):
            raise side.unreadable(
                f"has a page of {packed} bytes that unpacks to {unpacked}, in column {name!r}; "
                "it is damaged, or made to exhaust memory"
            )
        at += length + packed


def _read_header(stream: BinaryIO, at: int, end: int) -> tuple[int, int, int]:
    """Length of the header, and the page's bytes unpacked and packed."""
    for length in _HEADER_BYTES:
        stream.seek(at)
        data = stream.read(min(length, end - at))
        thrift = _Thrift(data)
        sizes = {2: -1, 3: -1}
        try:
            for number, type in thrift.fields():
                if number in sizes and type == 5:
                    sizes[number] = thrift.integer()
                else:
                    thrift.skip(type)
        except _BrokenError:
            if len(data) < length or length == _HEADER_BYTES[-1]:
                raise
            continue
        if min(sizes.values()) < 0:
            raise _BrokenError("without sizes")
        return thrift.at, sizes[2], sizes[3]
    raise _BrokenError("it has no end")
