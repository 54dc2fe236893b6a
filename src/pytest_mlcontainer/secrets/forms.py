"""In which forms a value may turn up in what a program prints or writes."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

LEAST = 6  # bytes of a whole value: shorter ones cannot be told from other text
_LEAST_LINE = 8
_TELLING_LINE = 16  # a line that by itself shows that a file holds the value
_LONGEST_FORM = 1024  # longer ones are looked for in pieces, so that little is held back
_ENCODED = 4096  # bytes of a value whose encodings are looked for
_WRAPS = (76, 64)  # columns at which `base64` and `openssl` break lines
_ARMOR = re.compile(rb"-----(BEGIN|END) [A-Z0-9 ]+-----")

Encode = Callable[[bytes], bytes]


def forms(value: bytes) -> Iterator[tuple[bytes, bool]]:
    """Texts to look for, and whether each shows by itself that a file holds the value.

    The value, or each of its lines, as it is, as in a URL, in JSON, in HTML and in Python's
    `repr`; and the whole of it in base64 (wherever it stands in what was encoded) and in hex.
    """
    whole = value.strip()
    lines = [line.strip() for line in whole.splitlines()]
    if len(lines) > 1:
        lines = [x for x in lines if len(x) >= _LEAST_LINE and not _ARMOR.fullmatch(x)]
    for line in lines:
        telling = len(lines) == 1 or len(line) >= _TELLING_LINE
        for text in (line, *_spellings(line)):
            yield from ((piece, telling) for piece in _pieces(text))
    for text in _encodings(value.rstrip(b"\r\n")[:_ENCODED]):
        yield from ((piece, True) for piece in _pieces(text))


def _spellings(line: bytes) -> Iterator[bytes]:
    """The same where some characters have to be written in another way."""
    yield repr(line)[2:-1].encode()
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return
    yield from (
        each.encode("utf-8", "backslashreplace")
        for each in (
            quote(text, safe=""),
            quote(text),
            quote_plus(text),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            html.escape(text),
            repr(text)[1:-1],
        )
    )


def _encodings(value: bytes) -> Iterator[bytes]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            yield _inner(value, encode, shift)
        text = _inner(value, encode, 0)
        for wrap in _WRAPS:
            rows = (text[at : at + wrap] for at in range(0, len(text), wrap))
            yield from (row for row in rows if len(row) >= _TELLING_LINE)
    yield value.hex().encode()
    yield value.hex().upper().encode()


def _inner(value: bytes, encode: Encode, shift: int) -> bytes:
    """What is the same in base64, whatever comes before the value and after it.

    Args:
        shift: bytes before it, modulo 3.
    """
    first = -(-shift * 8 // 6)
    return encode(bytes(shift) + value)[first : (shift + len(value)) * 8 // 6]


def _pieces(text: bytes) -> Iterator[bytes]:
    if len(text) <= _LONGEST_FORM:
        yield text
        return
    last = len(text) - _LONGEST_FORM
    yield from (text[at : at + _LONGEST_FORM] for at in (*range(0, last, _LONGEST_FORM), last))
