"""Tar streams made byte by byte, for what no honest program writes."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK = 512
END = bytes(2 * BLOCK)
_PIECE = bytes(1 << 20)


def header(
    name: bytes = b"outputs/x",
    kind: bytes = b"0",
    size: int | bytes = 0,
    *,
    link: bytes = b"",
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    mtime: int | bytes = 0,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
    at: tuple[int, bytes] = (0, b""),
) -> bytes:
    """One block. Numbers may be given as the bytes of their field; `at` overwrites some bytes."""
    block = bytearray(
        name[:100].ljust(100, b"\0")
        + _field(mode, 8)
        + _field(uid, 8)
        + _field(uid, 8)
        + _field(size, 12)
        + _field(mtime, 12)
        + b" " * 8
        + kind
        + link[:100].ljust(100, b"\0")
        + magic.ljust(8, b"\0")[:8]
        + bytes(80)
        + prefix[:155].ljust(155, b"\0")
        + bytes(12)
    )
    start, replaced = at
    if replaced:
        block[start : start + len(replaced)] = replaced
    block[148:156] = (b"%06o\0 " % sum(block))[:8] if checksum is None else checksum.ljust(8, b"\0")
    return bytes(block)


def mend(block: bytes) -> bytes:
    """The block with the checksum that fits what is in it."""
    bare = block[:148] + b" " * 8 + block[156:]
    return bare[:148] + b"%06o\0 " % sum(bare) + bare[156:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def file(name: bytes = b"outputs/x", content: bytes = b"x", **more: object) -> bytes:
    """A file, with its name in a pax header where a plain one has no room for it."""
    before = b"" if len(name) <= 100 else pax((b"path", name))
    return before + header(name, size=len(content), **more) + padded(content)  # type: ignore[arg-type]


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A pax header for the next member."""
    return raw_pax(b"".join(_record(key, value) for key, value in records), kind)


def raw_pax(content: bytes, kind: bytes = b"x") -> bytes:
    return header(b"pax", kind, len(content)) + padded(content)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU's way for a long name (`L`) or target of a link (`K`)."""
    return header(b"././@LongLink", kind, len(name) + 1) + padded(name + b"\0")


def zeros(size: int) -> Iterator[bytes]:
    """So many bytes, none of them held."""
    while size > 0:
        yield _PIECE[:size]
        size -= len(_PIECE)


def base_256(number: int, width: int = 12) -> bytes:
    """GNU's way for numbers that are too large for octal digits, or negative."""
    return (number % (1 << (8 * width - 1)) | (1 << (8 * width - 1))).to_bytes(width, "big")


def _field(value: int | bytes, width: int) -> bytes:
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")[:width]
    return b"%0*o\0" % (width - 1, value)


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
