"""Tar archives, as members."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, cast

from pytest_mlcontainer.compare.formats import archives
from pytest_mlcontainer.compare.formats.archives import (
    ArchiveMember,
    ArchiveMemberKind,
    Members,
    without_filled_folders,
)
from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.unpacking import (
    CompareInside,
    UnpackingBudget,
    check_expansion,
)
from pytest_mlcontainer.compare.sources import (
    CHUNK_BYTES,
    WRONG_BYTES,
    ComparedFile,
    UnreadableError,
)

_BAD_TAR = (tarfile.TarError, *WRONG_BYTES)
_MAGIC_AT, _MAGIC = 257, b"ustar"
_LONGEST_READ_BYTES = 1 << 24


def format_of(inside: CompareInside, allowance: UnpackingBudget | None) -> Format:
    return Format(
        "tar",
        partial(archives.compare, _open, inside, allowance),
        _has_magic,
        (".tar",),
        folds=True,
    )


def has_header(side: ComparedFile) -> bool:
    """Whether it begins with a header whose checksum is right, which nothing else does.

    A tar begins with the name of its first member, which may look like the magic bytes of any other
    kind of file.
    """
    with side.open() as stream:
        block = stream.read(tarfile.BLOCKSIZE)
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except _BAD_TAR:
        return False
    return True


def _has_magic(side: ComparedFile) -> bool:
    """Also where the first header is damaged, so that it can be said."""
    with side.open() as stream:
        return stream.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC


@contextmanager
def _open(side: ComparedFile, most_members: int) -> Iterator[Members]:
    with side.open() as stream:
        try:
            file = tarfile.TarFile(
                fileobj=cast(IO[bytes], _Careful(stream)), mode="r", encoding="utf-8"
            )
            infos = _read_headers(side, file, stream, most_members)
        except _BAD_TAR as error:
            raise side.unreadable(
                f"cannot be read as tar, it is damaged or truncated ({error})"
            ) from error
        with file:
            size = side.size_bytes()
            check_expansion(side, sum(info.size for info in infos if info.isreg()), size)
            yield without_filled_folders(_members(side, file, infos))


def _read_headers(
    side: ComparedFile, file: tarfile.TarFile, stream: IO[bytes], most_members: int
) -> list[tarfile.TarInfo]:
    """All headers. Older versions of tarfile go round in circles where a size is negative."""
    infos: list[tarfile.TarInfo] = []
    while (info := file.next()) is not None:
        if info.size < 0 or (infos and info.offset <= infos[-1].offset):
            raise side.unreadable(f"lies about a size: member {info.name!r} has {info.size} bytes")
        if len(infos) == most_members:
            raise side.unreadable(
                f"holds more than {most_members} members, and no more are looked at; ignore it by "
                "a rule, or write fewer files"
            )
        infos.append(info)
    stream.seek(file.offset)
    if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise side.unreadable(f"is damaged: at byte {file.offset} a member should begin")
    return infos


def _members(side: ComparedFile, file: tarfile.TarFile, infos: list[tarfile.TarInfo]) -> Members:
    members: Members = {}
    for info in infos:
        if info.name in members:
            raise side.unreadable(
                f"holds {info.name!r} more than once, and readers disagree which one counts"
            )
        members[info.name] = _member(file, info)
    return members


def _member(file: tarfile.TarFile, info: tarfile.TarInfo) -> ArchiveMember:
    open_member = partial(_open_member, file, info)
    if info.isreg():
        return ArchiveMember(ArchiveMemberKind.FILE, open_member, CHUNK_BYTES)
    if info.isdir():
        return ArchiveMember(ArchiveMemberKind.FOLDER, open_member, CHUNK_BYTES)
    if info.issym() or info.islnk():
        says = f"{'to' if info.issym() else 'to the member'} {info.linkname!r}"
        return ArchiveMember(ArchiveMemberKind.LINK, open_member, CHUNK_BYTES, says)
    says = f"but of type {info.type!r} ({info.devmajor}, {info.devminor})"
    return ArchiveMember(ArchiveMemberKind.SPECIAL, open_member, CHUNK_BYTES, says)


@contextmanager
def _open_member(file: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    try:
        stream = file.extractfile(info) if info.isreg() else None
        if stream is None:
            raise UnreadableError("has no content")
        with stream:
            yield stream
    except _BAD_TAR as error:
        raise UnreadableError(f"is damaged ({error or type(error).__name__})") from error


class _Careful:
    """A file whose reader cannot ask for more than is sensible, as headers that lie make it do."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.name = ""
        self.mode = "rb"

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _LONGEST_READ_BYTES:
            raise tarfile.ReadError(f"a header asks for {count} bytes")
        return self._stream.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        """Who opened the file closes it."""
