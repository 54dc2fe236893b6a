"""What a method leaves open (sign, order, names of labels) does not count; all else does."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.matching import vectors as matching
from pytest_mlcontainer.model import Freedom, Tolerance, Verdict
from tests.fixture_types import Compare, Only

SIGN = Tolerance(free=(Freedom.SIGN,))
ORDER = Tolerance(free=(Freedom.ORDER,))
BOTH = Tolerance(free=(Freedom.SIGN, Freedom.ORDER))
LABELS = Tolerance(free=(Freedom.LABELS,))
UNORDERED = Tolerance(unordered=True)
NOISE = np.float32(1 + 2.0**-22)
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def vectors(rows: int = 6, columns: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def test_each_vector_has_a_sign_of_its_own(only: Only) -> None:
    """Rows by default; noise is judged as ever, and a row that is half turned is another one."""
    rows = vectors()
    signs = np.array([1, -1, -1, 1, 1, -1], np.float32)[:, None]
    found = only("v.npy", rows * signs * NOISE, rows, SIGN)
    assert found.verdict is Verdict.EQUIVALENT
    assert "3 of 6 vectors with the sign turned" in found.note
    half = rows.copy()
    half[2, :4] *= -1
    assert only("v.npy", half, rows, SIGN).verdict is Verdict.DRIFT


def test_columns_are_vectors_along_axis_1(only: Only) -> None:
    """As eigenvectors are; along the other axis the same turn is a drift."""
    columns = vectors().T
    turned = columns * np.array([1, -1, 1, 1, -1, 1], np.float32)
    assert only("v.npy", turned, columns, Tolerance(free=(Freedom.SIGN,), axis=1)).verdict.passes
    assert only("v.npy", turned, columns, SIGN).verdict is Verdict.DRIFT


def test_one_vector_alone_is_turned_as_a_whole(only: Only) -> None:
    """An array of one dimension is one vector; a number alone, too."""
    vector = vectors()[0]
    assert only("v.npy", -vector, vector, SIGN).verdict is Verdict.EQUIVALENT
    mixed = vector * np.array([-1, 1, 1, 1, 1, 1, 1, 1, 1], np.float32)
    assert only("v.npy", mixed, vector, SIGN).verdict is Verdict.DRIFT
    assert only("v.npy", np.array(-2.0), np.array(2.0), SIGN).verdict is Verdict.EQUIVALENT


def test_unsigned_numbers_have_no_sign_to_turn(only: Only) -> None:
    """−1 of one byte is 255, which is no 1."""
    rows = np.array([[1, 2]], np.uint8)
    assert only("v.npy", 0 - rows, rows, SIGN).verdict is Verdict.DRIFT
    assert only("v.npy", 0 - rows[0], rows[0], SIGN).verdict is Verdict.DRIFT


def test_vectors_meet_in_any_order(only: Only) -> None:
    """With noise, too; a vector that is there twice in place of another is seen."""
    rows = vectors()
    shuffled = rows[[3, 1, 5, 0, 2, 4]] * NOISE
    found = only("v.npy", shuffled, rows, ORDER)
    assert found.verdict is Verdict.EQUIVALENT
    assert "5 of 6 vectors at another place" in found.note
    assert only("v.npy", shuffled, rows).verdict is Verdict.DRIFT
    twice = shuffled.copy()
    twice[0] = twice[1]
    found = only("v.npy", twice, rows, ORDER)
    assert (found.verdict, found.beyond, (found.worst_index or ())[0]) == (Verdict.DRIFT, 9, 3)


def test_sign_and_order_are_free_together(only: Only) -> None:
    """Components come in any order and direction; both alone do not explain that."""
    rows = vectors()
    other = -rows[::-1] * NOISE
    assert only("v.npy", other, rows, BOTH).verdict is Verdict.EQUIVALENT
    for less in (SIGN, ORDER):
        assert only("v.npy", other, rows, less).verdict is Verdict.DRIFT


def test_sorted_eigenvalues_meet_in_any_order(only: Only) -> None:
    """In one dimension elements are what is ordered."""
    values = np.array([3.0, 1.0, 2.0, np.nan, np.inf])
    found = only("v.npy", values[[4, 2, 0, 1, 3]] * (1 + 1e-9), values, ORDER)
    assert found.verdict is Verdict.EQUIVALENT
    assert only("v.npy", np.array([3.0, 1.0, 1.0]), values[:3], ORDER).verdict is Verdict.DRIFT


def test_vectors_that_lie_close_are_assigned_at_best(only: Only) -> None:
    """Where two of them are nearest to the same one, the best assignment is found all the same."""
    expected = np.array([[0.0, 0.0], [1.0, 0.0]])
    actual = np.array([[1.4, 0.0], [0.6, 0.0]])
    assert only(
        "v.npy", actual, expected, Tolerance(free=(Freedom.ORDER,), atol=0.7)
    ).verdict.passes
    tight = only("v.npy", actual, expected, Tolerance(free=(Freedom.ORDER,), atol=0.5))
    assert (tight.verdict, tight.beyond) == (Verdict.DRIFT, 1)


def test_without_scipy_the_hard_case_fails_and_names_the_extra(
    only: Only, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a guess: what needs the package says so, and the easy case does without."""
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    expected = np.array([[0.0, 0.0], [1.0, 0.0]])
    found = only("v.npy", np.array([[0.9, 0.0], [1.1, 0.0]]), expected, ORDER)
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[stats]'" in found.note
    rows = vectors()
    assert only("v.npy", rows[::-1] * NOISE, rows, ORDER).verdict is Verdict.EQUIVALENT


def test_too_many_vectors_to_match_are_said_to_be(only: Only) -> None:
    """Those that are the same anyway are no burden, however many; the others are bounded."""
    count = matching.MOST_VECTORS + 1
    rows = np.random.default_rng(1).normal(size=(count, 2))
    shuffled = rows[np.random.default_rng(2).permutation(count)]
    assert only("v.npy", shuffled, rows, ORDER).verdict is Verdict.EQUIVALENT
    found = only("v.npy", shuffled + 0.5, rows, ORDER)
    assert found.verdict is Verdict.FAILED
    assert f"{count} vectors of 2 are too many" in found.note


def test_clusters_by_any_name_are_the_same_clusters(only: Only) -> None:
    """The labels of k-means, renamed; one point in another cluster is a drift, or a rate."""
    labels = np.random.default_rng(3).integers(0, 4, 500)
    renamed = np.array([2, 0, 3, 1])[labels]
    found = only("l.npy", renamed, labels, LABELS)
    assert found.verdict is Verdict.EQUIVALENT
    assert "0 → 1" in found.note
    moved = renamed.copy()
    moved[7] = (moved[7] + 1) % 4
    found = only("l.npy", moved, labels, LABELS)
    assert (found.verdict, found.beyond, found.worst_index) == (Verdict.DRIFT, 1, (7,))
    rate = Tolerance(free=(Freedom.LABELS,), agreement=0.99)
    assert only("l.npy", moved, labels, rate).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("other", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 1, 0, 1]])
def test_clusters_that_merge_or_split_are_not_the_same(only: Only, other: list[int]) -> None:
    """A renaming is one to one."""
    found = only("l.npy", np.array(other), np.array([5, 5, 6, 6]), LABELS)
    assert found.verdict is Verdict.DRIFT


def test_words_are_labels_and_fractions_are_none(only: Only) -> None:
    """Each float is another one, so that any would do for any other: they are compared plainly."""
    words = np.array(["a", "b", "b", "c"])
    assert only("l.npy", np.array(["x", "c", "c", "a"]), words, LABELS).verdict.passes
    centres = vectors()
    found = only("l.npy", centres + 1, centres, LABELS)
    assert found.verdict is Verdict.DRIFT
    assert "not labels" in found.note


def test_rows_and_elements_without_order_are_multisets(only: Only) -> None:
    """A permuted row and a doubled one are seen unless the rule says that order does not count."""
    rows = np.arange(12).reshape(4, 3)
    shuffled, doubled = rows[[2, 0, 3, 1]], rows[[2, 0, 3, 3]]
    assert only("r.npy", shuffled, rows).verdict is Verdict.DRIFT
    assert only("r.npy", shuffled, rows, UNORDERED).verdict is Verdict.EQUIVALENT
    found = only("r.npy", doubled, rows, UNORDERED)
    assert (found.verdict, found.beyond, (found.worst_index or ())[0]) == (Verdict.DRIFT, 3, 1)
    assert only("r.npy", rows[:, [1, 0, 2]], rows, UNORDERED).verdict is Verdict.DRIFT
    words = np.array(["b", "a", "a"])
    assert only("r.npy", words, np.array(["a", "a", "b"]), UNORDERED).verdict.passes
    assert not only("r.npy", words, np.array(["a", "b", "b"]), UNORDERED).verdict.passes


def test_rows_of_a_table_meet_whole(compare: Compare) -> None:
    """Once rows have met, their columns are in order: cells may not change places any more."""
    table, crossed = "id,v\n1,0.5\n2,0.25\n", "id,v\n1,0.25\n2,0.5\n"
    differences, _ = compare("t.csv", "id,v\n2,0.25\n1,0.5\n", table, UNORDERED)
    assert all(each.verdict.passes for each in differences)
    differences, _ = compare("t.csv", crossed, table, UNORDERED)
    assert not all(each.verdict.passes for each in differences)


def test_one_new_element_among_many_is_one_difference(only: Only) -> None:
    """Not every one that comes after it in sorted order."""
    values = np.random.default_rng(4).permutation(1000)
    other = np.sort(values)
    other[0] = 5000
    found = only("r.npy", other, values, UNORDERED)
    assert (found.verdict, found.beyond, found.worst_actual) == (Verdict.DRIFT, 1, "5000")


def test_records_without_order_meet_whole(compare: Compare) -> None:
    """Fields of one record stay together: the same values in other company are other records."""
    kind = [("id", "i4"), ("score", "f8")]
    records = np.array([(1, 0.5), (2, 0.25), (3, 0.75)], kind)
    differences, _ = compare("r.npy", records[[2, 0, 1]], records, UNORDERED)
    assert all(each.verdict.passes for each in differences)
    crossed = np.array([(1, 0.25), (2, 0.5), (3, 0.75)], kind)
    differences, _ = compare("r.npy", crossed, records, UNORDERED)
    assert not all(each.verdict.passes for each in differences)


@QUICK
@given(data=st.data(), rows=st.integers(1, 6), columns=st.integers(1, 3), signed=st.booleans())
def test_whatever_is_free_passes_and_both_ways(
    compare: Compare, data: st.DataObject, rows: int, columns: int, signed: bool
) -> None:
    """Any order and any signs of any small integers, which tie often; symmetric."""
    cells = st.integers(-2, 2)
    values = data.draw(st.lists(cells, min_size=rows * columns, max_size=rows * columns))
    expected = np.array(values, np.float64).reshape(rows, columns)
    order = data.draw(st.permutations(range(rows)))
    signs = data.draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=rows, max_size=rows))
    actual = expected[list(order)]
    if signed and columns > 1:
        actual = actual * np.array(signs)[:, None]
    tolerance = BOTH if signed else ORDER
    for sides in ((actual, expected), (expected, actual)):
        differences, _ = compare("v.npy", *sides, tolerance)
        assert all(each.verdict.passes for each in differences)


@QUICK
@given(
    left=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    right=st.lists(st.integers(0, 3), min_size=1, max_size=8),
)
def test_unordered_means_the_same_multiset(
    compare: Compare, left: list[int], right: list[int]
) -> None:
    """No more and no less."""
    differences, _ = compare("v.npy", np.array(left), np.array(right), UNORDERED)
    passes = all(each.verdict.passes for each in differences)
    assert passes == (sorted(left) == sorted(right))


@QUICK
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=20), names=st.permutations(range(5)))
def test_any_renaming_of_any_labels_passes(
    compare: Compare, labels: list[int], names: list[int]
) -> None:
    """And the same grouping is all that it takes."""
    actual = np.array(names)[labels]
    differences, _ = compare("l.npy", actual, np.array(labels), LABELS)
    assert all(each.verdict.passes for each in differences)
