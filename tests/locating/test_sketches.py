"""What sketches tell of two values: whether they are the same, and about how far apart they are."""

from __future__ import annotations

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
