"""What sketches tell of two values: whether they are the same, and about how far apart they are."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.inside._recorder.mlcontainer_recorder.numbers import of_floats
from pytest_mlcontainer.inside._recorder.mlcontainer_recorder.sketches import Sketcher
from pytest_mlcontainer.locating.sketches import distance, is_discrete, is_reordered


def _sketcher() -> Callable[[object], Any]:
    """The program has no types: it runs on Pythons that do not parse them."""
    make: Callable[[], Any] = Sketcher
    sketch: Callable[[object], Any] = make().sketch
    return sketch


def test_the_distance_of_large_arrays_is_estimated_within_its_bound() -> None:
    """The square's expectation is right, and its relative deviation is at most sqrt(2 / 16)."""
    rng, sketch = np.random.default_rng(0), _sketcher()
    ratios = []
    for _ in range(300):
        one = rng.normal(size=3000)
        two = one + rng.normal(size=3000) * 1e-6
        found = distance(sketch(one), sketch(two))
        assert found is not None
        true = float(np.linalg.norm(two - one) / np.linalg.norm(one))
        ratios.append((found / true) ** 2)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.08)
    assert np.std(ratios) < 1.2 * math.sqrt(2 / 16)


@pytest.mark.parametrize("place", [0, 1, 1000, 2999])
def test_one_element_is_seen_wherever_it_is(place: int) -> None:
    """Its own distance is exact, as nothing else is in its way."""
    one = np.zeros(3000)
    one[5] = 2.0
    two = one.copy()
    two[place] += 1e-3
    sketch = _sketcher()
    assert sketch(one)["d"] != sketch(two)["d"]
    assert distance(sketch(one), sketch(two)) == pytest.approx(5e-4, rel=1e-6)


def test_a_shift_of_all_elements_is_no_larger_than_it_is() -> None:
    """Sums without random signs would add it up."""
    one, sketch = np.random.default_rng(1).normal(size=3000), _sketcher()
    found = distance(sketch(one), sketch(one + 1e-3))
    assert found == pytest.approx(1e-3 * np.sqrt(3000) / np.linalg.norm(one), rel=0.7)


def test_short_arrays_and_numbers_are_exact() -> None:
    sketch = _sketcher()
    assert distance(sketch(np.array([3.0, 4.0])), sketch(np.array([3.0, 4.5]))) == 0.1
    assert distance(sketch(2.0), sketch(3.0)) == 0.5
    assert distance(sketch(np.float32(2)), sketch(np.float32(3))) == 0.5
    assert distance(sketch([1.0, math.nan]), sketch([1.0, 2.0])) == math.inf
    assert distance(sketch(np.zeros(3)), sketch(np.zeros(4))) is None


def test_lists_are_sketched_alike_with_and_without_numpy() -> None:
    """One side may not have loaded it yet."""
    values = [n / 7 for n in range(100)]
    plain: Callable[[object], Any] = of_floats
    ours = plain(values)
    theirs = _sketcher()(values)
    assert (ours["d"], ours["shape"]) == (theirs["d"], theirs["shape"])
    assert ours["p"] == pytest.approx(theirs["p"])


def test_kinds_and_orders_are_told_apart() -> None:
    sketch = _sketcher()
    assert is_reordered(sketch(["a", "b"]), sketch(["b", "a"]))
    assert not is_reordered(sketch(["a", "b"]), sketch(["a", "c"]))
    assert sketch({"a"})["d"] != sketch(["a"])["d"]
    assert is_discrete(sketch(np.arange(30)))
    assert not is_discrete(sketch(np.ones(30)))


class Label(str):
    __slots__ = ()


class Count(int):
    pass


class Moment(datetime.datetime):
    pass


def _of_pandas(make: str) -> list[object]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed beside the tests")
    return [eval(make, {"pandas": pandas, "lot": lot}) for lot in (1, 2, 1)]


@pytest.mark.parametrize(
    "make",
    [
        "pandas.Timestamp(2024, 1, lot)",
        "pandas.Timestamp(lot)",
        "pandas.Timestamp(2024, 1, 5, tz=f'Etc/GMT+{lot}')",
        "pandas.Timedelta(lot)",
        "pandas.Period(f'2024-0{lot}', 'M')",
        "pandas.Interval(0, lot)",
        "pandas.offsets.BusinessDay(lot)",
        "pandas.Categorical(list('aabb')[lot:])",
        "pandas.array([lot, None], dtype='Int64')",
        "pandas.Series(pandas.to_datetime([lot], utc=True))",
        "pandas.Series(pandas.period_range(f'2024-0{lot}', periods=3, freq='M'))",
        "pandas.IntervalIndex.from_breaks([0, lot])",
        "[pandas.NaT, pandas.NA][lot - 1]",
        "{'at': pandas.Timestamp(2024, 1, lot)}",
    ],
)
def test_scalars_and_arrays_of_pandas_are_told_apart(make: str) -> None:
    one, other, again = map(_sketcher(), _of_pandas(make))
    assert one["d"] == again["d"]
    assert one["d"] != other["d"]


@pytest.mark.parametrize(
    "make",
    [
        lambda lot: Label(f"a{lot}"),
        lambda lot: Count(lot),
        lambda lot: Moment(2024, 1, lot),
        lambda lot: [Moment(2024, 1, lot)],
    ],
)
def test_classes_that_are_made_of_plain_ones_are_told_apart_by_these(
    make: Callable[[int], object],
) -> None:
    one, other, again = (_sketcher()(make(lot)) for lot in (1, 2, 1))
    assert one["d"] == again["d"]
    assert one["d"] != other["d"]


@pytest.mark.parametrize(
    ("make", "shown_as"),
    [
        ("pandas.Timestamp(2024, 1, lot, tz='UTC')", "2024-01-01T00:00:00+00:00 UTC"),
        ("pandas.Period(f'2024-0{lot}', 'M')", "2024-01 M"),
        ("pandas.Timedelta(days=lot)", "P1DT0H0M0S"),
    ],
)
def test_a_moment_is_shown_as_it_is_written(make: str, shown_as: str) -> None:
    """And not as an object of which both sides have one."""
    assert _sketcher()(_of_pandas(make)[0])["v"] == shown_as
