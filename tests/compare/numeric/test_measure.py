"""Large arrays: the fast way gives what the plain one does, and how errors are spread."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.numeric.dense import BLOCK_BYTES
from pytest_mlcontainer.compare.numeric.gaps import ulp_distance
from pytest_mlcontainer.compare.numeric.measure import Array, array_of, measure
from pytest_mlcontainer.compare.numeric.meter import Measured
from pytest_mlcontainer.compare.numeric.sample import MOST_KEPT
from pytest_mlcontainer.compare.numeric.tolerance import Bound, make_bound, precision_of
from pytest_mlcontainer.model import Tolerance
from tests.fixture_types import Compare

SIZE = BLOCK_BYTES // 4 + 77
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-39, 3e38, -3e38, 1.0, -1.0)


DEFAULT = Tolerance()


def measured(
    actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance = DEFAULT
) -> tuple[Measured, Bound]:
    left, right = array_of(actual), array_of(expected)
    precision = precision_of(expected.dtype.name)
    bound = make_bound(tolerance, precision)
    return measure(left, right, bound, precision, True), bound


def plainly(actual: np.ndarray, expected: np.ndarray, bound: Bound) -> dict[str, float]:
    """The same numbers by the definitions, in float64 (and long double, where float64 rounds)."""
    wide = np.longdouble
    left, right = actual.astype(wide), expected.astype(wide)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    finite = np.isfinite(actual) & np.isfinite(expected)
    with np.errstate(all="ignore"):
        error = np.where(same, 0, np.where(finite, np.abs(left - right), np.inf))
        allowed = bound.atol + np.maximum(bound.rtol * np.abs(right), bound.floor)
        beyond = ~same & ~(finite & (error <= allowed))
        there = ~same & (np.abs(expected) > 0)
        relative = np.where(np.isinf(error), np.inf, error / np.abs(right))
    ulp = np.where(finite & ~same, ulp_distance(actual, expected), np.uint64(0))
    return {
        "differing": int((~same).sum()),
        "beyond": int(beyond.sum()),
        "max_abs": float(error.max()),
        "max_rel": float(relative[there].max(initial=0)),
        "max_ulp": int(ulp.max()),
    }


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-9, 1e-7, 1e-6, 1e-3, 2.0]),
    st.sampled_from([1e-40, 1.0, 1e30]),
    st.lists(
        st.tuples(st.integers(0, SIZE - 1), st.sampled_from(SPECIAL), st.sampled_from(SPECIAL)),
        max_size=6,
    ),
    st.sampled_from(
        [Tolerance(rtol=1e-5), Tolerance(rtol=1e-6), Tolerance(atol=1e-6), Tolerance(margin=0.1)]
    ),
)
def test_the_fast_way_says_what_the_definitions_say(
    kind: str,
    seed: int,
    noise: float,
    size: float,
    special: list[tuple[int, float, float]],
    tolerance: Tolerance,
) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        expected = (rng.standard_normal(SIZE) * size).astype(kind)
        actual = (expected * (1 + noise * rng.standard_normal(SIZE))).astype(kind)
        for place, left, right in special:
            actual[place], expected[place] = left, right

    found, bound = measured(actual, expected, tolerance)
    wanted = plainly(actual, expected, bound)

    assert found.differing == wanted["differing"]
    assert found.max_ulp == wanted["max_ulp"]
    # Long double and float64 may part at the very edge of the bound.
    assert abs(found.beyond - wanted["beyond"]) <= 1
    assert found.max_abs == pytest.approx(wanted["max_abs"], rel=1e-6)
    assert found.max_rel == pytest.approx(wanted["max_rel"], rel=1e-5)


def test_the_worst_few_are_those_furthest_beyond_the_bound() -> None:
    expected = np.random.default_rng(1).standard_normal(SIZE).astype("f4")
    expected[[60_000, 5, 40_000]] = 1
    actual = expected * np.float32(1 + 1e-7)
    for rank, place in enumerate((60_000, 5, 40_000)):
        actual[place] = expected[place] + (3 - rank)

    found, _bound = measured(actual, expected)

    assert [worst.position for worst in found.worst[:3]] == [60_000, 5, 40_000]
    assert found.beyond == 3
    assert [worst.beyond for worst in found.worst] == [True] * 3 + [False] * 17
    assert found.worst[0].error == pytest.approx(3)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_quantiles_and_histogram_of_many_errors_are_right_to_three_percent(kind: str) -> None:
    rng = np.random.default_rng(2)
    expected = np.zeros(SIZE, kind)
    actual = (10.0 ** rng.uniform(-8.97, 2.97, SIZE)).astype(kind)

    found, _bound = measured(actual, expected)

    for share, error in found.quantiles:
        assert error == pytest.approx(np.quantile(actual, share), rel=0.05)
    counts, _edges = np.histogram(np.log10(actual.astype("f8")), bins=range(-9, 4))
    assert [low for low, _high, _count in found.histogram] == [
        10.0**power for power in range(-9, 3)
    ]
    for (_low, _high, count), wanted in zip(found.histogram, counts, strict=True):
        assert count == pytest.approx(wanted, rel=0.05)
    assert sum(count for _low, _high, count in found.histogram) == SIZE


def test_quantiles_of_few_errors_are_exact() -> None:
    expected = np.zeros(100)
    found, _bound = measured(np.arange(1, 101.0), expected)
    assert found.quantiles == ((0.5, 50.0), (0.9, 90.0), (0.99, 99.0))


def large(size: int, factor: float) -> Array:
    """float32 of any size, made while it is read."""
    block = np.random.default_rng(3).standard_normal(1 << 16).astype("f4")

    def read(length: int) -> Iterator[np.ndarray]:
        for start in range(0, size, length):
            yield np.resize(block, min(length, size - start)) * np.float32(factor)

    return Array(np.dtype("f4"), (size,), read)


@pytest.mark.parametrize("size", [1 << 24, 1 << 27])
def test_a_large_array_costs_no_memory(size: int) -> None:
    """As much for half a gigabyte as for an eighth of that."""
    bound = make_bound(Tolerance(), precision_of("float32"))
    tracemalloc.start()
    found = measure(large(size, 1 + 1e-6), large(size, 1), bound, precision_of("float32"), True)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.differing > size // 2
    assert peak < 16 << 20


def test_what_is_picked_of_a_large_array_stands_for_all_of_it() -> None:
    """Every so-manieth element, from the first place to the last, and each counts for as many."""
    size = 10_000_000
    bound = make_bound(Tolerance(), precision_of("float32"))

    found = measure(large(size, 1 + 1e-6), large(size, 1), bound, precision_of("float32"), True)

    assert found.sample is not None
    positions, errors, left, right, weights = found.sample.elements()
    assert MOST_KEPT // 4 < len(positions) == found.sample.count <= MOST_KEPT
    assert weights.sum() == pytest.approx(found.differing, rel=0.05)
    assert (np.diff(positions) > 0).all()
    thirds = np.histogram(positions, bins=3, range=(0, size))[0]
    assert thirds == pytest.approx(len(positions) / 3, rel=0.05)
    np.testing.assert_array_equal(errors, np.abs(left - right))


class TestIsolated:
    """Rounding noise is never alone, so the term for the scale does not excuse a lone element."""

    @pytest.mark.parametrize("seed", range(5))
    def test_one_small_weight_of_a_million_that_is_off_by_1e_4_is_seen(
        self, compare: Compare, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        expected = rng.standard_normal(1_000_000).astype("f4")
        actual = expected.copy()
        place = np.argsort(np.abs(expected))[seed * 1000]  # among the smallest
        actual[place] *= np.float32(1 + 1e-4)

        (difference,), _notes = compare("w.npy", actual, expected)

        assert not difference.verdict.passes
        assert difference.worst_index == (place,)
        assert difference.beyond == 1

    def test_noise_everywhere_is_none(self, compare: Compare) -> None:
        rng = np.random.default_rng(0)
        left, right = rng.standard_normal((2, 400, 400)).astype("f4")
        exact = left.astype("f8") @ right.astype("f8")

        (difference,), _notes = compare("m.npy", left @ right, exact.astype("f4"))

        assert difference.verdict.passes
        assert difference.differing > 10_000

    def test_a_lone_last_place_passes(self, compare: Compare) -> None:
        expected = np.random.default_rng(0).standard_normal(1_000_000).astype("f4")
        actual = expected.copy()
        actual[77] = np.nextafter(actual[77], np.float32(9))

        (difference,), _notes = compare("w.npy", actual, expected)

        assert difference.verdict.passes


@settings(deadline=None, max_examples=3)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e-7, 1e-5, 1e-3]),
    st.lists(st.tuples(st.integers(0, 8_999_999), st.sampled_from(SPECIAL)), max_size=6),
    st.sampled_from([(9_000_000,), (1000, 9000), (9000, 50, 20)]),
)
def test_parts_side_by_side_say_what_one_after_another_says(
    seed: int, noise: float, special: list[tuple[int, float]], shape: tuple[int, ...]
) -> None:
    """Threads must not change a verdict, a place or a figure (quantiles are sampled)."""
    rng = np.random.default_rng(seed)
    expected = np.resize(rng.standard_normal(99_991), 9_000_000).astype("f4")
    actual = np.resize(rng.standard_normal(77_773), 9_000_000).astype("f4")
    actual *= np.float32(noise)
    actual += expected
    for place, value in special:
        actual[place] = value
    sides = [array_of(side.reshape(shape)) for side in (actual, expected)]
    precision = precision_of("float32")
    arguments = (make_bound(DEFAULT, precision), precision, True)

    one = measure(sides[0], sides[1], *arguments)
    parts = measure(_with_spans(sides[0]), _with_spans(sides[1]), *arguments)

    assert replace(parts, quantiles=(), histogram=()) == replace(one, quantiles=(), histogram=())
    for (_share, left), (_same, right) in zip(parts.quantiles, one.quantiles, strict=True):
        assert left == pytest.approx(right, rel=0.1)


def _with_spans(array: Array) -> Array:
    flat = array.values().reshape(-1)

    @contextmanager
    def spans() -> Iterator[Callable[[int, int], np.ndarray]]:
        yield lambda start, count: flat[start : start + count]

    return replace(array, spans=spans)


def test_quantiles_never_exceed_the_largest_error(compare: Compare) -> None:
    """They come from bins, whose middles may lie above all that is in them."""
    expected = np.zeros(20_000)
    actual = np.full(20_000, 1.0)
    (difference,), _notes = compare("a.npy", actual, expected)
    assert difference.max_abs == 1.0
    assert max(error for _share, error in difference.quantiles) <= 1.0


def test_errors_as_large_as_numbers_go_are_spread_too() -> None:
    found, _bound = measured(np.array([0.0, 1.0, 2.0, 1.5e308]), np.array([1.0, 2.0, 3.0, 0.0]))
    assert found.max_abs == 1.5e308
    assert sum(count for _low, _high, count in found.histogram) == 4
    assert found.histogram[-1] == (1e308, np.inf, 1)
