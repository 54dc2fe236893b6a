"""What counts as close enough, and the numbers that a comparison reports."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_mlcontainer.compare.numeric.gaps import ulp_distance
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

SLOW_DISK = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FLOATS = ["float16", "float32", "float64"]
DTYPES = st.one_of(
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.boolean_dtypes(),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.byte_string_dtypes(max_len=4),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))
EXACT = Tolerance(exact=True)


WIDTHS: dict[int, Literal[16, 32, 64]] = {2: 16, 4: 32, 8: 64}  # in bits, by bytes


def fresh(array: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The same values in an archive whose bytes are others, so that they are really compared."""
    return {"x": array, "filler": np.arange(1)}, {"x": array, "filler": np.arange(2)}


def of_item(differences: tuple[Difference, ...], item: str = "x") -> Difference:
    return next(each for each in differences if each.item == item)


@SLOW_DISK
@given(ARRAYS, st.sampled_from([None, EXACT, Tolerance(ulp=0), Tolerance(margin=0.0)]))
def test_a_value_is_identical_with_itself_under_every_rule(
    compare: Compare, array: np.ndarray, tolerance: Tolerance | None
) -> None:
    found = of_item(compare("a.npz", *fresh(array), tolerance)[0])
    assert (found.verdict, found.differing) == (Verdict.IDENTICAL, 0)


@SLOW_DISK
@given(st.data(), st.sampled_from([*FLOATS, "int8", "uint64", "int64", "complex64"]))
def test_absolute_and_ulp_numbers_do_not_depend_on_which_side_is_which(
    only: Only, data: st.DataObject, dtype: str
) -> None:
    array = hnp.arrays(dtype, 4)
    left, right = data.draw(array), data.draw(array)
    assume(not np.array_equal(left, right))
    there, back = only("a.npy", left, right), only("a.npy", right, left)
    assert (there.max_abs, there.max_ulp) == (back.max_abs, back.max_ulp)
    assert there.differing == back.differing
    margins = [
        only("a.npy", *pair, Tolerance(margin=2.0)) for pair in ((left, right), (right, left))
    ]
    assert margins[0].verdict is margins[1].verdict


@SLOW_DISK
@given(st.data(), st.sampled_from(FLOATS))
def test_one_ulp_is_seen_by_exact_and_not_by_the_default(
    only: Only, data: st.DataObject, dtype: str
) -> None:
    width = WIDTHS[np.dtype(dtype).itemsize]
    finite = st.floats(width=width, allow_nan=False, allow_infinity=False)
    expected = np.array([data.draw(finite)], dtype)
    towards = np.array(data.draw(st.sampled_from([0, np.inf])), dtype)
    with np.errstate(over="ignore"):
        actual = np.nextafter(expected, towards)
    assume(np.isfinite(actual[0]) and actual[0] != expected[0])
    assert only("a.npy", actual, expected, EXACT).verdict is Verdict.DRIFT
    found = only("a.npy", actual, expected)
    assert (found.verdict, found.max_ulp) == (Verdict.EQUIVALENT, 1)


@SLOW_DISK
@given(
    hnp.arrays("float32", 6, elements=st.floats(-1000, 1000, width=32)),
    hnp.arrays("float64", 6, elements=st.sampled_from([0, 1e-7, 1e-6, 2e-6, 1e-4, 0.1])),
    st.integers(-20, 20),
)
def test_scaling_both_sides_changes_no_verdict(
    only: Only, expected: np.ndarray, noise: np.ndarray, power: int
) -> None:
    nonzero = np.abs(expected[expected != 0])
    assume(nonzero.size and nonzero.min() > 1e-20)
    actual = (expected * (1 + noise)).astype("float32")
    assume(not np.array_equal(actual, expected))
    factor = np.float32(2.0**power)
    plain = only("a.npy", actual, expected)
    scaled = only("a.npy", actual * factor, expected * factor)
    assert (plain.verdict, plain.beyond) == (scaled.verdict, scaled.beyond)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [64, 1024, 8192])
def test_a_matmul_summed_in_another_order_passes(only: Only, dtype: str, inner: int) -> None:
    rng = np.random.default_rng(inner)
    left = rng.standard_normal((120, inner)).astype(dtype)
    right = rng.standard_normal((inner, 120)).astype(dtype)
    order = rng.permutation(inner)
    found = only("a.npy", left[:, order] @ right[order], left @ right)
    assert found.verdict is Verdict.EQUIVALENT
    assert found.max_rel is not None
    assert found.max_rel > 1.3e-6 or dtype == "float64"


def test_numpys_own_defaults_would_flag_that_matmul() -> None:
    rng = np.random.default_rng(0)
    left = rng.standard_normal((300, 2048), np.float32)
    right = rng.standard_normal((2048, 300), np.float32)
    order = rng.permutation(2048)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(left[:, order] @ right[order], left @ right, rtol=1.3e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["standard_normal", "random"])
def test_a_relative_error_of_1e_4_in_one_of_a_million_weights_fails(
    only: Only, dtype: str, kind: str
) -> None:
    weights = getattr(np.random.default_rng(1), kind)(1_000_000).astype(dtype)
    place = int(np.argsort(np.abs(weights))[500_000])
    broken = weights.copy()
    broken[place] *= 1.0001
    found = only("a.npy", broken, weights)
    assert (found.verdict, found.beyond, found.differing) == (Verdict.DRIFT, 1, 1)
    assert found.worst_index == (place,)


@pytest.mark.parametrize("labels", [np.arange(300) % 7, np.array(["cat", "dog", "newt"] * 100)])
def test_one_changed_label_of_300_fails(only: Only, labels: np.ndarray) -> None:
    changed = labels.copy()
    changed[17] = labels[18]
    found = only("a.npy", changed, labels)
    assert (found.verdict, found.beyond, found.size) == (Verdict.DRIFT, 1, 300)
    assert (found.worst_index, found.worst_actual) == ((17,), str(labels[18]))
    assert found.worst_expected == str(labels[17])


def test_a_permutation_is_drift(only: Only) -> None:
    values = np.random.default_rng(0).random(100)
    assert only("a.npy", values[::-1].copy(), values).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "other", ["float64", "int64", "float16", "uint8", "bool", "complex64", "U3"]
)
def test_another_dtype_is_drift_even_with_the_same_values(only: Only, other: str) -> None:
    expected = np.array([0, 1, 1, 0], "float32")
    found = only("a.npy", expected.astype(other), expected)
    assert found.verdict is Verdict.DRIFT
    assert "expected float32" in found.note


def test_a_dtype_drift_says_whether_the_values_are_the_same(only: Only) -> None:
    expected = np.array([0, 0.5], "float32")
    assert "values are the same" in only("a.npy", expected.astype("float64"), expected).note
    moved = only("a.npy", expected.astype("float64") + 1, expected)
    assert moved.max_abs == 1
    assert "values are the same" not in moved.note


@pytest.mark.parametrize("dtype", ["f4", "i8", "c16", "U2", "M8[s]"])
def test_byte_order_alone_is_no_difference(only: Only, dtype: str) -> None:
    values = np.array([1, 2, 3], "i8").astype(dtype)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    assert only("a.npy", swapped, values).verdict is Verdict.IDENTICAL
    swapped[1] = values[2]
    assert only("a.npy", swapped, values).worst_index == (1,)


def test_the_width_of_text_is_no_difference_and_its_values_are(only: Only) -> None:
    values = np.array(["a", "bb"], "U2")
    assert only("a.npy", values.astype("U9"), values).verdict is Verdict.IDENTICAL
    assert only("a.npy", np.array(["a", "bbb"]), values).verdict is Verdict.DRIFT


def test_another_shape_is_drift(only: Only) -> None:
    found = only("a.npy", np.zeros((2, 3)), np.zeros((3, 2)))
    assert found.verdict is Verdict.DRIFT
    assert found.note == "shape (2, 3), expected (3, 2)"


def test_nan_equals_nan_of_any_payload_even_under_exact(only: Only) -> None:
    bits = np.array([0x7FC00000, 0xFFC00001], "u4")
    payload = np.array([0xFFC01234, 0x7FC00000], "u4")
    left, right = payload.view("f4"), bits.view("f4")
    assert only("a.npy", left, right).verdict is Verdict.IDENTICAL
    assert only("a.npy", left, right, EXACT).verdict is Verdict.IDENTICAL
    assert only("a.npy", left, right, Tolerance(equal_nan=False)).beyond == 2


def test_without_equal_nan_equal_files_with_nan_drift(only: Only) -> None:
    array = np.array([np.nan, 1.0])
    found = only("a.npy", array, array, Tolerance(equal_nan=False))
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_the_sign_of_zero_counts_only_under_exact(only: Only, dtype: str) -> None:
    left, right = np.array([-0.0, 1], dtype), np.array([0.0, 1], dtype)
    assert only("a.npy", left, right).verdict is Verdict.IDENTICAL
    found = only("a.npy", left, right, EXACT)
    assert (found.verdict, found.beyond, found.max_abs) == (Verdict.DRIFT, 1, 0)
    assert "sign of zero" in found.note


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.inf, -np.inf),
        (np.nan, 1.0),
        (1.0, np.nan),
        (np.inf, 1.0),
        (1.0, np.inf),
        (np.nan, np.inf),
    ],
)
@pytest.mark.parametrize("tolerance", [Tolerance(), Tolerance(rtol=1e300), Tolerance(margin=1e308)])
def test_nan_and_infinity_equal_only_themselves(
    only: Only, actual: float, expected: float, tolerance: Tolerance
) -> None:
    found = only("a.npy", np.array([1.0, actual]), np.array([1.0, expected]), tolerance)
    assert (found.verdict, found.max_abs, found.worst_index) == (Verdict.DRIFT, math.inf, (1,))


def test_infinities_of_the_same_sign_are_equal(only: Only) -> None:
    left, right = np.array([np.inf, -np.inf, 1.0]), np.array([np.inf, -np.inf, 1.0 + 1e-12])
    assert only("a.npy", left, right).verdict is Verdict.EQUIVALENT


def test_unsigned_integers_do_not_wrap_around(only: Only) -> None:
    found = only("a.npy", np.array([0, 255], "u1"), np.array([255, 0], "u1"))
    assert found.max_abs == 255
    found = only("a.npy", np.array([0], "u8"), np.array([2**64 - 1], "u8"))
    assert found.max_abs == float(2**64 - 1)


def test_integers_beyond_2_to_the_53_are_compared_exactly(only: Only) -> None:
    left, right = np.array([2**53 + 1]), np.array([2**53])
    found = only("a.npy", left, right)
    assert (found.verdict, found.max_abs) == (Verdict.DRIFT, 1)
    lowest = np.iinfo("i8")
    found = only("a.npy", np.array([lowest.min]), np.array([lowest.max]))
    assert found.max_abs == float(2**64 - 1)


@pytest.mark.parametrize("tolerance", [Tolerance(atol=1), Tolerance(margin=1), Tolerance(rtol=0.1)])
def test_integers_take_the_bounds_that_a_rule_names(only: Only, tolerance: Tolerance) -> None:
    expected = np.array([10, 20])
    assert only("a.npy", expected + 1, expected, tolerance).verdict is Verdict.EQUIVALENT
    assert only("a.npy", expected + 3, expected, tolerance).verdict is Verdict.DRIFT


def test_a_ulp_rule_leaves_integers_and_labels_exact(only: Only) -> None:
    assert only("a.npy", np.array([1]), np.array([2]), Tolerance(ulp=9)).verdict is Verdict.DRIFT
    left, right = np.array([True]), np.array([False])
    assert only("a.npy", left, right, Tolerance(margin=9)).verdict is Verdict.DRIFT


@pytest.mark.parametrize("dtype", FLOATS)
def test_ulp_distance_crosses_zero(dtype: str) -> None:
    tiny = np.nextafter(np.zeros(1, dtype), np.ones(1, dtype))
    assert ulp_distance(-tiny, tiny).tolist() == [2]
    assert ulp_distance(np.array([-0.0], dtype), np.array([0.0], dtype)).tolist() == [0]
    largest = np.array([np.finfo(dtype).max])
    bits = int(largest.view(f"u{largest.itemsize}")[0])
    assert ulp_distance(-largest, largest).tolist() == [2 * bits]


@SLOW_DISK
@given(st.floats(-1e300, 1e300), st.integers(0, 50))
def test_ulp_distance_counts_steps(start: float, steps: int) -> None:
    value = np.array([start])
    for _ in range(steps):
        value = np.nextafter(value, np.inf)
    assert ulp_distance(value, np.array([start])).tolist() == [steps]


def test_a_ulp_bound_is_the_only_bound(only: Only) -> None:
    expected = np.array([1.0], "f4")
    actual = expected + 3 * np.spacing(expected)
    assert only("a.npy", actual, expected, Tolerance(ulp=3)).verdict is Verdict.EQUIVALENT
    assert only("a.npy", actual, expected, Tolerance(ulp=2)).verdict is Verdict.DRIFT


def test_an_explicit_rtol_has_no_term_for_the_scale(only: Only) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 60, 60)).astype("f4")
    expected = left @ right
    actual = (left.astype("f8") @ right.astype("f8")).astype("f4")
    assert only("a.npy", actual, expected).verdict is Verdict.EQUIVALENT
    for tolerance in (Tolerance(rtol=1e-5), Tolerance(atol=1e-9), Tolerance(rtol=0, atol=0)):
        assert only("a.npy", actual, expected, tolerance).verdict is Verdict.DRIFT
    both = Tolerance(rtol=1e-5, scale=128)
    assert only("a.npy", actual, expected, both).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("name", ["a.npy", "a.json"])
def test_a_rule_that_gives_up_the_term_for_noise_says_how_to_get_it_back(
    only: Only, name: str
) -> None:
    """A looser rtol that fails what the default passes would be a riddle without that."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 3, 60))
    expected = (left @ right.T).reshape(-1)
    expected[0] = 1e-9
    actual = expected + 1e-15 * rng.standard_normal(9)
    sides = [side if name == "a.npy" else side.tolist() for side in (actual, expected)]
    drifted = [side if name == "a.npy" else side.tolist() for side in (actual * 1.1, expected)]
    loose = Tolerance(rtol=1e-9)

    found = only(name, *sides, loose)
    assert found.verdict is Verdict.DRIFT
    assert "`scale = 128` in the rule brings it back" in found.note
    assert only(name, *sides, Tolerance(rtol=1e-9, scale=128)).verdict is Verdict.EQUIVALENT
    # Nothing is promised where it would not help, nor to a rule that is no such sum.
    assert "scale" not in only(name, *drifted, loose).note
    for tolerance in (Tolerance(exact=True), Tolerance(margin=1e-20), Tolerance(ulp=0)):
        assert "scale" not in only(name, *sides, tolerance).note


def test_a_lone_number_in_text_is_told_the_same_of_its_rule(only: Only) -> None:
    """One number vouches for itself, whichever way it was compared."""
    near = only("a.json", 1.0 + 2e-15, 1.0, Tolerance(rtol=1e-16))
    assert near.verdict is Verdict.DRIFT
    assert "`scale = 128`" in near.note
    assert "scale" not in only("a.json", 1.01, 1.0, Tolerance(rtol=1e-16)).note


def test_rtol_and_atol_add_up_to_the_bound_exactly(only: Only) -> None:
    expected = np.array([4.0])
    tolerance = Tolerance(rtol=0.25, atol=0.5)
    assert only("a.npy", np.array([5.5]), expected, tolerance).verdict is Verdict.EQUIVALENT
    over = np.nextafter(np.array([5.5]), 9)
    assert only("a.npy", over, expected, tolerance).verdict is Verdict.DRIFT


def test_without_atol_an_array_of_small_numbers_is_not_waved_through(only: Only) -> None:
    expected = np.full(10, 1e-9)
    found = only("a.npy", expected * 1.01, expected)
    assert found.verdict is Verdict.DRIFT


def test_every_number_of_a_difference_is_what_it_says(only: Only) -> None:
    expected = np.array([[1.0, 2.0], [-4.0, 0.0]])
    actual = np.array([[1.0, 2.5], [-5.0, 0.25]])
    found = only("a.npy", actual, expected)
    assert (found.max_abs, found.max_rel, found.scale_error) == (1.0, 0.25, 0.25)
    assert (found.differing, found.beyond, found.size) == (3, 3, 4)
    assert found.worst_index == (1, 1)
    assert (found.worst_actual, found.worst_expected) == ("0.25", "0.0")


def test_the_worst_element_is_the_one_furthest_beyond_the_rule(only: Only) -> None:
    expected = np.array([1000.0, 1.0])
    actual = expected + np.array([1.5, 1.0])
    found = only("a.npy", actual, expected, Tolerance(rtol=1e-3))
    assert found.worst_index == (1,)
    near = only("a.npy", actual, expected, Tolerance(rtol=2))
    assert near.worst_index == (0,)


def test_the_worst_element_of_a_fortran_array_has_its_own_index(only: Only) -> None:
    expected = np.asfortranarray(np.zeros((3, 5)))
    actual = expected.copy(order="F")
    actual[2, 1] = 1
    assert only("a.npy", actual, expected).worst_index == (2, 1)
    assert only("a.npy", np.ascontiguousarray(actual), expected).worst_index == (2, 1)


def test_an_element_beyond_the_first_block_is_found_where_it_is(only: Only) -> None:
    expected = np.zeros(3_000_000, "f4")
    actual = expected.copy()
    actual[2_999_998] = 1
    found = only("a.npy", actual, expected)
    assert (found.worst_index, found.beyond) == ((2_999_998,), 1)


def test_complex_numbers_are_judged_by_their_modulus(only: Only) -> None:
    expected = np.array([1 + 1e-9j, 1j], "c8")
    noise = np.array([1 + 2e-9j, 1j], "c8")
    assert only("a.npy", noise, expected).verdict is Verdict.EQUIVALENT
    assert only("a.npy", expected * (1 + 1e-4), expected).verdict is Verdict.DRIFT
    lost = np.array([np.nan + 1j, 1j], "c8")
    assert only("a.npy", lost, expected).max_abs == math.inf


def test_times_are_exact_and_a_missing_time_equals_itself(only: Only) -> None:
    expected = np.array(["2024-01-01T00:00", "NaT"], "M8[m]")
    later = expected + np.timedelta64(60, "m")
    found = only("a.npy", later, expected)
    assert (found.verdict, found.max_abs, found.differing) == (Verdict.DRIFT, 60, 1)
    assert found.worst_actual == "2024-01-01T01:00"
    assert only("a.npy", expected.astype("M8[s]"), expected).verdict is Verdict.DRIFT


def test_structured_arrays_are_compared_field_by_field(compare: Compare) -> None:
    dtype = [("id", "i8"), ("pos", "f4", (2,)), ("inner", [("p", "f8")])]
    expected = np.zeros((2, 3), dtype)
    actual = expected.copy()
    actual["pos"][1, 2, 1] = 1
    actual["inner"]["p"][0, 1] = 2
    found = {each.item: each for each in compare("a.npy", actual, expected)[0]}
    assert found["id"].verdict is Verdict.IDENTICAL
    assert found["pos"].worst_index == (1, 2, 1)
    assert found["inner.p"].worst_index == (0, 1)
    renamed = np.zeros((2, 3), [("key", "i8"), *dtype[1:]])
    assert compare("a.npy", renamed, expected)[0][0].verdict is Verdict.DRIFT
    assert compare("a.npy", actual[:1], expected)[0][0].verdict is Verdict.DRIFT


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_arrays_without_dimensions_or_elements_are_compared(
    only: Only, shape: tuple[int, ...]
) -> None:
    assert only("a.npy", np.zeros(shape), np.zeros(shape)).verdict is Verdict.IDENTICAL
    other = only("a.npy", np.zeros(shape, "f4"), np.zeros(shape, "f8"))
    assert other.verdict is Verdict.DRIFT


def test_halves_pass_one_rounding_and_fail_a_percent(only: Only) -> None:
    expected = np.linspace(0.1, 1, 1000).astype("f2")
    assert only("a.npy", np.nextafter(expected, np.float16(2)), expected).verdict.passes
    assert only("a.npy", (expected * np.float16(1.01)), expected).verdict is Verdict.DRIFT


def test_subnormals_flushed_to_zero_beside_normal_numbers_pass(only: Only) -> None:
    expected = np.array([1e-42, 1.0], "f4")
    found = only("a.npy", np.array([0, 1.0], "f4"), expected)
    assert found.verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("expected", "actual", "passes"),
    [
        ([5.0, 2.5, 2.0, 1.0, 1e-17], [5.0, 2.5, 2.0, 1.0, -3e-17], True),
        ([5.0, 2.5, 2.0, 1.0, 1e-17], [5.0, 2.5, 2.0, 1.0, 0.0], True),
        ([5, 2, 2, 1, 1e-17], [5, 2, 2, 1, -3e-17], True),
        ([5, 2, 2, 1, 1e-17, 0.5], [5, 2, 2, 1, -3e-17, 0.75], False),
        (
            [[1.0, 2e-17, 1e-16], [2e-17, 1.0, -5e-17]],
            [[1.0, -1e-17, 4e-16], [3e-17, 1.0, 1e-17]],
            True,
        ),
        ([0.5, 0.2, 0.03, 1e-17], [0.5, 0.2, 0.03, 3e-17], False),  # p-values keep their sign
        ([5.1, 2.3, 1e-16], [5.1, 2.3, 4e-16], True),  # singular values stand in order
        ([1e-16, 4e-16, 2.3, 5.1], [3e-16, 1e-16, 2.3, 5.1], True),
        ([5.1, 1e-16, 2.3], [5.1, 4e-16, 2.3], False),
        ([8.3, 1e-16], [8.3, 2e-16], False),  # a statistic and its p-value
        ([0.9, 0.1, 1e-17], [0.9, 0.1, 4e-17], False),
        ([299792458.5, 2.3, 6.6e-34], [299792458.5, 2.3, 1.1e-34], False),
        ([5.0, 2.5, 2.0, 1.0, 1e-12], [5.0, 2.5, 2.0, 1.0, -1e-12], False),
        ([5.0, 1e-17, 1e-17], [5.0, 1e-17, 1.0], False),
        ([-1e9, -1e9, 1e-7], [-1e9, -1e9, -1e-7], False),  # a mask
        ([1e-17, 2e-17], [-1e-17, 2e-17], False),  # nothing stands beside
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.json"])
def test_what_is_zero_up_to_the_rounding_of_all_else_is_no_drift(
    only: Only, name: str, expected: list[Any], actual: list[Any], passes: bool
) -> None:
    sides = (np.array(actual), np.array(expected)) if name == "a.npy" else (actual, expected)
    assert only(name, *sides).verdict is (Verdict.EQUIVALENT if passes else Verdict.DRIFT)
