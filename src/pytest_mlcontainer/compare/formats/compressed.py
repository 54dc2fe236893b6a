"""One file compressed by gzip, bzip2 or xz: what is in it counts, by its own format."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from pytest_mlcontainer.compare.formats.kind import Format, begins
from pytest_mlcontainer.compare.formats.unpacking import (
    DEEPEST,
    CompareInside,
    Open,
    UnpackingBudget,
    same_content,
    unpack,
)
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    CHUNK_BYTES,
    ComparedFile,
    Pair,
    UnreadableError,
    read_both,
)
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.temporary import temporary_folder

_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)
_XZ_MEMORY_BYTES = 1 << 28
_ENDINGS = ((".tgz", ".tar"), (".tbz2", ".tar"), (".tbz", ".tar"), (".txz", ".tar"))


@dataclass(frozen=True)
class _Kind:
    """A way to compress: how to read it, and the names that say so."""

    name: str
    magics: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    open: Callable[[IO[bytes]], IO[bytes]]


def formats_of(inside: CompareInside, allowance: UnpackingBudget | None) -> tuple[Format, ...]:
    """Formats that hand what they unpack to `inside`.

    Args:
        allowance: of the archive around; None for an output itself.
    """
    return tuple(
        Format(
            kind.name,
            partial(_compare, kind, inside, allowance),
            partial(_begins, kind.magics),
            kind.suffixes,
            folds=True,
        )
        for kind in _KINDS
    )


def _begins(magics: tuple[bytes, ...], side: ComparedFile) -> bool:
    return begins(side, *magics)


def _compare(
    kind: _Kind, inside: CompareInside, given: UnpackingBudget | None, pair: Pair, book: RuleBook
) -> Iterator[Difference]:
    sizes = pair.actual.size_bytes(), pair.expected.size_bytes()
    allowance = given or UnpackingBudget(max(sizes))
    opens: tuple[Open, Open] = (
        partial(_open, kind, pair.actual),
        partial(_open, kind, pair.expected),
    )
    strict = any(not rule.tolerance.equal_nan for rule in book.for_output(pair.name))
    size = _same(pair, opens, allowance)
    if size is not None and not strict:
        if not book.find(pair.name).tolerance.ignore:
            book.leave_unread(pair.name)
            note = "what is compressed is the same, byte for byte"
            yield Difference(pair.name, "", Verdict.IDENTICAL, size=size, note=note, unit="bytes")
        return
    if allowance.depth > DEEPEST:
        raise UnreadableError(too_deep(pair.expected.name))
    with temporary_folder() as folder:
        sides: list[ComparedFile] = []
        for side, opened in zip((pair.actual, pair.expected), opens, strict=True):
            path = folder / str(len(sides))
            try:
                unpack(opened, path, CHUNK_BYTES, allowance)
            except UnreadableError as error:
                raise _named(side, error) from error
            sides.append(replace(side, name=inner_name(side.name), path=path, opened=None))
        yield from inside(Pair(pair.name, sides[0], sides[1]), book, allowance.deeper())


def too_deep(name: str) -> str:
    return (
        f"{name} lies more than {DEEPEST} archives deep, and its bytes differ; unpack it in the "
        "container, or ignore it by a rule"
    )


def inner_name(name: str) -> str:
    """The name without the ending of a compressed file."""
    lower = name.lower()
    for ending, inner in _ENDINGS:
        if lower.endswith(ending):
            return name[: -len(ending)] + inner
    for kind in _KINDS:
        for suffix in kind.suffixes:
            if lower.endswith(suffix):
                return name[: -len(suffix)]
    return name


def _same(pair: Pair, opens: tuple[Open, Open], allowance: UnpackingBudget) -> int | None:
    try:
        with opens[0]() as left, opens[1]() as right:
            return same_content(left, right, CHUNK_BYTES, allowance)
    except UnreadableError as error:
        # The side that is damaged has to be told from the one that is not, and both may be.
        sides = {pair.actual.label: opens[0], pair.expected.label: opens[1]}
        read_both(pair, lambda side: _drain(side, sides[side.label], allowance))
        raise _named(pair.actual, error) from error


def _drain(side: ComparedFile, open_stream: Open, allowance: UnpackingBudget) -> None:
    try:
        with open_stream() as stream:
            while chunk := stream.read(CHUNK_BYTES):
                allowance.take(len(chunk))
    except UnreadableError as error:
        raise _named(side, error) from error


def _named(side: ComparedFile, error: UnreadableError) -> UnreadableError:
    text = str(error)
    return error if text.startswith(f"{side.label}: ") else side.unreadable(text)


@contextmanager
def _open(kind: _Kind, side: ComparedFile) -> Iterator[IO[bytes]]:
    """What is compressed; what is wrong with it shows while it is read."""
    with side.open() as file:
        try:
            with kind.open(file) as stream:
                yield stream
        except _DAMAGED as error:
            raise side.unreadable(
                f"cannot be read as {kind.name}, it is damaged or truncated ({error})"
            ) from error


class _Xz:
    """Reads xz and lzma with a limit on memory, which `lzma.open` does not have."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = _new_decoder()
        self._input = b""
        self._ready = bytearray()
        self._started = False

    def __enter__(self) -> _Xz:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def read(self, count: int) -> bytes:
        while len(self._ready) < count and self._fill(count):
            pass
        found = bytes(self._ready[:count])
        del self._ready[:count]
        return found

    def _fill(self, count: int) -> bool:
        """Decode some more; False at the end."""
        if self._decoder.eof:
            left = self._decoder.unused_data.lstrip(b"\0") or self._next_stream()
            if not left:
                return False
            self._decoder, self._input = _new_decoder(), left
        data = self._input
        if not data and self._decoder.needs_input:
            data = self._stream.read(CHUNK_BYTES)
            if not data:
                raise EOFError("the file ends before its end mark")
        self._input = b""
        self._ready += self._decoder.decompress(data, count)
        return True

    def _next_stream(self) -> bytes:
        """Several streams may follow one another, with zeros between them."""
        while chunk := self._stream.read(CHUNK_BYTES):
            if left := chunk.lstrip(b"\0"):
                return left
        return b""


def _new_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


def _open_gzip(stream: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]


def _open_bzip2(stream: IO[bytes]) -> IO[bytes]:
    return bz2.BZ2File(stream)


def _open_xz(stream: IO[bytes]) -> IO[bytes]:
    return _Xz(stream)  # type: ignore[return-value]


_KINDS = (
    _Kind("gzip", (b"\x1f\x8b\x08",), (".gz", ".tgz"), _open_gzip),
    _Kind(
        "bzip2",
        tuple(b"BZh%d%s" % (level, mark) for level in range(1, 10) for mark in (b"1AY", b"\x17rE")),
        (".bz2", ".tbz2", ".tbz"),
        _open_bzip2,
    ),
    _Kind("xz", (b"\xfd7zXZ\0",), (".xz", ".txz", ".lzma"), _open_xz),
)
