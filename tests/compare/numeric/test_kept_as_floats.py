"""Ids that are kept as floats stay exact, whatever their container; noise beside them does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare

ID = 123456789.0


def verdicts(found: Any) -> set[Verdict]:
    return {each.verdict for each in found[0] if each.differing}


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.array([ID, np.nan, 5]), np.array([ID - 1, np.nan, 5])),
        (np.array([10000002.0, np.nan]), np.array([10000001.0, np.nan])),
        (np.array([[ID, 0.1], [2, 0.3]]), np.array([[ID + 1, 0.1], [2, 0.3]])),
        (np.asfortranarray([[ID, 0.1], [2, 0.3]]), np.asfortranarray([[ID + 1, 0.1], [2, 0.3]])),
        (np.arange(1000) + ID, np.arange(1000) + ID - 1),
        (np.arange(2e6, 2e6 + 50, dtype="f4"), np.arange(2e6 + 1, 2e6 + 51, dtype="f4")),
    ],
    ids=["gap", "as large as float32 holds", "beside a score", "fortran", "many", "float32"],
)
def test_ids_in_arrays_of_floats_are_exact(compare: Compare, actual: Any, expected: Any) -> None:
    found = compare("ids.npy", actual, expected)
    assert verdicts(found) == {Verdict.DRIFT}
    assert "whole numbers that are kept as floats are exact" in found[0][0].note
    assert found[0][0].max_abs == 1


def test_the_place_of_the_id_is_named_and_noise_beside_it_is_no_drift(compare: Compare) -> None:
    expected = np.array([[ID, 1 / 3], [7.0, 2 / 3]])
    actual = expected * np.array([[1, 1 + 1e-15], [1, 1 + 1e-15]])
    actual[0, 0] += 1
    (found,), _ = compare("ids.npy", actual, expected)
    assert (found.verdict, found.worst_index, found.beyond) == (Verdict.DRIFT, (0, 0), 1)
    assert found.differing > 1


@pytest.mark.parametrize("items", [[ID, None, 3.5], [ID], [[ID, 0.1], [5.0, 0.2]]])
def test_ids_in_json_are_exact_also_with_a_point(compare: Compare, items: Any) -> None:
    expected = json.dumps({"ids": items})
    actual = expected.replace("123456789.0", "123456788.0")
    assert verdicts(compare("ids.json", actual.encode(), expected.encode())) == {Verdict.DRIFT}


@pytest.mark.parametrize("gap", ["", "NA", "nan"])
def test_ids_in_csv_are_exact_beside_any_gap(compare: Compare, gap: str) -> None:
    expected = f"user,score\n123456789.0,0.5\n{gap},0.25\n"
    actual = expected.replace("789", "788")
    assert verdicts(compare("ids.csv", actual.encode(), expected.encode())) == {Verdict.DRIFT}


def test_ids_in_parquet_are_exact_beside_a_gap(compare: Compare, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    sides = []
    for first in (ID, ID - 1):
        path = tmp_path / "ids.parquet"
        pandas.DataFrame({"user": [first, None, 3.0], "y": [0.1, 0.2, 0.3]}).to_parquet(path)
        sides.append(path.read_bytes())
    assert verdicts(compare("ids.parquet", *sides)) == {Verdict.DRIFT}


def test_large_float32_noise_is_noise_in_either_type(compare: Compare) -> None:
    expected = (np.random.default_rng(0).random(1000) * 1e9).astype("f4")
    actual = np.nextafter(expected, np.float32(0))
    for dtype in ("f4", "f8"):
        found = compare("y.npy", actual.astype(dtype), expected.astype(dtype))
        assert verdicts(found) == {Verdict.EQUIVALENT}


@pytest.mark.parametrize(
    ("dtype", "low", "high", "beside"),
    [("f8", 1.1e8, 1.3e8, 1.1e8), ("f8", 1.1e7, 1.6e7, 0.1), ("f4", 1.1e7, 1.6e7, 1.1e7)],
    ids=["float32 above 2**24", "float32 beside a fraction", "no place behind the point"],
)
def test_what_is_whole_for_want_of_places_is_no_id(
    compare: Compare, dtype: str, low: float, high: float, beside: float
) -> None:
    """Noise of one unit in the last place, which is below the tolerance of float64, too."""
    expected = np.random.default_rng(0).uniform(low, high, 1000).astype("f4")
    expected[0] = beside
    actual = np.nextafter(expected, np.float32(np.inf))
    actual[0] = expected[0]
    found = compare("y.npy", actual.astype(dtype), expected.astype(dtype))
    assert verdicts(found) == {Verdict.EQUIVALENT}


def test_noise_of_large_float64_is_noise(compare: Compare) -> None:
    expected = np.random.default_rng(0).random(1000) * 1e15
    assert verdicts(compare("y.npy", expected * (1 + 1e-13), expected)) == {Verdict.EQUIVALENT}


def test_a_rule_decides_for_ids_too(compare: Compare) -> None:
    sides = np.array([ID, np.nan]), np.array([ID - 1, np.nan])
    assert verdicts(compare("y.npy", *sides, Tolerance(rtol=1e-6))) == {Verdict.EQUIVALENT}


@pytest.mark.parametrize(
    ("actual", "expected", "rtol", "verdict"),
    [
        ("12.50 ms", "12.51 ms", 1e-2, Verdict.EQUIVALENT),
        ("91.2%", "91.3%", 1e-2, Verdict.EQUIVALENT),
        ("1,234.5", "1,234.6", 1e-2, Verdict.EQUIVALENT),
        ("0.1 0.2", "0.1001 0.2", 1e-2, Verdict.EQUIVALENT),
        ("12.50 ms", "12.51 s", 1e-2, Verdict.DRIFT),
        ("12.50 ms", "14.51 ms", 1e-2, Verdict.DRIFT),
        ("0.912345678 ± 0.01", "0.912345679 ± 0.01", None, Verdict.EQUIVALENT),
        ("12.50 ms", "12.51 ms", None, Verdict.DRIFT),
        ("v0.912345678", "v0.912345679", None, Verdict.DRIFT),
    ],
)
def test_numbers_inside_strings_and_cells(
    compare: Compare, actual: str, expected: str, rtol: float | None, verdict: Verdict
) -> None:
    rule = None if rtol is None else Tolerance(rtol=rtol)
    texts = [json.dumps({"a": each, "b": "x"}).encode() for each in (actual, expected)]
    assert verdicts(compare("r.json", *texts, rule)) == {verdict}
    cells = [f'name,value\na,"{each}"\nb,n/a\n'.encode() for each in (actual, expected)]
    assert verdicts(compare("r.csv", *cells, rule)) == {verdict}
