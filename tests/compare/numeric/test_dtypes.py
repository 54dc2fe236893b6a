"""bfloat16 and float8: what one step is, what the default lets pass, what NaN and infinity are."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from pytest_mlcontainer.compare.numeric.tolerance import precision_of
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Only

FLOAT8 = {
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
SMALL = {"BF16": ml_dtypes.bfloat16, **FLOAT8}
EXACT = Tolerance(exact=True)


def file(code: str, array: np.ndarray) -> bytes:
    entry = {"dtype": code, "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    header = json.dumps({"w": entry}).encode()
    return len(header).to_bytes(8, "little") + header + array.tobytes()


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.dtype.itemsize}")


def stepped(array: np.ndarray, steps: int | list[int]) -> np.ndarray:
    return np.asarray((bits(array) + np.array(steps, bits(array).dtype)).view(array.dtype))


@pytest.mark.parametrize("dtype", [*SMALL.values(), ml_dtypes.float8_e3m4, ml_dtypes.float8_e4m3,
                                   ml_dtypes.float8_e4m3b11fnuz])  # fmt: skip
def test_each_format_has_its_own_eps_and_smallest_normal(dtype: type[np.generic]) -> None:
    precision, there = precision_of(np.dtype(dtype).name), ml_dtypes.finfo(dtype)
    assert precision is not None
    assert precision.eps == float(there.eps)
    assert precision.tiny == float(there.smallest_normal)


@pytest.mark.parametrize(("code", "dtype"), SMALL.items())
def test_one_step_is_one_ulp_passes_by_default_and_is_seen_by_exact(
    only: Only, code: str, dtype: type[np.generic]
) -> None:
    expected = np.array([1.0, 1.5, -3.0, 0.25], np.float32).astype(dtype)
    sides = file(code, stepped(expected, [1, 0, 0, 0])), file(code, expected)
    found = only("w.safetensors", *sides)
    assert (found.verdict, found.max_ulp, found.differing) == (Verdict.EQUIVALENT, 1, 1)
    assert found.max_abs == float(ml_dtypes.finfo(dtype).eps)
    assert found.rule.endswith(f"({np.dtype(dtype).name} default)")
    assert only("w.safetensors", *sides, EXACT).verdict is Verdict.DRIFT


@pytest.mark.parametrize(("code", "dtype"), SMALL.items())
def test_a_few_steps_of_a_large_element_drift(
    only: Only, code: str, dtype: type[np.generic]
) -> None:
    expected = np.full(8, 1.0, np.float32).astype(dtype)
    steps = 4 if code == "BF16" else 2
    found = only("w.safetensors", file(code, stepped(expected, steps)), file(code, expected))
    assert (found.verdict, found.max_ulp, found.beyond) == (Verdict.DRIFT, steps, 8)


@pytest.mark.parametrize(("code", "dtype"), SMALL.items())
def test_every_step_between_finite_neighbours_is_one_ulp_and_passes(
    only: Only, code: str, dtype: type[np.generic]
) -> None:
    """All that a format can hold, positive and negative, in one array each."""
    width = np.dtype(dtype).itemsize
    every = np.arange(2 ** (8 * width), dtype=f"u{width}").view(dtype)
    every = every[np.isfinite(every.astype(np.float32))]
    ordered = every[np.argsort(every.astype(np.float32), kind="stable")]
    ordered = ordered[np.flatnonzero(np.diff(ordered.astype(np.float32), prepend=np.nan) != 0)]
    for start in range(0, len(ordered) - 1, 4096):
        left, right = ordered[start : start + 4096], ordered[start + 1 : start + 4097]
        left = left[: len(right)]
        found = only("w.safetensors", file(code, left), file(code, right))
        assert (found.verdict, found.max_ulp) == (Verdict.EQUIVALENT, 1)
        assert found.differing == len(right)


@pytest.mark.parametrize(("code", "dtype"), FLOAT8.items())
def test_a_step_among_the_smallest_numbers_alone_passes(
    only: Only, code: str, dtype: type[np.generic]
) -> None:
    least = ml_dtypes.finfo(dtype).smallest_subnormal
    expected = np.array([float(least), 0.0], np.float32).astype(dtype)
    found = only("w.safetensors", file(code, expected[::-1].copy()), file(code, expected))
    assert (found.verdict, found.max_ulp) == (Verdict.EQUIVALENT, 1)


@pytest.mark.parametrize(("code", "dtype"), FLOAT8.items())
def test_an_element_of_another_sign_drifts(only: Only, code: str, dtype: type[np.generic]) -> None:
    """The default does not let go of all that is small beside the largest element."""
    expected = np.array([1.0, 0.0625], np.float32).astype(dtype)
    actual = np.array([1.0, -0.0625], np.float32).astype(dtype)
    assert only("w.safetensors", file(code, actual), file(code, expected)).beyond == 1


@pytest.mark.parametrize(("code", "dtype"), SMALL.items())
def test_nan_equals_nan_and_nothing_else(only: Only, code: str, dtype: type[np.generic]) -> None:
    expected = np.array([np.nan, 1.0], np.float32).astype(dtype)
    there = np.array([2.0, 1.0], np.float32).astype(dtype)
    moved = np.array([np.nan, 1.0 + 2**-1], np.float32).astype(dtype)
    assert only("w.safetensors", file(code, moved), file(code, expected)).differing == 1
    found = only("w.safetensors", file(code, there), file(code, expected))
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)
    assert "NaN or infinite on one side" in found.note
    same = file(code, expected)
    assert only("w.safetensors", same, same, Tolerance(equal_nan=False)).beyond == 1


def test_the_largest_of_a_format_without_infinities_is_a_number(only: Only) -> None:
    expected = np.array([448.0], np.float32).astype(ml_dtypes.float8_e4m3fn)
    actual = np.array([416.0], np.float32).astype(ml_dtypes.float8_e4m3fn)
    found = only("w.safetensors", file("F8_E4M3", actual), file("F8_E4M3", expected))
    assert (found.verdict, found.max_abs, found.max_ulp) == (Verdict.EQUIVALENT, 32.0, 1)


def test_infinities_are_equal_by_sign(only: Only) -> None:
    expected = np.array([np.inf, 1.0], np.float32).astype(ml_dtypes.float8_e5m2)
    actual = np.array([-np.inf, 1.0], np.float32).astype(ml_dtypes.float8_e5m2)
    found = only("w.safetensors", file("F8_E5M2", actual), file("F8_E5M2", expected))
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)


@pytest.mark.parametrize(("code", "dtype"), SMALL.items())
def test_zero_of_either_sign_is_the_same_number_where_there_are_two(
    only: Only, code: str, dtype: type[np.generic]
) -> None:
    expected = np.array([0.0, 1.0], np.float32).astype(dtype)
    actual = np.array([-0.0, 1.0], np.float32).astype(dtype)
    if actual.tobytes() == expected.tobytes():
        assert code.endswith("FNUZ")
        return
    sides = file(code, actual), file(code, expected)
    assert only("w.safetensors", *sides).verdict is Verdict.IDENTICAL
    found = only("w.safetensors", *sides, EXACT)
    assert (found.verdict, found.note) == (Verdict.DRIFT, "only the sign of zero differs")


def test_powers_of_two_that_scale_others_have_to_be_equal(only: Only) -> None:
    if not hasattr(ml_dtypes, "float8_e8m0fnu"):
        pytest.skip("this ml_dtypes does not know float8_e8m0fnu")
    expected = np.array([1.0, 2.0], np.float32).astype(ml_dtypes.float8_e8m0fnu)
    actual = np.array([1.0, 4.0], np.float32).astype(ml_dtypes.float8_e8m0fnu)
    found = only("w.safetensors", file("F8_E8M0", actual), file("F8_E8M0", expected))
    assert (found.verdict, found.worst_actual, found.worst_expected) == (Verdict.DRIFT, "4", "2")


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_what_numpy_writes_without_a_type_is_compared_as_bytes_and_says_so(
    only: Only, dtype: type[np.generic]
) -> None:
    expected = np.array([1.0, 2.0], np.float32).astype(dtype)
    actual = stepped(expected, [0, 1])
    for name, sides in (("w.npy", (actual, expected)), ("w.npz", ({"w": actual}, {"w": expected}))):
        found = only(name, *sides)
        assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)
        assert "compared as bytes" in found.note
        assert np.dtype(dtype).name.partition("_")[0] in found.note
