"""NumPy's `.npz`: a zip of npy files, each of them an item, read one at a time and in blocks."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BufferedReader
from typing import IO, cast

from pytest_mlcontainer.compare.formats.kind import Format, Named, begins
from pytest_mlcontainer.compare.formats.npy import (
    MAGIC,
    BadArrayError,
    Header,
    PickledError,
    read_header,
    stored_array,
)
from pytest_mlcontainer.compare.formats.sparse import in_one_form, parts_of_matrix
from pytest_mlcontainer.compare.formats.zips import (
    BAD_ZIP,
    ENCRYPTED,
    crc32,
    member_offset,
    open_zip,
)
from pytest_mlcontainer.compare.matching.curves import split, wanted
from pytest_mlcontainer.compare.numeric.dtypes import void_note
from pytest_mlcontainer.compare.numeric.measure import Array, Read, array_of
from pytest_mlcontainer.compare.numeric.spans import can_be_read_anywhere, file_spans
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    CHUNK_BYTES,
    ComparedFile,
    Pair,
    UnreadableError,
    read_both,
)
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.excused import excused_array
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Verdict

_SUFFIX = ".npy"
_FORMATS = {name for kind in ("csr", "csc", "bsr", "coo") for name in (kind, kind.encode())}
_LARGE_BYTES = 1 << 22
_IN_MEMORY_BYTES = 1 << 23
_NUMPY_WRITES = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Archive:
    """The open zip of one side.

    Args:
        members: in the order written.
        pool: computes checksums of large members while others are read.
        checksums: those already made or begun.
        matrix: the arrays of a sparse matrix in one form, once they were asked for.
    """

    side: ComparedFile
    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]
    pool: ThreadPoolExecutor
    checksums: dict[str, Future[int]] = field(default_factory=dict)
    matrix: dict[str, Array] = field(default_factory=dict)

    def checksum(self, item: str) -> Future[int]:
        """Of the bytes of a member that is not compressed."""
        if item not in self.checksums:
            info = self.members[item]
            if info.file_size >= _LARGE_BYTES:
                self.checksums[item] = self.pool.submit(_checksum, self.side, info)
            else:
                self.checksums[item] = Future()
                self.checksums[item].set_result(_checksum(self.side, info))
        return self.checksums[item]

    @contextmanager
    def open(self, item: str) -> Iterator[IO[bytes]]:
        """The bytes of a member; what is wrong with them shows while they are read.

        A member that is not compressed is read from where it lies.
        """
        info = self.members[item]
        try:
            if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ENCRYPTED:
                with self.side.open() as file:
                    yield cast(IO[bytes], _StoredMember(file, info, self.checksum(item)))
                return
            if info.compress_type not in _NUMPY_WRITES:
                # zipfile unpacks a whole block of the others at once, however large it becomes.
                raise self.unreadable(item, "is compressed in a way that NumPy never uses")
            with self.file.open(info) as stream:
                yield stream
        except BAD_ZIP as error:
            raise self.unreadable(item, f"is damaged ({error})") from error

    def unreadable(self, item: str, reason: str) -> UnreadableError:
        return self.side.unreadable(f"member {item!r} {reason}")

    def array(self, item: str) -> Array:
        """A member as an array, as `stored`; those of a sparse matrix in one form."""
        parts = parts_of_matrix(self.members.keys())
        if item not in parts or not self._is_matrix():
            return self.stored(item)
        if not self.matrix:
            self.matrix.update(in_one_form({part: self.stored(part) for part in parts}))
        return self.matrix[item]

    def _is_matrix(self) -> bool:
        """Whether SciPy says that the arrays are a sparse matrix."""
        return "format" in self.members and {*self.stored("format").values().flat} <= _FORMATS

    def stored(self, item: str) -> Array:
        """A member as an array; small ones are unpacked once and kept.

        Raises:
            PickledError: it holds objects.
            UnreadableError: it is damaged.
        """
        info = self.members[item]
        size_bytes = info.file_size
        try:
            with self.open(item) as stream:
                header = read_header(stream, size_bytes)
        except PickledError:
            raise
        except BadArrayError as error:
            raise self.unreadable(item, str(error)) from error
        array = stored_array(header, partial(self.open, item), partial(self.unreadable, item))
        if size_bytes > _IN_MEMORY_BYTES:
            stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ENCRYPTED
            if stored and can_be_read_anywhere():
                return replace(array, spans=partial(self._spans, item, header))
            return array
        return array_of(array.values())

    @contextmanager
    def _spans(self, item: str, header: Header) -> Iterator[Read]:
        """Elements of a member that is not compressed; its checksum is verified at the end."""
        info, unreadable = self.members[item], partial(self.unreadable, item)
        checksum = self.checksum(item)
        try:
            with self.side.open() as file:
                start = member_offset(file, info) + header.offset
            with file_spans(self.side.open, start, header.dtype, unreadable) as read:
                yield read
            if checksum.result() != info.CRC:
                raise unreadable("is damaged (its checksum is not that of its bytes)")
        except BAD_ZIP as error:
            raise unreadable(f"is damaged ({error})") from error

    def is_array(self, item: str) -> bool:
        if self.members[item].filename.endswith(_SUFFIX):
            return True
        with self.open(item) as stream:
            return stream.read(len(MAGIC)) == MAGIC


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two archives, member by member."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: stack.enter_context(_open_archive(side)))
        mine, theirs, undecided = book.rename(pair.name, actual.members, expected.members)
        yield from undecided
        actual = replace(actual, members=dict(mine))
        expected = replace(expected, members=dict(theirs))
        lines = [_lines(pair, side, book) for side in (actual, expected)]
        curves, taken = split(pair.name, lines[0], lines[1], book)
        yield from curves
        for item in dict.fromkeys((*expected.members, *actual.members)):
            if item in taken:
                continue
            if item in actual.members and item in expected.members:
                yield from _compare_member(pair.name, item, actual, expected, book)
            elif not book.find(pair.name, item).tolerance.ignore:
                note = "missing in the actual run"
                if item in actual.members:
                    note = "only in the actual run"
                yield Difference(pair.name, item, Verdict.DRIFT, note=note)


def _lines(pair: Pair, archive: Archive, book: RuleBook) -> dict[str, Array]:
    """The arrays that can be read, where a rule asks for curves."""
    found: dict[str, Array] = {}
    for item in archive.members if wanted(pair.name, book) else ():
        with suppress(BadArrayError, UnreadableError):
            if archive.is_array(item):
                found[item] = archive.array(item)
    return found


@contextmanager
def _open_archive(side: ComparedFile) -> Iterator[Archive]:
    with open_zip(side, "npz") as file, ThreadPoolExecutor(1) as pool:
        yield Archive(side, file, _members(side, file), pool)


class _StoredMember:
    """The bytes of a member that is not compressed, from where they lie in the file."""

    def __init__(
        self, file: BufferedReader, info: zipfile.ZipInfo, checksum: Future[int] | None = None
    ) -> None:
        """With a `checksum`, it is verified when the end is reached."""
        file.seek(member_offset(file, info))
        self._file, self._info, self._checksum = file, info, checksum
        self._left = info.file_size

    def read(self, count: int = -1) -> bytes:
        wanted_bytes = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted_bytes)
        if len(data) < wanted_bytes:
            raise EOFError("the file ends within it")
        self._left -= len(data)
        if not self._left and self._checksum is not None:
            self._verify(self._checksum)
        return data

    def _verify(self, checksum: Future[int]) -> None:
        if checksum.result() != self._info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._info.filename!r}")


def _checksum(side: ComparedFile, info: zipfile.ZipInfo) -> int:
    with side.open() as file:
        stream, found = _StoredMember(file, info), 0
        while data := stream.read(CHUNK_BYTES):
            found = crc32(data, found)
        return found


def _members(side: ComparedFile, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in file.infolist() if not info.filename.endswith("/")]
    names = [info.filename.removesuffix(_SUFFIX) for info in infos]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise side.unreadable(f"holds {twice[0]!r} more than once")
    return dict(zip(names, infos, strict=True))


def _compare_member(
    output: str, item: str, actual: Archive, expected: Archive, book: RuleBook
) -> Iterator[Difference]:
    applied = book.find(output, item)
    if applied.tolerance.ignore:
        return
    try:
        if not (actual.is_array(item) and expected.is_array(item)):
            yield _compare_raw(output, item, actual, expected)
            return
        left, right, reason = _arrays(item, actual, expected)
        if left is None or right is None:
            yield _compare_raw(output, item, actual, expected, reason)
            return
        place = ItemLocation(output, item, note=void_note(right.dtype))
        for found in compare_arrays(place, left, right, book):
            yield excused_array(found, left, right, place, book)
    except UnreadableError as error:
        yield Difference(output, item, Verdict.FAILED, note=str(error))


def _arrays(
    item: str, actual: Archive, expected: Archive
) -> tuple[Array | None, Array | None, str]:
    """Both arrays, None for one of objects; the reason says whose.

    Raises:
        UnreadableError: one or both are damaged.
    """
    found: list[Array | None] = []
    pickled: list[str] = []
    damaged: list[str] = []
    for archive in (actual, expected):
        try:
            found.append(archive.array(item))
        except PickledError as error:
            found.append(None)
            pickled.append(str(archive.unreadable(item, str(error))))
        except UnreadableError as error:
            damaged.append(str(error))
    if damaged:
        raise UnreadableError("; ".join(damaged))
    return found[0], found[1], "; ".join(pickled)


def _compare_raw(
    output: str, item: str, actual: Archive, expected: Archive, reason: str = ""
) -> Difference:
    """A member that is no array, by its bytes; with a `reason`, other bytes say nothing."""
    size = expected.members[item].file_size
    with actual.open(item) as left, expected.open(item) as right:
        same = _same(left, right)
    if same:
        return Difference(
            output, item, Verdict.IDENTICAL, size=size, rule="exact (bytes)", unit="bytes"
        )
    verdict = Verdict.FAILED if reason else Verdict.DRIFT
    note = reason or "not an array; its bytes differ"
    return Difference(
        output, item, verdict, size=size, rule="exact (bytes)", unit="bytes", note=note
    )


def _same(left: IO[bytes], right: IO[bytes]) -> bool:
    while True:
        mine, theirs = left.read(CHUNK_BYTES), right.read(CHUNK_BYTES)
        if mine != theirs:
            return False
        if not mine:
            return True


def _is_npz(side: ComparedFile) -> bool:
    if not begins(side, b"PK\x03\x04", b"PK\x05\x06"):
        return False
    named = side.name.lower().endswith(".npz")
    try:
        with open_zip(side, "npz") as file:
            names = file.namelist()
    except UnreadableError:
        return named
    return named or (bool(names) and all(name.endswith(_SUFFIX) for name in names))


@contextmanager
def _named_arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    with _open_archive(side) as archive:
        yield tuple((item, partial(_readable, archive, item)) for item in archive.members)


def _readable(archive: Archive, item: str) -> Array:
    try:
        return archive.array(item)
    except BadArrayError as error:
        raise archive.unreadable(item, str(error)) from error


FORMAT = Format("npz", compare, _is_npz, (".npz",), arrays=_named_arrays)
