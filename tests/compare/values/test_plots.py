"""What is drawn of arrays that differ: small, and nothing that matters is left out unsaid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_mlcontainer.compare.collect import DRAWN, KEPT, collect_items
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Plots, Rule, Tolerance

LOOSE = Rule("x.npy", None, Tolerance(rtol=0.01, atol=0.0))


def compared(
    actual: NDArray[Any], expected: NDArray[Any], book: RuleBook | None = None
) -> Difference:
    place = ItemLocation("x.npy")
    (found,) = compare_arrays(place, array_of(actual), array_of(expected), book or RuleBook(()))
    return found


def plots(actual: NDArray[Any], expected: NDArray[Any]) -> Plots:
    found = compared(actual, expected).plots
    assert found is not None
    return found


@pytest.mark.parametrize("size", [5, 1000])
def test_equal_arrays_and_small_ones_are_not_drawn(size: int) -> None:
    values = np.arange(float(size))
    assert compared(values, values).plots is None
    assert size > 16 or compared(values + 1, values).plots is None


def test_the_grid_of_places_shows_where_one_error_is() -> None:
    expected = np.ones((320, 640))
    actual = expected.copy()
    actual[105, 205] = 2
    grid = plots(actual, expected).places
    assert grid is not None
    assert (len(grid.rows), len(grid.rows[0])) == (32, 64)
    assert {
        (row, column)
        for row, line in enumerate(grid.rows)
        for column, cell in enumerate(line)
        if cell != "0"
    } == {(10, 20)}
    assert (grid.across, grid.down) == ((0, 639), (0, 319))


def test_values_that_agree_nearly_lie_on_the_line_of_agreement() -> None:
    expected = np.linspace(0, 1, 500)
    grid = plots(expected + 1e-6, expected).density
    assert grid is not None
    size = len(grid.rows)
    cells = [
        (row, at)
        for row, line in enumerate(grid.rows)
        for at, cell in enumerate(line)
        if cell != "0"
    ]
    assert all(abs((size - 1 - row) - at) <= 1 for row, at in cells)


@given(st.integers(17, 3000), st.data())
def test_a_thinned_sequence_keeps_its_ends_and_extremes(length: int, data: st.DataObject) -> None:
    expected = np.zeros(length)
    actual = expected + 0.25
    spike = data.draw(st.integers(0, length - 1))
    actual[spike] = 9
    series = plots(actual, expected).series
    assert series is not None
    assert len(series.places) <= 400
    assert series.length == length
    assert {0, spike, length - 1} <= {*series.places}


def test_labels_are_counted_by_what_stands_for_what() -> None:
    expected = np.array(["cat", "dog"] * 50, object)
    actual = expected.copy()
    actual[0] = "dog"
    table = plots(actual, expected).confusion
    assert table is not None
    counts = {
        (theirs, mine): count
        for theirs, row in zip(table.labels, table.counts, strict=True)
        for mine, count in zip(table.labels, row, strict=True)
    }
    assert counts == {("cat", "cat"): 49, ("cat", "dog"): 1, ("dog", "dog"): 50, ("dog", "cat"): 0}


def test_rare_labels_are_counted_together() -> None:
    expected = np.array([f"l{number % 60}" for number in range(600)], object)
    table = plots(np.roll(expected, 1), expected).confusion
    assert table is not None
    assert len(table.labels) == 20
    assert table.labels[-1] == "all others"
    assert sum(map(sum, table.counts)) == 600


def test_of_items_that_differ_alike_only_so_many_are_drawn() -> None:
    book = RuleBook(())
    values = np.arange(20.0)
    drawn = [compared(values + 1, values, book).plots for _number in range(DRAWN + 3)]
    assert [each is None for each in drawn] == [False] * DRAWN + [True] * 3


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_the_worst_items_of_an_output_are_drawn_in_whichever_order_they_come(order: str) -> None:
    book, values = RuleBook(()), np.arange(1, 101.0)
    errors = np.arange(1.0, 301)[:: -1 if order == "falling" else 1]
    if order == "mixed":
        np.random.default_rng(1).shuffle(errors)
    found = (replace(compared(values + error, values, book), item=f"{error:g}") for error in errors)

    kept, notes = collect_items("x.npy", found, False)

    assert [each.item for each in kept] == [str(300 - rank) for rank in range(KEPT)]
    assert [each.plots is not None for each in kept] == [True] * DRAWN + [False] * (KEPT - DRAWN)
    assert [len(each.elements) for each in kept] == [20] * DRAWN + [5] * (KEPT - DRAWN)
    assert notes == (f"x.npy: the worst {KEPT} items are listed; not listed: 250 drift",)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("share", [1.0, 0.02], ids=["dense", "sparse"])
def test_the_worst_twenty_elements_say_how_far_beyond_what_is_allowed_they_are(
    dtype: Any, share: float
) -> None:
    generator = np.random.default_rng(1)
    expected = np.full(400_000, 1000, dtype)
    off = np.where(generator.random(expected.size) < share, 2, 0)
    off[[5, 399_999]] = 64, 32
    found = compared((expected + off).astype(dtype), expected, RuleBook((LOOSE,)))
    assert len(found.elements) == 20
    assert [each.error for each in found.elements[:3]] == [64, 32, 2]
    assert [each.excess for each in found.elements[:3]] == pytest.approx([6.4, 3.2, 0.2], rel=1e-3)
    assert [each.index for each in found.elements[:2]] == [(5,), (399_999,)]


def test_what_has_no_finite_bound_has_no_error_in_terms_of_it() -> None:
    expected = np.arange(100)
    found = compared(expected[::-1].copy(), expected)
    assert {each.excess for each in found.elements} == {None}
