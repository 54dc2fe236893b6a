"""Tar streams as engines send them."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable, Iterator

from pytest_mlcontainer.errors import OutputError

_CHUNK = 1 << 20


def open_tar(stream: Iterable[bytes]) -> tarfile.TarFile:
    reader = io.BufferedReader(_Stream(iter(stream)), _CHUNK)
    return tarfile.open(
        fileobj=reader, mode="r|", tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
    )


def path_of(member: str, root: str) -> str | None:
    """A member's absolute container path; None for one that climbs out of `root`."""
    parts = [part for part in member.split("/") if part not in ("", ".")]
    if ".." in parts:
        return None
    if root == "/":
        # The archive of the root folder has no top of its own, and names like `/app/outputs`.
        return posixpath.join("/", *parts)
    if member.startswith("/"):
        return None
    return posixpath.join(root, *parts[1:])


class _Member(tarfile.TarInfo):
    """A member of a stream that has to end as tar streams do.

    `tarfile` takes a header that is none, and a stream cut off between two members, for the end.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end mark
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"the stream is cut off or damaged ({error})") from error


class _Stream(io.RawIOBase):
    """An iterator of bytes as a readable file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except OSError as error:
                raise OutputError(
                    "the engine stopped sending what the run wrote", str(error), "run it again"
                ) from error
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
