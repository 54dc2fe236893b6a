"""Files of data and models that note when, or under which random marker, they were written."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare

_SCHEMA = b'{"type":"record","name":"r","fields":[{"name":"score","type":"double"}]}'


def _zigzag(value: int) -> bytes:
    value, found = value << 1, b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def avro(marker: bytes, rows: bytes, end: bytes | None = None) -> bytes:
    """An object container file of one block; `end` in place of the marker behind it."""
    metadata = ((b"avro.schema", _SCHEMA), (b"avro.codec", b"null"))
    head = b"".join(_zigzag(len(each)) + each for pair in metadata for each in pair)
    block = _zigzag(len(rows) // 8) + _zigzag(len(rows)) + rows
    last = marker if end is None else end
    return b"Obj\x01" + _zigzag(2) + head + b"\0" + marker + block + last


def fits(day: str, value: bytes, *, inside: bytes = b"") -> bytes:
    cards = [
        b"SIMPLE  =                    T",
        b"BITPIX  =                  -64",
        b"DATE    = '%b' / when it was written" % day.encode(),
        b"END",
    ]
    head = b"".join(card.ljust(80) for card in cards).ljust(2880)
    return head + (inside + value).ljust(2880, b"\0")


def pmml(day: str, value: str, when: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>\n<PMML version="4.4"><Header><Application name="x"/>'
        f"<Timestamp>{day} 10:15:00</Timestamp></Header>"
        f"<Timestamp>{when}</Timestamp><Node score='{value}'/></PMML>"
    ).encode()


ONE, TWO = bytes(range(16)), bytes(range(100, 116))


@pytest.mark.parametrize(
    ("name", "actual", "expected"),
    [
        ("rows.avro", avro(ONE, b"12345678"), avro(TWO, b"12345678")),
        ("sky.fits", fits("2026-11-28T10:15:00", b"\1"), fits("2026-11-29T11:07:01", b"\1")),
        ("tree.pmml", pmml("2026-11-28", "1"), pmml("2026-11-29", "1")),
    ],
)
def test_when_it_was_written_and_under_which_marker_does_not_count(
    compare: Compare, name: str, actual: bytes, expected: bytes
) -> None:
    """Unless a rule wants it exact."""
    found, _notes = compare(name, actual, expected)
    assert verdict_of(found) is Verdict.EQUIVALENT
    assert "the same but for when" in found[0].note
    found, _notes = compare(name, actual, expected, Tolerance(exact=True))
    assert verdict_of(found) is Verdict.DRIFT


@pytest.mark.parametrize(
    ("name", "actual", "expected"),
    [
        ("rows.avro", avro(ONE, b"12345678"), avro(TWO, b"12345679")),
        # Cut files, whose last bytes are values.
        ("rows.avro", avro(ONE, b"", b"1" * 16), avro(ONE, b"", b"2" * 16)),
        ("rows.avro", avro(ONE, b"12345678", b""), avro(TWO, b"12345678", b"")),
        ("rows.avro", b"Obj\x01" + ONE, b"Obj\x01" + TWO),
        ("rows.avro", b"Obj\x01\xff\xff", b"Obj\x01\xff\xfe"),
        ("sky.fits", fits("2026-11-28", b"\1"), fits("2026-11-29", b"\2")),
        (
            "sky.fits",  # values that read as a card
            fits("2026-11-28", b"", inside=b"DATE    = '2026-11-28'".ljust(80)),
            fits("2026-11-28", b"", inside=b"DATE    = '2026-11-29'".ljust(80)),
        ),
        ("tree.pmml", pmml("2026-11-28", "1"), pmml("2026-11-29", "2")),
        ("tree.pmml", pmml("2026-11-28", "1", "a"), pmml("2026-11-29", "1", "b")),
        ("tree.xml", pmml("2026-11-28", "1")[40:], pmml("2026-11-29", "1")[40:]),
    ],
)
def test_anything_else_is_drift(
    compare: Compare, name: str, actual: bytes, expected: bytes
) -> None:
    found, _notes = compare(name, actual, expected)
    assert verdict_of(found) is Verdict.DRIFT
