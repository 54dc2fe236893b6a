"""Any other file, byte by byte, in chunks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import CHUNK_BYTES, Pair
from pytest_mlcontainer.model import Difference, Verdict

_BOUNDS = ("rtol", "atol", "scale", "ulp", "margin", "agreement", "equivalence")
# Formats of the usual libraries that are not read here, by what stands where in a file.
_UNREAD = (
    (0, b"CBM1", "CatBoost's own format"),
    (0, b"binf", "XGBoost's old binary format"),
    (4, b"TFL3", "TensorFlow Lite"),
    (0, b"Obj\x01", "Avro"),
    (0, b"ORC", "ORC"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"CDF\x05", "netCDF 3 with 64-bit data (CDF-5)"),
    (0, b"<stata_dta>", "Stata"),
    (0, b"r\x01\x01\0", "Stata"),  # version 114, which pandas writes, in both orders of bytes
    (0, b"r\x02\x01\0", "Stata"),
    (0, b"$FL2", "SPSS"),
    (0, b"$FL3", "SPSS"),
    (0, b"HEADER RECORD*******LIB", "SAS transport"),
    (0, b"RDX2\n", "R data"),
    (0, b"RDX3\n", "R data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (8, b"DUCK", "DuckDB"),
    (128, b"DICM", "DICOM"),
    (344, b"ni1\0", "NIfTI in two files"),
)
_HEAD_BYTES = max(at + len(magic) for at, magic, _name in _UNREAD)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files: their sizes, the first byte that differs, how many do."""
    applied = book.find(pair.name)
    if applied.tolerance.ignore:
        return
    sizes = pair.actual.size_bytes(), pair.expected.size_bytes()
    first, differing = _compare_bytes(pair)
    differing += abs(sizes[0] - sizes[1])
    if not differing:
        yield Difference(
            pair.name, "", Verdict.IDENTICAL, size=sizes[1], rule="exact (bytes)", unit="bytes"
        )
        return
    offset = min(sizes) if first is None else first[0]
    notes = [f"the first byte that differs is at offset {offset}"]
    if sizes[0] != sizes[1]:
        notes.insert(0, f"{sizes[0]} bytes, expected {sizes[1]}")
    yield Difference(
        pair.name,
        "",
        Verdict.DRIFT,
        worst_index=(offset,),
        worst_actual="(end of file)" if first is None and sizes[0] <= offset else _hex(first, 1),
        worst_expected="(end of file)" if first is None and sizes[1] <= offset else _hex(first, 2),
        differing=differing,
        beyond=differing,
        size=max(sizes),
        rule="exact (bytes)",
        unit="bytes",
        note="; ".join([*notes, *_say_vain(pair, applied)]),
    )


def _say_vain(pair: Pair, applied: AppliedTolerance) -> list[str]:
    """Of a known format that it is not read; that a rule for numbers can do nothing here."""
    given = [name for name in _BOUNDS if getattr(applied.tolerance, name) is not None]
    with pair.expected.open() as stream:
        head = stream.read(_HEAD_BYTES)
    known = next((text for at, magic, text in _UNREAD if head.startswith(magic, at)), "")
    if not given:
        return [f"{known} is not read here, so its bytes have to be the same"] if known else []
    kind = known or "a format that is not understood here"
    return [
        f"{' and '.join(given)} of rule {applied.rule} cannot apply to the bytes of {kind}: write "
        "the numbers in a format that is, JSON or npz for instance, or let a plugin read it"
    ]


def _compare_bytes(pair: Pair) -> tuple[tuple[int, int, int] | None, int]:
    """Offset and both values of the first difference in what both have, and how many there are."""
    first: tuple[int, int, int] | None = None
    differing = start = 0
    with pair.actual.open() as actual, pair.expected.open() as expected:
        while True:
            left, right = actual.read(CHUNK_BYTES), expected.read(CHUNK_BYTES)
            length = min(len(left), len(right))
            if not length:
                return first, differing
            if left != right:
                mine = np.frombuffer(left, np.uint8, length)
                theirs = np.frombuffer(right, np.uint8, length)
                places = np.flatnonzero(mine != theirs)
                differing += len(places)
                if first is None and len(places):
                    at = int(places[0])
                    first = start + at, left[at], right[at]
            start += length


def _hex(first: tuple[int, int, int] | None, side: int) -> str:
    return "(more bytes)" if first is None else f"0x{first[side]:02x}"


FORMAT = Format("bytes", compare)
