"""Labels agree at a rate, whatever they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

LABELS = np.arange(300) % 7


def changed(labels: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([np.roll(labels[:count], 1), labels[count:]])


@pytest.mark.parametrize("kind", ["i8", "u1", "U3", "S3", "f4", "c8", "M8[D]"])
def test_the_rate_decides_for_any_dtype(only: Only, kind: str) -> None:
    """Three of 300 differ: 0.99 is reached exactly, 0.991 is not."""
    labels = LABELS.astype(kind)
    other = changed(labels, 3)
    found = only("l.npy", other, labels, Tolerance(agreement=0.99))
    assert (found.verdict, found.differing, found.beyond) == (Verdict.EQUIVALENT, 3, 0)
    assert "agreement 0.9900 of 300, at least 0.99 wanted" in found.note
    found = only("l.npy", other, labels, Tolerance(agreement=0.991))
    assert (found.verdict, found.differing, found.beyond) == (Verdict.DRIFT, 3, 3)


def test_text_labels_in_a_table_agree_at_a_rate(only: Only) -> None:
    """A column of words is judged as labels are."""
    words = np.array(["cat", "dog", "owl"])[LABELS % 3]
    table = "\n".join(["label", *words]) + "\n"
    other = "\n".join(["label", "cow", *words[1:]]) + "\n"
    found = only("l.csv", other, table, Tolerance(agreement=0.99))
    assert found.verdict is Verdict.EQUIVALENT
    assert "agreement 0.9967 of 300" in found.note


def test_booleans_and_lists_in_json_agree_at_a_rate(only: Only) -> None:
    """Lists are arrays there."""
    flags = [bool(flag) for flag in LABELS % 2]
    other = [not flags[0], *flags[1:]]
    found = only("l.json", other, flags, Tolerance(agreement=0.99))
    assert found.verdict is Verdict.EQUIVALENT
    assert found.size == 300


def test_a_rate_just_below_is_shown_as_below(only: Only) -> None:
    """Rounding may not show a failure as if it had passed."""
    labels = np.zeros(100_000, np.int8)
    other = labels.copy()
    other[:1001] = 1
    found = only("l.npy", other, labels, Tolerance(agreement=0.99))
    assert found.verdict is Verdict.DRIFT
    assert "agreement 0.98999 of 100000" in found.note


def test_another_length_is_never_agreement(only: Only) -> None:
    """However many agree."""
    found = only("l.npy", LABELS[:-1], LABELS, Tolerance(agreement=0.01))
    assert found.verdict is Verdict.DRIFT


def test_nan_agrees_with_nan_unless_the_rule_says_no(only: Only) -> None:
    """A missing label is a label."""
    labels = np.array([np.nan, 1.0, 2.0])
    other = np.array([np.nan, 1.0, 3.0])
    assert only("l.npy", other, labels, Tolerance(agreement=0.6)).verdict is Verdict.EQUIVALENT
    strict = Tolerance(agreement=0.6, equal_nan=False)
    assert only("l.npy", other, labels, strict).verdict is Verdict.DRIFT


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    wanted=st.sampled_from([0.25, 0.5, 0.9, 1.0]),
)
def test_agreement_is_a_count_and_symmetric(
    compare: Compare, pairs: list[tuple[int, int]], wanted: float
) -> None:
    """It passes exactly where enough are equal, whichever side is called the reference."""
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    passes = (left == right).mean() >= wanted
    for sides in ((left, right), (right, left)):
        differences, _ = compare("l.npy", *sides, Tolerance(agreement=wanted))
        assert all(each.verdict.passes == passes for each in differences)
        assert differences
