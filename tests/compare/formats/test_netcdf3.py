"""netCDF 3: what a reader gets is compared, however it is stored."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import netcdf_file

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats.netcdf3 import FORMAT
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, OnlyHere

GRID = np.linspace(-3, 5, 35).reshape(5, 7)
PACKED = (np.arange(35).reshape(5, 7) * 900 - 15000).astype("i2")
FILL = np.float64(1e20)


def netcdf(
    data: Any = GRID,
    attributes: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    name: str = "tas",
    unlimited: bool = False,
    version: int = 1,
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.nc")
        with netcdf_file(path, "w", version=version) as file:
            fill_in(file, data, name, unlimited)
            for owner, texts in ((file.variables[name], attributes), (file, about)):
                for key, value in (texts or {}).items():
                    setattr(owner, key, value)
        return path.read_bytes()


def fill_in(file: Any, data: Any, name: str, unlimited: bool) -> None:
    file.createDimension("y", None if unlimited else len(data))
    file.createDimension("x", data.shape[1])
    file.createVariable(name, data.dtype, ("y", "x"))[:] = data


def holed(number: float, *places: int) -> Any:
    found = GRID.copy()
    found.reshape(-1)[list(places)] = number
    return found


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        ({"data": GRID * (1 + 1e-15)}, {}, []),
        ({"data": GRID * (1 + 1e-4)}, {}, ["tas"]),
        ({"data": GRID[:4]}, {}, ["tas"]),
        ({"data": GRID.astype("f4")}, {}, ["tas"]),
        ({"name": "ta"}, {}, ["ta", "tas"]),
        ({"version": 2, "unlimited": True}, {}, []),
        ({"attributes": {"units": "K"}}, {"attributes": {"units": "degC"}}, ["tas@units"]),
        # An epoch is no stamp: every time in the file is counted from it.
        ({"attributes": {"units": "seconds since 2026-12-01 04:00:01"}},
         {"attributes": {"units": "seconds since 2026-12-01 04:00:17"}}, ["tas@units"]),
        ({"about": {"history": "Tue Dec  1 04:48:13 2026: ncks -O a.nc b.nc"}},
         {"about": {"history": "Wed Dec  2 05:48:13 2026: cdo copy a.nc b.nc"}}, []),
        ({"about": {"classes": "cat dog"}}, {"about": {"classes": "dog cat"}}, ["@classes"]),
        ({"data": np.array([list("abd")], "S1")}, {"data": np.array([list("abc")], "S1")}, ["tas"]),
    ],
)  # fmt: skip
def test_variables_and_attributes_are_compared_by_value(
    compare: Compare, actual: dict[str, Any], expected: dict[str, Any], items: list[str]
) -> None:
    differences, _notes = compare("a.nc", netcdf(**actual), netcdf(**expected))
    assert sorted(each.item for each in differences if not each.verdict.passes) == items


@pytest.mark.parametrize(
    ("actual", "expected", "verdict"),
    [
        # Packed numbers are those that a reader unpacks: the last digit of the factor is noise.
        ((PACKED, {"scale_factor": np.nextafter(0.01, 1)}),
         (PACKED, {"scale_factor": np.float64(0.01)}),
         Verdict.EQUIVALENT),
        ((PACKED, {"scale_factor": 0.011}), (PACKED, {"scale_factor": 0.01}), Verdict.DRIFT),
        ((PACKED // 2, {"scale_factor": 0.02}), (PACKED // 2 * 2, {"scale_factor": 0.01}),
         Verdict.EQUIVALENT),
        ((PACKED, {"add_offset": 273.0}), (PACKED, {"add_offset": 273.1}), Verdict.DRIFT),
        # Another number for "missing" misses the same.
        ((holed(-999, 3), {"_FillValue": np.float64(-999)}), (holed(1e20, 3), {"_FillValue": FILL}),
         Verdict.EQUIVALENT),
        ((holed(1e20, 3, 4), {"_FillValue": FILL}), (holed(1e20, 3), {"_FillValue": FILL}),
         Verdict.DRIFT),
        ((PACKED, {"_FillValue": PACKED[0, 0]}), (PACKED, {"_FillValue": PACKED[0, 1]}),
         Verdict.DRIFT),
        # What is computed as NaN is not what was never there.
        ((holed(np.nan, 3), {"_FillValue": FILL}), (holed(1e20, 3), {"_FillValue": FILL}),
         Verdict.DRIFT),
        ((holed(np.nan, 3), {}), (holed(9.969209968386869e36, 3), {}), Verdict.DRIFT),
    ],
)  # fmt: skip
def test_values_are_those_that_a_reader_gets(
    compare: Compare, actual: Any, expected: Any, verdict: Verdict
) -> None:
    differences, _notes = compare("a.nc", netcdf(*actual), netcdf(*expected))
    assert verdict_of(differences) is verdict


def test_a_number_for_missing_values_hides_no_drift_of_the_others(compare: Compare) -> None:
    attributes = {"_FillValue": FILL}
    moved = holed(1e20, 0) * np.where(np.arange(35).reshape(5, 7), 1.001, 1)
    differences, _notes = compare(
        "a.nc", netcdf(moved, attributes), netcdf(holed(1e20, 0), attributes), Tolerance(scale=0.1)
    )
    # The scale of a rule is a share of the largest value, which a 1e20 is not.
    (found,) = (each for each in differences if each.item == "tas")
    assert found.max_abs == pytest.approx(0.005)
    assert found.scale_error == pytest.approx(0.001)


def test_what_is_stored_in_another_way_is_said(compare: Compare) -> None:
    sides = (PACKED // 2, {"scale_factor": 0.02}), (PACKED // 2 * 2, {"scale_factor": 0.01})
    differences, _notes = compare("a.nc", *(netcdf(*side) for side in sides))
    (found,) = (each for each in differences if each.item == "tas@packing")
    assert found.verdict is Verdict.EQUIVALENT
    assert "stored in another way" in found.note


def test_a_rule_finds_a_variable(compare: Compare) -> None:
    sides = netcdf(GRID + 0.01), netcdf(GRID)
    differences, _notes = compare("a.nc", *sides, Tolerance(atol=0.02), item="tas")
    assert verdict_of(differences) is Verdict.EQUIVALENT


def test_damaged_files_fail_by_themselves(compare: Compare) -> None:
    whole, dice = netcdf(), random.Random(5)
    for end in (8, 40, len(whole) // 2, len(whole) - 8):
        differences, _notes = compare("a.nc", whole[:end], whole)
        assert verdict_of(differences) is Verdict.FAILED
        assert differences[0].note.startswith("actual run: a.nc cannot be read as netCDF 3")
    for _number in range(40):
        damaged = bytearray(whole)
        for _byte in range(dice.choice((1, 3, 9))):
            damaged[dice.randrange(4, len(damaged))] = dice.randrange(256)
        differences, _notes = compare("a.nc", bytes(damaged), whole)
        assert not any("raised" in each.note for each in differences)


def test_arrays_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(netcdf(unlimited=True))
    assert FORMAT.arrays is not None
    with FORMAT.arrays(ComparedFile(ACTUAL, "a.nc", path)) as arrays:
        array = dict(arrays)["tas"]()
        assert [len(block) for block in array.blocks(10)] == [10, 10, 10, 5]
        np.testing.assert_array_equal(array.values(), GRID)


def test_without_the_library_it_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    found = only_here("a.nc", netcdf(GRID + 1), netcdf())
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[scipy]'" in found.note
