"""Which encoding a text is in: by a byte order mark, as UTF-8, Latin-1 or cp1252."""

from __future__ import annotations

import codecs

from pytest_mlcontainer.compare.sources import ComparedFile, chunks

LIMIT_BYTES = 1 << 28
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What ASCII text is made of, the escape of terminal colours and form feeds among it.
_ASCII_TEXT = bytes([*range(8, 14), 27, *range(32, 127)])
_LATIN_TEXT = bytes(range(160, 256))
# Where Latin-1 has control characters, Windows has quotation marks, dashes and the euro.
_WINDOWS_TEXT = bytes(set(range(128, 160)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})
SINGLE_BYTE = ("latin-1", "cp1252")
_ASCII_SHARE = 0.7


def is_text(side: ComparedFile) -> bool:
    """UTF-8 without NUL, and not too large to be compared line by line."""
    return side.size_bytes() <= LIMIT_BYTES and _decodes(side, "utf-8")


def is_readable(side: ComparedFile) -> bool:
    """Text in any encoding that can be told: by a byte order mark, as UTF-8, Latin-1 or cp1252."""
    return encoding_of(side) is not None


def encoding_of(side: ComparedFile) -> str | None:
    """Python's name of the encoding; None for what is no text, or too large."""
    if side.size_bytes() > LIMIT_BYTES:
        return None
    with side.open() as stream:
        start = stream.read(4)
    marked = next((name for bom, name in BYTE_ORDER_MARKS if start.startswith(bom)), None)
    if marked is not None and _decodes(side, marked):
        return marked
    if _decodes(side, "utf-8"):
        return "utf-8"
    return _single_byte(side)


def find_encoding(side: ComparedFile) -> str:
    """Python's name of the encoding.

    Raises:
        UnreadableError: it cannot be told.
    """
    found = encoding_of(side)
    if found is None:
        raise side.unreadable(
            "is not text in an encoding that can be told (UTF-8, UTF-16 with a byte order mark, "
            'Latin-1); write it with encoding="utf-8"'
        )
    return found


def _decodes(side: ComparedFile, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with side.open() as stream:
            for chunk in chunks(stream):
                if "\0" in decoder.decode(chunk):
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _single_byte(side: ComparedFile) -> str | None:
    """No control characters, and mostly ASCII: any bytes decode as Latin-1."""
    size = ascii_bytes = 0
    windows = False
    with side.open() as stream:
        for chunk in chunks(stream):
            strange = chunk.translate(None, _ASCII_TEXT)
            if rest := strange.translate(None, _LATIN_TEXT):
                windows = True
                if rest.translate(None, _WINDOWS_TEXT):
                    return None
            size += len(chunk)
            ascii_bytes += len(chunk) - len(strange)
    if ascii_bytes < _ASCII_SHARE * size:
        return None
    return "cp1252" if windows else "latin-1"


def family(encoding: str) -> str:
    """The encoding without its byte order mark, which is no part of the text."""
    return encoding.removesuffix("-sig")
