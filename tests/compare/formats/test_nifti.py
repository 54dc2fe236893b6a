"""NIfTI: volumes as readers get them, where they lie, and what the header says of them."""

from __future__ import annotations

import gzip
import random
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats.nifti import FORMAT
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, OnlyHere

VOLUME = (np.sin(np.arange(120.0)) * 100).reshape(4, 5, 6).astype("f4")
LABELS = (np.arange(120).reshape(4, 5, 6) % 7).astype("i2")
AFFINE = np.diag([2.0, 2, 2, 1])
_SLOPE_AT = 112


def nifti(
    data: Any = VOLUME,
    affine: Any = AFFINE,
    second: bool = False,
    big: bool = False,
    scaled: tuple[float, float] | None = None,
    **header: Any,
) -> bytes:
    kind: Any = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    head = kind.header_class(endianness=">" if big else "<")
    head.set_data_dtype(data.dtype)
    image = kind(data, affine, header=head)
    for name, value in header.items():
        image.header[name] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.nii")
        nibabel.save(image, path)
        found = bytearray(path.read_bytes())
    if scaled is not None:
        found[_SLOPE_AT : _SLOPE_AT + 8] = struct.pack("<ff", *scaled)
    return bytes(found)


def moved(at: int, to: int) -> Any:
    found = LABELS.copy()
    found.reshape(-1)[at] = to
    return found


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        ({"data": np.nextafter(VOLUME, np.float32(1e9))}, {}, []),
        ({"data": VOLUME * 1.01}, {}, ["data"]),
        ({"data": VOLUME[:3]}, {}, ["data"]),
        ({"data": VOLUME.astype("f8")}, {}, ["data"]),
        ({"data": moved(7, 5)}, {"data": LABELS}, ["data"]),
        ({"second": True}, {}, []),
        ({"big": True}, {}, []),
        ({"affine": np.diag([2.0, 2, 2.5, 1])}, {}, ["affine", "header.pixdim"]),
        ({"affine": AFFINE * (1 + 2**-23)}, {}, []),
        ({"descrip": b"FSL5.0"}, {"descrip": b"6.0.5:9e026117"}, []),
        ({"intent_code": 3}, {}, ["header.intent_code"]),
        ({"xyzt_units": 2}, {"xyzt_units": 3}, ["header.xyzt_units"]),
        # The same numbers are stored, and mean others.
        ({"data": LABELS, "scaled": (2.5, 0)}, {"data": LABELS, "scaled": (2, 0)}, ["data"]),
        ({"data": LABELS, "scaled": (2, 1)}, {"data": LABELS, "scaled": (2, 0)}, ["data"]),
        ({"data": LABELS * 2, "scaled": (2, 0)}, {"data": LABELS, "scaled": (4, 0)}, []),
        ({"data": LABELS, "scaled": (0.1, 9)},
         {"data": LABELS, "scaled": (float(np.nextafter(np.float32(0.1), np.float32(1))), 9)}, []),
    ],
)  # fmt: skip
def test_volumes_and_headers_are_compared_by_value(
    compare: Compare, actual: dict[str, Any], expected: dict[str, Any], items: list[str]
) -> None:
    for name, packed in (("a.nii", bytes), ("a.nii.gz", gzip.compress)):
        sides = packed(nifti(**actual)), packed(nifti(**expected))
        differences, _notes = compare(name, *sides)
        assert sorted(each.item for each in differences if not each.verdict.passes) == items


def test_what_is_stored_in_another_way_is_said(compare: Compare) -> None:
    sides = nifti(LABELS * 2, scaled=(2, 0)), nifti(LABELS, scaled=(4, 0))
    differences, _notes = compare("a.nii", *sides)
    (found,) = (each for each in differences if each.item == "data@packing")
    assert found.verdict is Verdict.EQUIVALENT
    assert "stored in another way" in found.note


def test_colours_are_compared_exactly(compare: Compare) -> None:
    pixels = np.arange(24, dtype="u1").reshape(2, 4, 3)
    other = pixels.copy()
    other[1, 2, 1] += 1
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    sides = [nifti(each.view(kind).reshape(2, 4, 1)) for each in (other, pixels)]
    differences, _notes = compare("a.nii", *sides)
    (found,) = (each for each in differences if not each.verdict.passes)
    assert (found.item, found.differing, found.worst_index) == ("data", 1, (1, 1, 2, 0))


def test_a_rule_finds_the_volume(compare: Compare) -> None:
    sides = nifti(VOLUME + 1), nifti()
    differences, _notes = compare("a.nii", *sides, Tolerance(atol=1.1), item="data")
    assert verdict_of(differences) is Verdict.EQUIVALENT


def test_volumes_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(LABELS, scaled=(0.5, 0)))
    assert FORMAT.arrays is not None
    with FORMAT.arrays(ComparedFile(ACTUAL, "a.nii", path)) as arrays:
        array = dict(arrays)["data"]()
        assert [len(block) for block in array.blocks(50)] == [50, 50, 20]
        np.testing.assert_array_equal(array.values(), LABELS * np.float32(0.5))


def test_damaged_files_fail_by_themselves(compare: Compare) -> None:
    whole, dice = nifti(), random.Random(5)
    for end in (360, len(whole) // 2, len(whole) - 1):
        differences, _notes = compare("a.nii", whole[:end], whole)
        assert verdict_of(differences) is Verdict.FAILED
        assert differences[0].note.startswith("actual run: a.nii cannot be read as NIfTI")
    for _number in range(60):
        damaged = bytearray(whole)
        for _byte in range(dice.choice((1, 3, 9))):
            damaged[dice.randrange(344)] = dice.randrange(256)
        differences, _notes = compare("a.nii", bytes(damaged), whole)
        assert not any("raised" in each.note for each in differences)


def test_without_the_library_it_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    found = only_here("a.nii", nifti(VOLUME + 1), nifti())
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[nifti]'" in found.note
