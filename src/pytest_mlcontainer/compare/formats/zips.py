"""Opens zip files that are not trusted."""

from __future__ import annotations

import itertools
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from pytest_mlcontainer.compare.formats.unpacking import MOST_MEMBERS, check_expansion
from pytest_mlcontainer.compare.sources import WRONG_BYTES, ComparedFile

try:
    from isal.isal_zlib import crc32
except ImportError:  # wheels of it are for amd64 and arm64 alone
    from zlib import crc32

__all__ = ["BAD_ZIP", "ENCRYPTED", "crc32", "has_directory", "member_offset", "open_zip"]

BAD_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, *WRONG_BYTES)
ENCRYPTED = 1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_DIRECTORY_LIMIT_BYTES = 1 << 26
_LOCAL_HEADER_BYTES = 30
_END, _END64, _LOCATOR64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END_BYTES, _LOCATOR64_BYTES, _LONGEST_COMMENT = 22, 20, 1 << 16


@contextmanager
def open_zip(
    side: ComparedFile, kind: str, most_members: int = MOST_MEMBERS
) -> Iterator[zipfile.ZipFile]:
    """The archive, with its directory checked: how many members, how large, none inside another.

    Raises:
        UnreadableError: it is damaged, or made to cost more than it may.
    """
    with side.open() as stream:
        size = side.size_bytes()
        if not size:
            raise side.unreadable("is empty")
        _check_directory(side, stream, size, most_members)
        try:
            file = zipfile.ZipFile(stream)
        except BAD_ZIP as error:
            raise side.unreadable(
                f"cannot be read as {kind}, it is damaged or truncated ({error})"
            ) from error
        with file:
            _check_members(side, file, size)
            yield file


def has_directory(side: ComparedFile) -> bool:
    """Whether the end of the file is that of a zip, which a truncated one lacks."""
    with side.open() as stream:
        return _directory_bytes(stream, side.size_bytes()) is not None


def _check_directory(side: ComparedFile, stream: IO[bytes], size: int, most_members: int) -> None:
    """zipfile reads the whole directory into memory, so its size is looked at before."""
    length = _directory_bytes(stream, size)
    if length is None:
        return
    if length <= min(size, _DIRECTORY_LIMIT_BYTES):
        start = max(0, size - length - _END_BYTES - _LONGEST_COMMENT)
        stream.seek(start)
        count = stream.read().count(_ENTRY)
    else:
        count = length // 46
    stream.seek(0)
    if count > most_members:
        raise side.unreadable(
            f"holds about {count} members, more than the {most_members} that are looked at; ignore "
            "it by a rule, or write fewer files"
        )


def _directory_bytes(stream: IO[bytes], size: int) -> int | None:
    """What the end of the file says of the directory's size; None where zipfile will complain."""
    start = max(0, size - _END_BYTES - _LONGEST_COMMENT - _LOCATOR64_BYTES)
    stream.seek(start)
    tail = stream.read()
    stream.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        return None
    (length,) = struct.unpack_from("<L", tail, at + 12)
    locator = at - _LOCATOR64_BYTES
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR64:
        (offset,) = struct.unpack_from("<Q", tail, locator + 8)
        # Where zipfile looks (right before the locator), and where the locator points.
        for place in (start + locator - 56, offset):
            if 0 <= place < size:
                stream.seek(place)
                record = stream.read(56)
                if record.startswith(_END64) and len(record) == 56:
                    length = max(length, struct.unpack_from("<Q", record, 40)[0])
        stream.seek(0)
    return int(length) if length != 0xFFFFFFFF else size


def _check_members(side: ComparedFile, file: zipfile.ZipFile, size: int) -> None:
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    for info, after in itertools.pairwise(infos):
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
        if end > after.header_offset:
            raise side.unreadable(
                f"has members that lie inside one another ({info.filename!r} and "
                f"{after.filename!r}), which only a zip bomb has"
            )
    expanded = sum(info.file_size for info in infos)
    check_expansion(side, expanded, size)


def member_offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed lie, which only its own header says.

    Raises:
        zipfile.BadZipFile: there is no such header where the directory says.
    """
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile("its header is not where the directory says")
    if info.compress_size != info.file_size:
        raise zipfile.BadZipFile("it is not compressed, and has two sizes")
    _signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    return info.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)
