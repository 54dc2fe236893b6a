"""NumPy's `.npz`: a zip of npy files, each of them an item, read one at a time and in blocks."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO

from pytest_mlcontainer.compare.arrays import Place, compare_arrays
from pytest_mlcontainer.compare.format import Format, begins
from pytest_mlcontainer.compare.measure import Array, array_of
from pytest_mlcontainer.compare.npy import (
    MAGIC,
    BadArrayError,
    PickledError,
    read_header,
    stored_array,
)
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import CHUNK_BYTES, Pair, Side, UnreadableError
from pytest_mlcontainer.model import Difference, Verdict

_SUFFIX = ".npy"
_IN_MEMORY_BYTES = 1 << 26
_BAD_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeError,
    ValueError,
)


@dataclass(frozen=True)
class Archive:
    """One side's zip, open. `members` are in the order written."""

    side: Side
    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]

    @contextmanager
    def open(self, item: str) -> Iterator[IO[bytes]]:
        """The bytes of a member; what is wrong with them shows while they are read."""
        try:
            with self.file.open(self.members[item]) as stream:
                yield stream
        except _BAD_ZIP as error:
            raise self.unreadable(item, f"is damaged ({error})") from error

    def unreadable(self, item: str, reason: str) -> UnreadableError:
        return self.side.unreadable(f"member {item!r} {reason}")

    def array(self, item: str) -> Array:
        """A member as an array; small ones are unpacked once and kept.

        Raises:
            PickledError: it holds objects.
            UnreadableError: it is damaged.
        """
        size_bytes = self.members[item].file_size
        try:
            with self.open(item) as stream:
                header = read_header(stream, size_bytes)
        except PickledError:
            raise
        except BadArrayError as error:
            raise self.unreadable(item, str(error)) from error
        array = stored_array(header, partial(self.open, item), partial(self.unreadable, item))
        if size_bytes > _IN_MEMORY_BYTES:
            return array
        return array_of(array.values())

    def is_array(self, item: str) -> bool:
        if self.members[item].filename.endswith(_SUFFIX):
            return True
        with self.open(item) as stream:
            return stream.read(len(MAGIC)) == MAGIC


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two archives, member by member."""
    with ExitStack() as stack:
        actual, expected = _open_both(pair, stack)
        for item in dict.fromkeys((*expected.members, *actual.members)):
            if item in actual.members and item in expected.members:
                yield from _compare_member(pair.name, item, actual, expected, book)
            elif not book.find(pair.name, item).tolerance.ignore:
                note = "missing in the actual run"
                if item in actual.members:
                    note = "only in the actual run"
                yield Difference(pair.name, item, Verdict.DRIFT, note=note)


def _open_both(pair: Pair, stack: ExitStack) -> tuple[Archive, Archive]:
    opened: list[Archive] = []
    reasons: list[str] = []
    for side in (pair.actual, pair.expected):
        try:
            opened.append(stack.enter_context(_open_archive(side)))
        except UnreadableError as error:
            reasons.append(str(error))
    if reasons:
        raise UnreadableError("; ".join(reasons))
    return opened[0], opened[1]


@contextmanager
def _open_archive(side: Side) -> Iterator[Archive]:
    with side.open() as stream:
        if not side.size_bytes():
            raise side.unreadable("is empty")
        try:
            file = zipfile.ZipFile(stream)
        except _BAD_ZIP as error:
            raise side.unreadable(
                f"cannot be read as npz, it is damaged or truncated ({error})"
            ) from error
        with file:
            yield Archive(side, file, _members(side, file))


def _members(side: Side, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in file.infolist() if not info.is_dir()]
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
        yield from compare_arrays(Place(output, item), left, right, book)
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


def _is_npz(side: Side) -> bool:
    if not begins(side, b"PK\x03\x04", b"PK\x05\x06"):
        return False
    try:
        with side.open() as stream, zipfile.ZipFile(stream) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return bool(names) and all(name.endswith(_SUFFIX) for name in names)


FORMAT = Format("npz", compare, _is_npz, (".npz",))
