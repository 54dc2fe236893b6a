"""What a report draws of two arrays that differ, from the elements that were picked of them."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterable

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Floats, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.numeric.meter import Measured
from pytest_mlcontainer.compare.numeric.shown import value_text
from pytest_mlcontainer.model import Confusion, PlotGrid, Plots, PlottedSeries

FEWEST = 17  # fewer are read faster as numbers
ROWS, COLUMNS, SIDE = 32, 64, 48
LABELS, POINTS = 20, 400
_STEPS = 9
_BUCKETS = 99
_CATEGORIES = 200
_COUNTED = 1 << 16
_DIGITS = 6
_LABEL = 40
_OTHERS = "all others"


def draw(expected: Array, measured: Measured) -> Plots | None:
    """None for arrays of a few elements, and for such that are the same."""
    sample = measured.sample
    if sample is None or not sample.count or expected.size < FEWEST:
        return None
    positions, errors, left, right, weights = sample.elements()
    kind = kind_of(expected.dtype)
    is_number = kind in (DtypeKind.FLOAT, DtypeKind.INTEGER)
    sides = (
        (left.astype(np.float64), right.astype(np.float64))
        if is_number and left.dtype != object and right.dtype != object
        else None
    )
    return Plots(
        looked_at=sample.count,
        relative=() if sides is None else _relative(errors, sides[1], weights),
        places=_places(expected, positions, errors, measured),
        density=None if sides is None else _density(*sides, weights),
        series=_series(expected, sample.whole) if is_number else None,
        confusion=_confusion(kind, left, right, weights, sample.whole),
    )


def _relative(
    errors: Floats, expected: Floats, weights: Floats
) -> tuple[tuple[float, float, int], ...]:
    with np.errstate(all="ignore"):
        powers = np.floor(np.log10(errors / np.abs(expected)))
    there = np.isfinite(powers)
    if not there.any():
        return ()
    first = int(powers[there].min())
    counts = np.bincount((powers[there] - first).astype(np.intp), weights[there])
    return tuple(
        (_ten_to(first + place), _ten_to(first + place + 1), int(count))
        for place, count in enumerate(counts)
    )


def _ten_to(power: int) -> float:
    limits = sys.float_info
    return 10.0**power if power <= limits.max_10_exp else math.inf


def _places(array: Array, positions: Values, errors: Floats, measured: Measured) -> PlotGrid | None:
    """Where errors are large; the worst elements are in it, whatever was picked."""
    shape = array.shape
    worst = measured.worst
    positions = np.concatenate([positions, np.array([each.position for each in worst], np.int64)])
    errors = np.concatenate([errors, np.array([each.error for each in worst], np.float64)])
    if array.order == "F" and len(shape) > 1:
        places = np.unravel_index(positions, shape, order="F")
        positions = np.asarray(np.ravel_multi_index(places, shape), np.int64)
    width = shape[-1]
    height = array.size // width
    columns, rows = min(COLUMNS, width), min(ROWS, height)
    row, column = np.divmod(positions, width)
    cells = np.asarray((row * rows // height) * columns + column * columns // width)
    largest = np.zeros(rows * columns)
    np.maximum.at(largest, cells, np.nan_to_num(errors, nan=math.inf, posinf=math.inf))
    return _grid(largest.reshape(rows, columns), (0, width - 1), (0, height - 1))


def _density(actual: Floats, expected: Floats, weights: Floats) -> PlotGrid | None:
    there = np.isfinite(actual) & np.isfinite(expected)
    if not there.all():
        actual, expected, weights = actual[there], expected[there], weights[there]
    if len(actual) < FEWEST:
        return None
    low = float(min(actual.min(), expected.min()))
    high = float(max(actual.max(), expected.max()))
    length = high - low
    if not math.isfinite(length) or not length > 0 or not SIDE / length < math.inf:
        return None
    column, row = (
        np.minimum(((side - low) * (SIDE / length)).astype(np.intp), SIDE - 1)
        for side in (expected, actual)
    )
    counts = np.bincount((SIDE - 1 - row) * SIDE + column, weights, SIDE * SIDE)
    return _grid(counts.astype(np.float64).reshape(SIDE, SIDE), (low, high), (high, low))


def _grid(
    numbers: Floats, across: tuple[float, float], down: tuple[float, float]
) -> PlotGrid | None:
    there = np.isfinite(numbers) & (numbers > 0)
    if not there.any():
        return None
    low, high = float(numbers[there].min()), float(numbers[there].max())
    with np.errstate(all="ignore"):
        steps = np.log(numbers / low) / (math.log(high / low) or 1.0) * _STEPS
    steps = np.where(np.isfinite(steps), 1 + np.floor(np.nan_to_num(steps)), _STEPS)
    steps = np.where(numbers > 0, np.clip(steps, 1, _STEPS), 0)
    if high == low:
        steps = np.where(numbers > 0, _STEPS, 0)
    codes = (steps.astype(np.uint8) + ord("0")).tobytes().decode("ascii")
    width = numbers.shape[1]
    rows = tuple(codes[start : start + width] for start in range(0, len(codes), width))
    return PlotGrid(rows, low, high, across, down)


def _series(array: Array, whole: tuple[Values, Values] | None) -> PlottedSeries | None:
    """Of one axis alone."""
    if whole is None or len(array.shape) != 1 or whole[1].dtype == object:
        return None
    actual, expected = (side.astype(np.float64) for side in whole)
    places = _thinned((actual, expected))
    return PlottedSeries(
        tuple(places),
        tuple(_rounded(actual[place]) for place in places),
        tuple(_rounded(expected[place]) for place in places),
        len(expected),
    )


def _thinned(sides: tuple[Floats, Floats]) -> list[int]:
    """At most `POINTS` places: both ends, and in each of equal parts both sides' extremes."""
    length = len(sides[0])
    if length <= POINTS:
        return list(range(length))
    found = {0, length - 1}
    edges = np.linspace(0, length, _BUCKETS + 1).astype(int).tolist()
    for start, end in itertools.pairwise(edges):
        for side in sides:
            part = np.nan_to_num(side[start:end])
            found |= {start + int(part.argmin()), start + int(part.argmax())}
    return sorted(found)


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _confusion(
    kind: DtypeKind,
    left: Values,
    right: Values,
    weights: Floats,
    whole: tuple[Values, Values] | None,
) -> Confusion | None:
    if kind not in (DtypeKind.LABEL, DtypeKind.INTEGER):
        return None
    if whole is not None:
        right, left, weights = whole[1], whole[0], np.ones(whole[1].size)
    every = -(-right.size // _COUNTED)
    sides = right.reshape(-1)[::every], left.reshape(-1)[::every]
    if any(side.dtype != object and len(np.unique(side)) > _CATEGORIES for side in sides):
        return None
    pairs: Counter[tuple[str, str]] = Counter()
    for pair, weight in zip(zip(*map(_texts, sides), strict=True), weights[::every], strict=True):
        pairs[pair] += int(weight) * every
    labels: Counter[str] = Counter()
    for (mine, theirs), count in pairs.items():
        if mine != theirs:
            labels[mine] += count
            labels[theirs] += count
    names = {name for pair in pairs for name in pair}
    if len(names) > min(_CATEGORIES, max(2, pairs.total() // 2)):
        return None  # ids, counts or text
    return _table(
        pairs, [label for label, _count in labels.most_common()], names, whole is not None
    )


def _texts(values: Values) -> Iterable[str]:
    return (value_text(value)[:_LABEL] for value in values.reshape(-1).tolist())


def _table(
    pairs: Counter[tuple[str, str]], ranked: list[str], names: set[str], agreeing: bool
) -> Confusion:
    kept = ranked[: LABELS - 1] if len(names) > LABELS else [*ranked, *sorted(names - {*ranked})]
    labels = kept if len(kept) == len(names) else [*kept, _OTHERS]
    place = {label: number for number, label in enumerate(kept)}
    counts = [[0] * len(labels) for _label in labels]
    for (mine, theirs), count in pairs.items():
        counts[place.get(mine, len(kept))][place.get(theirs, len(kept))] += count
    return Confusion(tuple(labels), tuple(tuple(row) for row in counts), agreeing)
