"""A file against what a baseline keeps of one that is too large: never a false alarm, never blind
to what the statistics and the sample show, and never more than it can know."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.summary.items import summarise
from pytest_mlcontainer.compare.summary.stored import write_summary
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict

DTYPES = st.sampled_from(["float32", "float64", "float16", "int32", "int64", "complex64"])
FINITE = st.floats(-1e3, 1e3) | st.sampled_from([0.0, -0.0, 1e-30, 1e30, math.nan, math.inf])


def output(path: Path, data: bytes) -> Output:
    path.write_bytes(data)
    return Output("out", path, len(data))


def npy(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def against(
    folder: Path, actual: bytes, expected: bytes, tolerance: Tolerance | None = None
) -> tuple[Difference, ...]:
    """Compare with a summary of `expected`, which is gone by then."""
    kept = output(folder / "expected", expected)
    path = folder / "summary.json"
    write_summary(path, summarise(kept))
    kept.path.unlink()
    rules = () if tolerance is None else (Rule("out", None, tolerance),)
    summary = replace(kept, path=path, summary=path)
    return compare_outputs((output(folder / "actual", actual),), (summary,), rules)[0]


@pytest.fixture
def large() -> Any:
    return np.random.default_rng(1).normal(size=(500, 40)).astype(np.float32)


def test_the_same_bytes_are_identical(tmp_path: Path, large: Any) -> None:
    (found,) = against(tmp_path, npy(large), npy(large))
    assert found.verdict is Verdict.IDENTICAL
    assert "SHA-256" in found.note


def test_the_same_values_in_other_bytes_are_identical(tmp_path: Path, large: Any) -> None:
    """A zip has times in it, and a NaN has a payload that differs from machine to machine."""
    payload = np.array([0x7FF8000000000001, 0x3FF0000000000000], np.uint64).view(np.float64)
    one = npz(w=large, nan=np.array([np.nan, 1.0]), big=np.asfortranarray(large))
    other = npz(nan=payload, w=large.astype(">f4"), big=large)
    assert {each.verdict for each in against(tmp_path, one, other)} == {Verdict.IDENTICAL}


def test_within_the_rule_it_is_equivalent_and_says_what_was_seen(
    tmp_path: Path, large: Any
) -> None:
    (found,) = against(tmp_path, npy(large * np.float32(1 + 1e-6)), npy(large))
    assert found.verdict is Verdict.EQUIVALENT
    assert "of 20,000 elements and 13 statistics; the file itself is not in the baseline" in (
        found.note
    )
    assert 1000 <= found.size <= 1002


def test_beyond_the_rule_it_drifts_with_the_place_in_the_array(tmp_path: Path, large: Any) -> None:
    changed = large * np.float32(1.01)
    (found,) = against(tmp_path, npy(changed), npy(large))
    assert found.verdict is Verdict.DRIFT
    assert found.worst_index is not None
    assert len(found.worst_index) == 2
    assert found.worst_actual == str(changed[found.worst_index])
    assert found.worst_expected == str(large[found.worst_index])


def test_statistics_see_what_the_sample_misses(tmp_path: Path) -> None:
    """All of a million elements moved, but for those that are sampled."""
    values = np.zeros(1_000_000)
    values[::2] = 1.0
    kept = summarise(output(tmp_path / "kept", npy(values)))
    assert kept.items is not None
    changed = values + 0.01
    changed[list(kept.items[""].places)] = values[list(kept.items[""].places)]
    (found,) = against(tmp_path, npy(changed), npy(values))
    assert found.verdict is Verdict.DRIFT
    assert found.beyond == 0
    assert found.note.startswith("max 1.01, expected 1 (±1e-07); ")


def test_one_element_that_nobody_looks_at_is_at_best_equivalent(tmp_path: Path, large: Any) -> None:
    """It is known that something differs, and not how much; identical would be a lie."""
    kept = summarise(output(tmp_path / "kept", npy(large)))
    assert kept.items is not None
    flat = large.copy().reshape(-1)
    place = next(place for place in range(flat.size) if place not in kept.items[""].places)
    flat[place] += np.float32(1e-5)
    (found,) = against(tmp_path, npy(flat.reshape(large.shape)), npy(large))
    assert found.verdict is Verdict.EQUIVALENT
    assert found.differing == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_nan_or_infinity_is_seen(tmp_path: Path, large: Any, value: float) -> None:
    changed = large.copy()
    changed[17, 3] = value
    (found,) = against(tmp_path, npy(changed), npy(large))
    assert found.verdict is Verdict.DRIFT
    assert "1 elements are" in found.note


def test_integers_have_to_be_the_same_everywhere(tmp_path: Path) -> None:
    values = np.arange(50_000)
    changed = values.copy()
    changed[12_345] += 1
    (found,) = against(tmp_path, npy(changed), npy(values))
    assert found.verdict is Verdict.DRIFT
    (loose,) = against(tmp_path, npy(changed), npy(values), Tolerance(atol=1))
    assert loose.verdict is Verdict.EQUIVALENT


def test_text_has_to_be_the_same_everywhere(tmp_path: Path) -> None:
    values = np.array(["cat", "dog"] * 1000)
    changed = values.copy()
    changed[77] = "cow"
    (found,) = against(tmp_path, npy(changed), npy(values))
    assert found.verdict is Verdict.DRIFT
    assert "it is not known which" in found.note


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (np.zeros((4, 5), np.float32), "float32 (4, 5), expected float32 (5, 4)"),
        (np.zeros((5, 4)), "float64 (5, 4), expected float32 (5, 4)"),
    ],
)
def test_shape_and_dtype_are_part_of_the_value(tmp_path: Path, other: Any, said: str) -> None:
    (found,) = against(tmp_path, npy(other), npy(np.zeros((5, 4), np.float32)))
    assert (found.verdict, found.note) == (Verdict.DRIFT, said)


def test_arrays_that_only_one_side_has(tmp_path: Path) -> None:
    zeros = np.zeros(3)
    found = against(tmp_path, npz(a=zeros, b=zeros), npz(a=zeros, c=zeros))
    notes = {each.item: each.note for each in found if not each.verdict.passes}
    assert notes == {"b": "only in the actual run", "c": "missing in the actual run"}


def test_a_format_without_arrays_can_only_be_the_same_or_not(tmp_path: Path) -> None:
    """Other bytes cannot be judged, so it is neither a pass nor a drift; `exact` can."""
    (found,) = against(tmp_path, b"a,b\n1,2\n", b"a,b\n1,3\n")
    assert found.verdict is Verdict.FAILED
    assert "a larger baseline-limit keeps it" in found.note
    (exact,) = against(tmp_path, b"a,b\n1,2\n", b"a,b\n1,3\n", Tolerance(exact=True))
    assert exact.verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "tolerance", [Tolerance(agreement=0.9), Tolerance(unordered=True), Tolerance(curve="x")]
)
def test_a_rule_that_needs_every_element(tmp_path: Path, large: Any, tolerance: Tolerance) -> None:
    (found,) = against(tmp_path, npy(large + 1), npy(large), tolerance)
    assert found.verdict is Verdict.FAILED
    assert "needs the file" in found.note


def test_an_ignored_output_is_not_looked_at(tmp_path: Path) -> None:
    assert against(tmp_path, b"a", b"b", Tolerance(ignore=True)) == ()


def test_the_same_file_has_the_same_summary(tmp_path: Path, large: Any) -> None:
    """So that version control shows no change where there is none."""
    kept = output(tmp_path / "kept", npz(w=large, t=np.array(["a"])))
    write_summary(tmp_path / "one", summarise(kept))
    write_summary(tmp_path / "two", summarise(kept))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_many_arrays_share_the_sample(tmp_path: Path) -> None:
    arrays = {f"layer{number}": np.zeros(2000) for number in range(500)}
    write_summary(tmp_path / "s", summarise(output(tmp_path / "kept", npz(**arrays))))
    kept = json.loads((tmp_path / "s").read_text())["items"]
    assert {len(item["places"]) for item in kept.values()} <= {100, 101, 102}


@pytest.mark.parametrize(
    "change",
    [
        {"summary": 2},
        {"items": 7},
        {"items": {"": {}}},
        {"items": {"": {"shape": [-1]}}},
        {"items": {"": {"places": [10**9]}}},
        {"items": {"": {"places": [3, 1]}}},
        {"items": {"": {"values": []}}},
        {"items": {"": {"statistics": {"nan": "x"}}}},
        {"size_bytes": None},
    ],
)
def test_a_summary_changed_by_hand(tmp_path: Path, large: Any, change: dict[str, Any]) -> None:
    kept = output(tmp_path / "kept", npy(large))
    path = tmp_path / "summary.json"
    write_summary(path, summarise(kept))
    raw = json.loads(path.read_text())
    items = change.get("items")
    if isinstance(items, dict):
        own = raw["items"][""]
        raw["items"][""] = {**own, **items[""]} if items[""] else {}
    else:
        raw.update(change)
    path.write_text(json.dumps(raw))
    actual = output(tmp_path / "actual", npy(large + 1))
    summary = replace(kept, path=path, summary=path)
    (found,) = compare_outputs((actual,), (summary,), ())[0]
    assert found.verdict is Verdict.FAILED
    assert "damaged" in found.note


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"null"])
def test_a_summary_that_is_none(tmp_path: Path, large: Any, content: bytes) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    actual = output(tmp_path / "actual", npy(large))
    (found,) = compare_outputs((actual,), (replace(actual, path=path, summary=path),), ())[0]
    assert found.verdict is Verdict.FAILED


TOLERANCES = st.sampled_from(
    [
        Tolerance(),
        Tolerance(rtol=1e-3),
        Tolerance(rtol=1e-3, atol=1e-3),
        Tolerance(atol=0.5),
        Tolerance(scale=100.0),
        Tolerance(margin=0.25),
        Tolerance(ulp=4),
        Tolerance(exact=True),
    ]
)


@given(
    dtype=DTYPES,
    values=st.lists(FINITE, min_size=1, max_size=40),
    noise=st.sampled_from([0.0, 1e-9, 1e-6, 9e-4, 0.2, 0.4]),
    seed=st.integers(0, 99),
    tolerance=TOLERANCES,
)
def test_what_agrees_element_by_element_never_fails_against_a_summary(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    values: list[float],
    noise: float,
    seed: int,
    tolerance: Tolerance,
) -> None:
    """No false alarm, whatever the values, the noise and the rule."""
    folder = tmp_path_factory.mktemp("summary")
    with np.errstate(all="ignore"):
        expected = np.nan_to_num(np.array(values), posinf=9, neginf=-9).astype("complex128")
        if dtype.startswith("float"):
            expected = np.array(values)
        expected = np.tile(expected, 30).real if "complex" not in dtype else np.tile(expected, 30)
        factor = 1 + noise * np.random.default_rng(seed).uniform(-1, 1, expected.shape)
        actual = (np.clip(expected, -1e9, 1e9) if "int" in dtype else expected) * factor
        expected = np.clip(expected, -1e9, 1e9) if "int" in dtype else expected
        data = npy(actual.astype(dtype)), npy(expected.astype(dtype))
    rules = (Rule("out", None, tolerance),)
    whole = compare_outputs(
        (output(folder / "a", data[0]),), (output(folder / "e", data[1]),), rules
    )[0]
    (found,) = against(folder, *data, tolerance)
    if all(each.verdict.passes for each in whole):
        assert found.verdict.passes, found.note
