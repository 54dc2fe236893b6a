"""A metric may move by a margin, and as far as it likes towards the better."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_mlcontainer.model import MetricDirection, Tolerance, Verdict
from tests.fixture_types import Compare, Only

HIGHER = Tolerance(margin=0.01, better=MetricDirection.HIGHER)
LOWER = Tolerance(margin=0.01, better=MetricDirection.LOWER)


@pytest.mark.parametrize(
    ("actual", "tolerance", "verdict"),
    [
        (0.95, HIGHER, Verdict.EQUIVALENT),
        (0.895, HIGHER, Verdict.EQUIVALENT),
        (0.88, HIGHER, Verdict.DRIFT),
        (0.95, LOWER, Verdict.DRIFT),
        (0.905, LOWER, Verdict.EQUIVALENT),
        (0.2, LOWER, Verdict.EQUIVALENT),
        (0.95, Tolerance(margin=0.01), Verdict.DRIFT),
        (0.9, HIGHER, Verdict.IDENTICAL),
    ],
)
def test_only_a_change_for_the_worse_counts(
    only: Only, actual: float, tolerance: Tolerance, verdict: Verdict
) -> None:
    """0.9 is expected: which way it may go depends on what is better."""
    assert only("m.json", {"a": actual}, {"a": 0.9}, tolerance, item="a").verdict is verdict


def test_a_gain_is_measured_and_said(compare: Compare) -> None:
    """What passed all the same is shown with its size, and as better."""
    differences, _ = compare("m.npy", np.array([0.5, 0.95]), np.array([0.5, 0.9]), HIGHER)
    (found,) = differences
    assert found.verdict is Verdict.EQUIVALENT
    assert found.max_abs == pytest.approx(0.05)
    assert "1 element is better than expected" in found.note
    assert found.rule == "margin 0.01, higher is better (rule m.npy)"


def test_a_gain_does_not_hide_a_loss(only: Only) -> None:
    """Each element for itself: the larger gain is not the worst element."""
    found = only("m.npy", np.array([0.1, 0.99]), np.array([0.2, 0.5]), HIGHER)
    assert found.verdict is Verdict.DRIFT
    assert (found.beyond, found.differing, found.worst_index) == (1, 2, (0,))


@pytest.mark.parametrize("actual", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("better", list(MetricDirection))
def test_what_is_no_number_is_never_better(
    only: Only, actual: float, better: MetricDirection
) -> None:
    """An infinite accuracy is no improvement."""
    tolerance = Tolerance(margin=0.01, better=better)
    assert only("m.npy", np.array(actual), np.array(0.5), tolerance).verdict is Verdict.DRIFT


def test_integers_have_a_better_side_and_complex_numbers_do_not(only: Only) -> None:
    """Unsigned integers do not wrap around; where nothing is better, that is said."""
    few, many = np.array([3], np.uint8), np.array([200], np.uint8)
    assert only("m.npy", few, many, LOWER).verdict is Verdict.EQUIVALENT
    assert only("m.npy", few, many, HIGHER).verdict is Verdict.DRIFT
    found = only("m.npy", np.array([1j]), np.array([2j]), HIGHER)
    assert found.verdict is Verdict.FAILED
    assert "no better and worse" in found.note
