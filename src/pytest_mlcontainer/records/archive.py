"""Opens folders and archives of records; an archive is unpacked only while it is used.

An archive of records is trusted no more than the outputs of a run, and read by the same reader.
"""

from __future__ import annotations

import io
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_mlcontainer.errors import OutputError, RecordError
from pytest_mlcontainer.outputs import (
    MAX_FILES,
    Collected,
    DeclaredOutputs,
    OutputLimits,
    collect_tar,
)
from pytest_mlcontainer.temporary import temporary_folder

_CHUNK = 1 << 20
_LEFT_FREE_BYTES = 1 << 28
_GZIP = 16 + zlib.MAX_WBITS
# Zeros alone are packed 1000 to 1, and so are bombs; small ones do no harm.
_MOST_PACKED = 200
_SMALL_BYTES = 1 << 30
_DIRECTORY_BYTES = 24 << 20  # of a zip with 100,000 files
_FOLDERS = 96
_BLOCK = tarfile.BLOCKSIZE
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
    struct.error,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
)
_REMEDY = "name a folder of records, or an archive of one: .zip, .tar or .tar.gz"


@contextmanager
def open_records(path: Path) -> Iterator[Path]:
    """A folder of records, for reading: `path` itself, or what is in the archive there.

    Raises:
        RecordError: there is nothing, it is no archive, it is damaged, does not fit on this
            machine's disk, or names files outside itself.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise RecordError("there is no such folder or archive", str(path), _REMEDY)
    with temporary_folder() as top:
        room = shutil.disk_usage(top).free - _LEFT_FREE_BYTES
        try:
            with path.open("rb") as stream:
                collected = _collect(path, stream, top / "collected", room)
        except OutputError as error:
            raise _damaged(path, str(error.value)) from error
        except _DAMAGED as error:
            raise _damaged(path, str(error) or type(error).__name__) from error
        _check(path, collected)
        yield _arrange(path, collected, top / "records")


def _collect(path: Path, stream: IO[bytes], into: Path, room: int) -> Collected:
    into.mkdir()
    collected = Collected(allowance=OutputLimits(size_bytes=max(0, room)))
    start = stream.read(_BLOCK)
    stream.seek(0)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        chunks = _limited(path, _zip_as_tar(path, stream, room), room)
    elif start[:2] == b"\x1f\x8b":
        chunks = _limited(path, _unpacked(stream), room)
    elif start[257:262] == b"ustar":
        chunks = _limited(path, _chunks(stream), room)
    else:
        raise RecordError("this is neither a folder nor an archive", str(path), _REMEDY)
    chunks = _sparing(chunks, path.stat().st_size, path)
    collect_tar(chunks, "/", DeclaredOutputs(("**",), "/"), into, collected)
    for _ in chunks:  # gzip's checksum, and what is cut off, show at the end only
        pass
    return collected


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """What is in a gzip file, piece by piece. `gzip` reads a header's endless text byte by byte."""
    data = stream.read(_CHUNK)
    while data:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            if not data and not (data := stream.read(_CHUNK)):
                raise EOFError("the stream is cut off")
            piece = member.decompress(data, _CHUNK)
            data = member.unconsumed_tail
            if piece:
                yield piece
        data = (member.unused_data or stream.read(_CHUNK)).lstrip(b"\0")


def _sparing(chunks: Iterator[bytes], packed: int, path: Path) -> Iterator[bytes]:
    """The same, while it is no more than something honest can become."""
    unpacked = 0
    for chunk in chunks:
        unpacked += len(chunk)
        if unpacked > max(_SMALL_BYTES, packed * _MOST_PACKED):
            raise _damaged(
                path,
                f"its {packed:,} bytes become more than {_MOST_PACKED} times as many, as nothing "
                "does that a run wrote",
            )
        yield chunk


def _limited(path: Path, chunks: Iterator[bytes], room: int) -> Iterator[bytes]:
    left = room
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise _too_large(path, room)
        yield chunk


def _zip_as_tar(path: Path, stream: IO[bytes], room: int) -> Iterator[bytes]:
    """The members of a zip as a tar stream, so that one reader guards against both."""
    with zipfile.ZipFile(_Guarded(stream)) as archive:
        members = archive.infolist()
        if len(members) > MAX_FILES:
            raise _damaged(path, f"it holds more than {MAX_FILES:,} files")
        if sum(member.file_size for member in members) > room:
            raise _too_large(path, room)
        for member in members:
            if member.is_dir():
                continue
            if _is_link(member):
                raise _outside(path, member.filename, "a link")
            header = tarfile.TarInfo(member.filename)
            header.size, header.mode = member.file_size, 0o644
            yield header.tobuf(tarfile.PAX_FORMAT)
            with archive.open(member) as content:
                left = member.file_size
                while chunk := content.read(_CHUNK):
                    left -= len(chunk)
                    yield chunk
            if left:
                raise _damaged(path, f"{member.filename!r} is shorter than it says")
            yield bytes(-member.file_size % _BLOCK)
        yield bytes(2 * _BLOCK)


class _Guarded(io.BufferedIOBase):
    """A zip file's stream. `zipfile` holds a directory of any length in memory at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        wanted = _DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        data = self._stream.read(min(wanted, _DIRECTORY_BYTES + 1))
        if len(data) > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory has more than {_DIRECTORY_BYTES:,} bytes")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _is_link(member: zipfile.ZipInfo) -> bool:
    return (member.external_attr >> 16) & 0o170000 == 0o120000


def _check(path: Path, collected: Collected) -> None:
    """Nothing in an honest archive is refused: neither links that lead away nor devices."""
    if collected.refused:
        raise _outside(path, collected.refused[0], "")
    for link, target in collected.links.items():
        raise _outside(path, link.removeprefix("/"), f"a link to {target}")
    for name in collected.outputs:
        parts = PurePosixPath(name).parts
        if ".." in parts:
            raise _outside(path, name, "")
        if len(parts) > _FOLDERS:
            raise _damaged(path, f"{name!r:.200} lies in more than {_FOLDERS} folders")


def _arrange(path: Path, collected: Collected, into: Path) -> Path:
    """The files under the names that the archive gives them, which `_check` has seen."""
    into.mkdir()
    for name, output in collected.outputs.items():
        place = into / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            output.path.rename(place)
        except (OSError, ValueError) as error:
            raise _damaged(path, f"{name!r:.200}: {error}") from error
    return into


def _damaged(path: Path, reason: str) -> RecordError:
    return RecordError(
        "the archive cannot be read",
        f"{path}: {reason:.300}",
        "download or copy it again; it may be cut off",
    )


def _too_large(path: Path, room: int) -> RecordError:
    return RecordError(
        "the archive does not fit on this machine",
        f"{path}: unpacked it has more than the {max(0, room):,} bytes that are free",
        f"free some of {tempfile.gettempdir()}, or name another folder in TMPDIR",
    )


def _outside(path: Path, name: str, what: str) -> RecordError:
    says = f"{name!r:.200}" + (f" ({what})" if what else "")
    return RecordError(
        "the archive reaches outside itself",
        f"{path}: {says}",
        "it is no archive of records as --container-records writes them: do not trust it",
    )
