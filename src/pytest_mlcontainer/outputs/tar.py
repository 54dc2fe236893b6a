"""Tar streams, member by member: POSIX ustar and pax, and GNU's long names.

Whatever a stream holds, reading it takes time in proportion to its length and no more memory than
one header's, which `tarfile` does not promise: there a header's own length is believed, headers
recurse, and patterns backtrack.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_mlcontainer.errors import OutputError

_BLOCK = 512
_CHUNK = 1 << 20
# Of one pax header or long name. Paths end at 4096 bytes, extended attributes at 64 KiB each.
_MAX_HEADER_BYTES = 1 << 20
_LAST_ID = 2**32 - 2
_TIME_BYTES = 64
_OCTAL = re.compile(rb"[0-7]*")
_DECIMAL = re.compile(rb"[0-9]{1,30}")
_OCTAL_TIME = 11
_SECOND_NS = 1_000_000_000
# As far as the 64 bits reach in which file systems keep nanoseconds.
_MOMENT = re.compile(rb"(-?)([0-9]{1,9}|[1-8][0-9]{9})(?:\.([0-9]*))?")
_PAX_KEYS = {b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"}
_SPARSE = b"GNU.sparse."


class DamagedTarError(Exception):
    """The stream is cut off, or no tar stream."""


class TarMemberKind(enum.Enum):
    """The type of a member; the value is its name in messages that refuse it."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "link"
    HARDLINK = "hard link"
    SPARSE = "sparse member, which no engine sends"
    FIFO = "fifo"
    DEVICE = "device"
    OTHER = "special file"


_KINDS = {
    b"0": TarMemberKind.FILE,
    b"\0": TarMemberKind.FILE,
    b"7": TarMemberKind.FILE,
    b"1": TarMemberKind.HARDLINK,
    b"2": TarMemberKind.SYMLINK,
    b"3": TarMemberKind.DEVICE,
    b"4": TarMemberKind.DEVICE,
    b"5": TarMemberKind.FOLDER,
    b"6": TarMemberKind.FIFO,
    b"S": TarMemberKind.SPARSE,
}
_WITHOUT_CONTENT = {
    TarMemberKind.HARDLINK,
    TarMemberKind.SYMLINK,
    TarMemberKind.DEVICE,
    TarMemberKind.FOLDER,
    TarMemberKind.FIFO,
}


def moment_ns(time: bytes) -> int | None:
    """A header's time in nanoseconds since the epoch; None for what is none.

    Args:
        time: as of a member: octal digits of an old header, eleven of them, or the decimal number
            of a pax header, with or without a fraction.
    """
    text = time.strip(b" \0")
    if len(text) == _OCTAL_TIME and _OCTAL.fullmatch(text):
        return int(text, 8) * _SECOND_NS
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found.groups(default=b"")
    moment = int(whole) * _SECOND_NS + int(fraction[:9].ljust(9, b"0"))
    return -moment if sign else moment


@dataclass(frozen=True)
class TarHeader:
    """The header of one member.

    Args:
        name: as the stream has it; nothing in it is checked.
        size_bytes: of the file, when it is unpacked; that of a sparse one counts its holes.
        target: of a link, as the stream has it.
        time: when it was changed, as the header writes it; only good for telling whether two are
            the same.
    """

    name: str
    kind: TarMemberKind
    size_bytes: int
    mode: int
    uid: int
    gid: int
    target: str
    time: bytes = b""


class Content:
    """A stream's bytes, of which those of the present member can be read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self.left: int = 0

    def read(self, most: int) -> memoryview:
        """Up to so many bytes of the member's content; none at its end.

        Raises:
            DamagedTarError: the stream ends before.
        """
        piece = self._some(min(most, self.left))
        if not piece and most and self.left:
            raise DamagedTarError("the stream is cut off")
        self.left -= len(piece)
        return piece

    def skip(self, size: int) -> None:
        """Pass by so many bytes of the stream."""
        self.left = size
        while self.left:
            self.read(_CHUNK)

    def take(self, size: int) -> bytes:
        """So many bytes of the stream."""
        self.left = size
        if len(self._rest) >= size:
            return self.read(size).tobytes()
        parts = []
        while self.left:
            parts.append(self.read(size).tobytes())
        return b"".join(parts)

    def _some(self, most: int) -> memoryview:
        while not self._rest and most:
            try:
                chunk = next(self._chunks, None)
            except OSError as error:
                raise OutputError(
                    "the engine stopped sending what the run wrote", str(error), "run it again"
                ) from error
            if chunk is None:
                return self._rest
            self._rest = memoryview(chunk)
        piece = self._rest[:most]
        self._rest = self._rest[most:]
        return piece


def read_members(content: Content) -> Iterator[TarHeader]:
    """The members of a stream; what was not read of one is skipped.

    Raises:
        DamagedTarError: the stream is cut off, also between two members, or is none.
        OutputError: what it comes from broke.
    """
    while True:
        extended: dict[bytes, bytes] = {}
        while (header := _Header(content.take(_BLOCK))).extends:
            extended.update(_read_extension(content, header))
        if header.is_end:
            return
        member, stored = _member(header, extended)
        if header.type == b"S":
            _skip_sparse_map(content, header)
        content.left = stored
        yield member
        content.skip(content.left)
        content.skip(-stored % _BLOCK)


class _Header:
    """One block with what it says of itself."""

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.type = block[156:157]
        self.is_end = not block.strip(b"\0")
        if not self.is_end and not _is_summed_up(block):
            raise DamagedTarError("the stream is damaged: a header's checksum is wrong")

    @property
    def extends(self) -> bool:
        """Whether it only says something of members to come."""
        return not self.is_end and self.type in (b"x", b"X", b"g", b"L", b"K")

    def number(self, start: int, end: int) -> int:
        field = self.block[start:end]
        if field[0] & 0x80:  # GNU's way for large numbers; the next bit is the sign
            large = int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
            number = -1 if field[0] & 0x40 else large
        else:
            digits = field.partition(b"\0")[0].strip(b" ")
            number = int(digits or b"0", 8) if _OCTAL.fullmatch(digits) else -1
        if number < 0:
            raise DamagedTarError(f"the stream is damaged: {field!r} is no size or number")
        return number

    def text(self, start: int, end: int) -> bytes:
        return self.block[start:end].partition(b"\0")[0]

    @property
    def name(self) -> bytes:
        prefix = self.text(345, 500) if self.block[257:263] == b"ustar\0" else b""
        return prefix + b"/" + self.text(0, 100) if prefix else self.text(0, 100)


def _is_summed_up(block: bytes) -> bool:
    noted = block[148:156].partition(b"\0")[0].strip(b" ")
    if not noted or not _OCTAL.fullmatch(noted):
        return False
    kept = block[:148] + b" " * 8 + block[156:]
    found = int(noted, 8)
    # Some old programs added up signed characters.
    return found == sum(kept) or found == sum(struct.unpack("512b", kept))


def _read_extension(content: Content, header: _Header) -> dict[bytes, bytes]:
    size = header.number(124, 136)
    if header.type == b"g":
        # Of all members to come. Neither engines nor we write any that matters.
        content.skip(size + -size % _BLOCK)
        return {}
    if size > _MAX_HEADER_BYTES:
        raise DamagedTarError(
            f"a header of {size:,} bytes, where {_MAX_HEADER_BYTES:,} are the most"
        )
    data = content.take(size)
    content.skip(-size % _BLOCK)
    if header.type in (b"L", b"K"):
        return {b"path" if header.type == b"L" else b"linkpath": data.partition(b"\0")[0]}
    return _parse_pax(data)


def _parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Records as `LENGTH KEY=VALUE\\n`, of which those are kept that say something here."""
    found = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 10)
        length = data[at:space] if space > 0 else b""
        end = at + int(length) if _DECIMAL.fullmatch(length) else -1
        if not space < end - 1 < len(data) or data[end - 1] != 0x0A:
            raise DamagedTarError("the stream is damaged: a pax header is none")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if equals and (key in _PAX_KEYS or key.startswith(_SPARSE)):
            found[key] = value
        at = end
    return found


def _member(header: _Header, extended: dict[bytes, bytes]) -> tuple[TarHeader, int]:
    """The member, and how many bytes follow its header."""
    name = extended.get(b"GNU.sparse.name") or extended.get(b"path") or header.name
    kind = _KINDS.get(header.type, TarMemberKind.OTHER)
    if header.type == b"\0" and name.endswith(b"/"):
        kind = TarMemberKind.FOLDER  # as programs before POSIX marked them
    stored = _number(extended, b"size", header.number(124, 136))
    if kind in _WITHOUT_CONTENT:
        stored = 0
    size = stored
    if kind is TarMemberKind.SPARSE:
        size = header.number(483, 495)
    elif kind is TarMemberKind.FILE and any(key.startswith(_SPARSE) for key in extended):
        kind = TarMemberKind.SPARSE
        size = _number(extended, b"GNU.sparse.size", stored)
        size = _number(extended, b"GNU.sparse.realsize", size)
    return (
        TarHeader(
            name=name.decode("utf-8", "surrogateescape"),
            kind=kind,
            size_bytes=size,
            mode=header.number(100, 108) & 0o7777,
            uid=_owner(_number(extended, b"uid", header.number(108, 116))),
            gid=_owner(_number(extended, b"gid", header.number(116, 124))),
            target=(extended.get(b"linkpath") or header.text(157, 257)).decode(
                "utf-8", "surrogateescape"
            ),
            time=(extended.get(b"mtime") or header.text(136, 148))[:_TIME_BYTES],
        ),
        stored,
    )


def _number(extended: dict[bytes, bytes], key: bytes, otherwise: int) -> int:
    value = extended.get(key)
    if value is None:
        return otherwise
    if not _DECIMAL.fullmatch(value):
        raise DamagedTarError(f"the stream is damaged: {key.decode()} is {value[:40]!r}")
    return int(value)


def _owner(number: int) -> int:
    """The id of a user or a group; root for what no system has."""
    return number if number <= _LAST_ID else 0


def _skip_sparse_map(content: Content, header: _Header) -> None:
    more = header.block[482]
    while more:
        more = content.take(_BLOCK)[504]
