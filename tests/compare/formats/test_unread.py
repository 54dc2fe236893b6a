"""Files of formats that are known by how they begin, and not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.model import Verdict
from tests.fixture_types import Only


@pytest.mark.parametrize(
    ("before", "magic", "name"),
    [
        (0, b"Obj\x01", "Avro"),
        (4, b"TFL3", "TensorFlow Lite"),
        (8, b"DUCK", "DuckDB"),
        (128, b"DICM", "DICOM"),
        (344, b"ni1\0", "NIfTI in two files"),
    ],
)
def test_a_format_that_is_not_read_is_named(
    before: int, magic: bytes, name: str, only: Only
) -> None:
    start = bytes([0, 255]) * before
    whole = start[:before] + magic + bytes(range(256))
    found = only("a.dat", whole + b"\1", whole + b"\2")
    assert found.verdict is Verdict.DRIFT
    assert f"{name} is not read here, so its bytes have to be the same" in found.note
    moved = b"\0\xff" + whole
    assert name not in only("a.dat", moved + b"\1", moved + b"\2").note


def test_what_pandas_writes_for_stata_is_named(tmp_path: Path, only: Only) -> None:
    pandas = pytest.importorskip("pandas")
    sides = []
    for value in (0.5, 0.25):
        file = tmp_path / f"{value}.dta"
        pandas.DataFrame({"x": [value, 2.0]}).to_stata(file, write_index=False)
        sides.append(file.read_bytes())
    assert "Stata is not read here" in only("a.dta", *sides).note
