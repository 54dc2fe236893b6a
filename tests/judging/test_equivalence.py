"""Metrics over seeds: TOST, its power, and everything that leaves nothing to test."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.study import Metric
from pytest_mlcontainer.judging import equivalence
from pytest_mlcontainer.judging.equivalence import Metrics, compare_means, power_of, seeds_needed
from pytest_mlcontainer.model import Difference, Verdict

ITEM = ("outputs/metrics.json", "accuracy")


def judged(
    actual: Sequence[Any] | np.ndarray,
    expected: Sequence[Any] | np.ndarray,
    margin: float = 0.01,
    seeds: tuple[str, ...] | None = None,
    item: tuple[str, str] = ITEM,
    same: Sequence[str] = (),
) -> Difference:
    """The one difference for values of each seed; None where a seed has none."""
    names = tuple(str(number) for number in range(len(actual))) if seeds is None else seeds
    metrics = Metrics(names)
    for seed, mine, theirs in zip(names, actual, expected, strict=True):
        if seed in same:
            metrics.watcher(seed)(Difference(item[0], item[1], Verdict.IDENTICAL))
        elif mine is not None:
            ours, others = (array_of(np.asarray(side)) for side in (mine, theirs))
            assert metrics.taker(seed)(Metric(item, ours, others, margin, "rule r"))
    (found,) = metrics.judge()
    return found


def test_its_p_value_and_interval_are_those_of_two_one_sided_t_tests() -> None:
    d = np.array([0.004, -0.002, 0.001, 0.003, -0.0005])
    error = d.std(ddof=1) / np.sqrt(5)

    found = compare_means(d, 0.01)

    lower = stats.t.sf((d.mean() + 0.01) / error, 4)
    upper = stats.t.cdf((d.mean() - 0.01) / error, 4)
    half = stats.t.ppf(0.95, 4) * error
    assert found.p == pytest.approx(max(lower, upper))
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=12),
    st.floats(0.01, 1),
)
def test_it_is_equivalent_just_when_the_interval_lies_within_the_margin(
    differences: list[float], margin: float
) -> None:
    found = compare_means(np.array(differences), margin)

    if abs(found.p - 0.05) > 1e-6:
        assert found.is_equivalent == (-margin < found.low and found.high < margin)


@pytest.mark.parametrize("n", [3, 8])
def test_where_the_means_are_a_margin_apart_it_passes_in_five_of_a_hundred_cases(n: int) -> None:
    """The error that matters: that a drift as large as the margin is called equivalent."""
    rng = np.random.default_rng(7)

    passed = [compare_means(rng.normal(1.0, 0.3, n), 1.0).is_equivalent for _case in range(2500)]

    # 0.05 with a standard error of 0.0044; the rate is only reached where the other test is sure.
    assert 0.033 < np.mean(passed) < 0.067


@pytest.mark.parametrize(
    ("n", "deviation", "mean"), [(3, 0.5, 0.0), (5, 0.5, 0.2), (10, 1.0, 0.0), (20, 1.5, -0.3)]
)
def test_the_power_is_how_often_it_succeeds(n: int, deviation: float, mean: float) -> None:
    rng = np.random.default_rng(11)
    d = rng.normal(mean, deviation, (20000, n))
    half = stats.t.ppf(0.95, n - 1) * d.std(axis=1, ddof=1) / np.sqrt(n)

    succeeded = (np.abs(d.mean(axis=1)) + half <= 1.0).mean()

    assert power_of(n, deviation, mean, 1.0) == pytest.approx(succeeded, abs=0.012)


def test_the_seeds_needed_are_the_fewest_with_that_power() -> None:
    needed = seeds_needed(1.0, 0.0, 1.0)

    assert needed == 11
    assert power_of(needed, 1.0, 0.0, 1.0) >= 0.8 > power_of(needed - 1, 1.0, 0.0, 1.0)
    assert seeds_needed(1.0, 1.0, 1.0) is None
    assert seeds_needed(100.0, 0.0, 1.0) is None
    assert seeds_needed(float("inf"), 0.0, 1.0) is None


def test_a_small_steady_difference_is_equivalent_and_says_by_how_much() -> None:
    expected = [0.90, 0.91, 0.89, 0.92, 0.90]
    actual = [0.901, 0.909, 0.892, 0.921, 0.9]

    found = judged(actual, expected)

    assert found.verdict is Verdict.EQUIVALENT
    assert found.rule == "equivalence within 0.01, TOST at 0.05 (rule r)"
    assert found.note.startswith("mean difference +0.0006, 90 % interval [")
    assert found.note.endswith("n = 5; furthest apart for seed 2")
    assert found.unit == "seeds"
    assert (found.differing, found.beyond, found.size) == (4, 0, 5)
    assert found.max_abs == pytest.approx(0.0006)


def test_a_difference_larger_than_the_margin_is_drift() -> None:
    expected = [0.90, 0.91, 0.89, 0.92, 0.90]
    actual = [value - 0.03 + 0.001 * number for number, value in enumerate(expected)]

    found = judged(actual, expected)

    assert found.verdict is Verdict.DRIFT
    assert "the means differ by more than 0.01" in found.note
    assert found.beyond == 5
    assert found.elements[0].index == (0,)
    assert found.elements[0].error == pytest.approx(0.03)


def test_too_much_spread_is_inconclusive_and_says_how_many_seeds_it_takes() -> None:
    expected = [0.9] * 4
    actual = [0.912, 0.889, 0.909, 0.892]

    found = judged(actual, expected)

    assert found.verdict is Verdict.DRIFT
    assert "inconclusive: at this spread about 14 seeds would be needed" in found.note


def test_a_mean_at_the_margin_asks_for_no_more_seeds() -> None:
    found = judged([0.92, 0.9, 0.915], [0.9, 0.9, 0.9])

    assert found.verdict is Verdict.DRIFT
    assert "the mean difference itself is not below it" in found.note
    assert "seeds would be needed" not in found.note


def test_the_same_values_are_identical() -> None:
    found = judged([0.9, 0.8], [0.9, 0.8])

    assert found.verdict is Verdict.IDENTICAL
    assert found.note == "identical for all 2 seeds"


@pytest.mark.parametrize(("offset", "verdict"), [(0.5, "equivalent"), (1.0, "drift"), (2, "drift")])
def test_without_spread_the_difference_itself_decides(offset: float, verdict: str) -> None:
    """There is nothing to test with, and nothing uncertain."""
    found = judged([1.0 + offset, 2.0 + offset], [1.0, 2.0], margin=1.0)

    assert found.verdict.value == verdict
    assert "nan" not in found.note


def test_one_seed_alone_is_no_evidence() -> None:
    found = judged([0.9, None], [0.901, None])

    assert found.verdict is Verdict.DRIFT
    assert found.note == "inconclusive: it is there for 1 of 2 seeds"


def test_seeds_without_the_item_are_counted() -> None:
    found = judged([0.9, 0.91, None, 0.92], [0.901, 0.911, None, 0.9195], margin=0.1)

    assert found.verdict is Verdict.EQUIVALENT
    assert found.note.endswith("n = 3; furthest apart for seed 0; it is there for 3 of 4 seeds")


def test_a_file_that_is_the_same_on_both_sides_counts_as_no_difference() -> None:
    found = judged([0.9, 0.91, None, None], [0.9, 0.911, None, None], same=("2", "3"))

    assert found.size == 4
    assert found.differing == 1
    assert found.verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_mean_and_never_passes(bad: float) -> None:
    found = judged([0.9, bad, 0.9], [0.9, bad, 0.9])

    assert found.verdict is Verdict.DRIFT
    assert found.note == "NaN or infinite for seed 1, so it has no mean"


def test_other_lengths_for_other_seeds_cannot_be_put_together() -> None:
    found = judged([[0.9, 0.8], [0.9]], [[0.9, 0.8], [0.9]], seeds=("a", "b"))

    assert found.verdict is Verdict.DRIFT
    assert found.note == "its length is not the same for each seed: 2 for a, 1 for b"


def test_of_a_list_of_metrics_each_has_to_be_equivalent() -> None:
    expected = np.tile([0.9, 0.8, 0.7], (5, 1))
    noise = np.linspace(-0.001, 0.001, 5)[:, None]
    close, one_off = expected + noise, expected + noise + np.array([0, 0.05, 0])

    assert judged(close, expected).verdict is Verdict.EQUIVALENT
    found = judged(one_off, expected)
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith("element 1 of 3: mean difference +0.05")


def test_enormous_values_do_not_pass_by_overflow() -> None:
    found = judged([1e308, -1e308, 1e308], [-1e308, 1e308, -1e308])

    assert found.verdict is Verdict.DRIFT
    assert found.note == "the values are too far apart to be measured"


@pytest.mark.parametrize("values", ["high", np.zeros(101), np.array([]), np.array([True])])
def test_what_is_no_small_metric_is_not_taken(values: np.ndarray | str) -> None:
    sides = array_of(np.asarray(values)), array_of(np.asarray(values))

    assert not Metrics(("0",)).taker("0")(Metric(ITEM, *sides, 0.1, "rule r"))


def test_without_the_extra_it_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.stats.weightstats", None)

    found = judged([0.9, 0.91], [0.9, 0.9])

    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[stats]'" in found.note


def test_the_level_is_the_one_that_the_documentation_names() -> None:
    assert (equivalence.ALPHA, equivalence.POWER) == (0.05, 0.8)
