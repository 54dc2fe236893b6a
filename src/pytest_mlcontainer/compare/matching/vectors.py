"""Pairs the vectors of two runs: identical ones first, then the nearest ones."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.loose import UnmatchableError

Places = NDArray[np.intp]

MOST_VECTORS = 2000
MOST_ROWS = 2_000_000
_PRECISE_WORK = 10**8
_MOST_WORK = 10**11
_APART = 1e3


@dataclass(frozen=True)
class Matching:
    """For each vector of the reference, its partner in the actual run.

    Args:
        partners: for each expected vector the place of the actual one.
        open: places of expected vectors whose partner is a guess only.
    """

    partners: Places
    open: Places


def match_same(actual: Values, expected: Values, signed: bool) -> Matching:
    """Pairs that are the same; the others by their sorted order.

    Args:
        actual, expected: vectors as rows.
        signed: a vector and its negative are the same.

    Raises:
        UnmatchableError: there are too many.
    """
    if len(expected) > MOST_ROWS:
        raise UnmatchableError(
            f"{len(expected)} vectors or rows are too many to compare without their order (at most "
            f"{MOST_ROWS}): let the program sort them"
        )
    places: dict[object, list[int]] = {}
    for place, key in enumerate(_keys(actual, signed)):
        places.setdefault(key, []).append(place)
    for waiting in places.values():
        waiting.reverse()
    partners = np.full(len(expected), -1, np.intp)
    for place, key in enumerate(_keys(expected, signed)):
        waiting = places.get(key, [])
        if waiting:
            partners[place] = waiting.pop()
    left = np.flatnonzero(partners < 0)
    others = np.setdiff1d(np.arange(len(actual)), partners)
    partners[left[sort_rows(expected[left])]] = others[sort_rows(actual[others])]
    return Matching(partners, left)


def match_nearest(actual: Values, expected: Values, first: Matching, signed: bool) -> Matching:
    """The open pairs anew, so that their squared distances have the least sum.

    Where the nearest vectors of all expected ones are different ones, they are that; else the
    assignment problem is solved by SciPy.

    Raises:
        UnmatchableError: too many vectors, or SciPy is needed and not installed.
    """
    places = first.partners[first.open]
    left, right = actual[places], expected[first.open]
    count, length = right.shape
    if count > MOST_VECTORS or count * count * max(1, length) > _MOST_WORK:
        raise UnmatchableError(
            f"no pairs were found that agree, and {count} vectors of {length} are too many to look "
            f"for the best ones (at most {MOST_VECTORS}): let the program write them in an order "
            "of its own, or compare what does not depend on it"
        )
    cost = _distances(left, right, signed)
    nearest = cost.argmin(axis=1)
    if len(np.unique(nearest)) < count:
        nearest = assign(cost)
    partners = first.partners.copy()
    partners[first.open] = places[nearest]
    return Matching(partners, first.open[:0])


def assign(cost: NDArray[np.float64]) -> Places:
    """For each row its column, so that the sum of the costs is least.

    Raises:
        UnmatchableError: SciPy is not installed.
    """
    try:
        optimize = importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise UnmatchableError(
            "the best pairs are not simply the nearest ones, and to find them takes the package "
            "scipy: pip install 'pytest-mlcontainer[stats]'"
        ) from error
    _rows, columns = optimize.linear_sum_assignment(cost)
    return np.asarray(columns, np.intp)


def sort_rows(rows: Values) -> Places:
    """The order of rows, by the first column, then the second, …; NaN comes last."""
    if kind_of(rows.dtype) is DtypeKind.BYTES or rows.dtype.hasobject:
        texts = [[(type(cell).__name__, _text(cell)) for cell in row] for row in rows]
        return np.array(sorted(range(len(rows)), key=texts.__getitem__), np.intp)
    plain = rows.astype(np.float64) if rows.dtype.kind not in "biufcmMSU" else rows
    # Beyond some columns, sorting costs more than further columns can tell apart.
    columns = plain[:, :16].T[::-1]
    return np.lexsort(columns) if len(columns) else np.arange(len(rows))


def is_number(values: Values) -> bool:
    return kind_of(values.dtype) in (DtypeKind.FLOAT, DtypeKind.COMPLEX, DtypeKind.INTEGER)


def _text(cell: object) -> str:
    return cell.tobytes().hex() if isinstance(cell, np.void) else str(cell)


def _keys(rows: Values, signed: bool) -> list[object]:
    """For each row what is the same for the same values: NaN is NaN, and −0.0 is 0.0."""
    if rows.dtype.hasobject:
        return [tuple((type(cell).__name__, _text(cell)) for cell in row) for row in rows]
    if kind_of(rows.dtype) in (DtypeKind.FLOAT, DtypeKind.COMPLEX):
        wide = rows.astype(np.complex128 if rows.dtype.kind == "c" else np.float64)
        if signed:
            wide = _canonical_sign(wide)
        wide = wide + 0.0
        wide[np.isnan(wide)] = np.nan
        rows = wide
    elif signed and rows.dtype.kind == "i":
        rows = _canonical_sign(rows)
    rows = np.ascontiguousarray(rows)
    return [row.tobytes() for row in rows]


def _canonical_sign(rows: Values) -> Values:
    """Each row so that its first element that is not zero is positive."""
    real = rows.real if rows.dtype.kind != "c" else np.where(rows.real, rows.real, rows.imag)
    first = (real != 0).argmax(axis=1) if rows.shape[1] else np.zeros(len(rows), np.intp)
    lead = real[np.arange(len(rows)), first] if rows.shape[1] else np.zeros(len(rows))
    return np.where((lead < 0)[:, None], -rows, rows)


def _distances(actual: Values, expected: Values, signed: bool) -> NDArray[np.float64]:
    """Squared distances: for each expected vector (row) that of each actual one (column)."""
    kinds: Any = np.complex128 if expected.dtype.kind == "c" else np.float64
    left, right = actual.astype(kinds), expected.astype(kinds)
    magnitudes = [np.abs(side[np.isfinite(side)]).max(initial=0.0) for side in (left, right)]
    scale = max(magnitudes) or 1.0
    left, right = _finite(left, scale), _finite(right, scale)
    cost = _squared(left, right)
    if signed and not np.issubdtype(actual.dtype, np.unsignedinteger):
        cost = np.minimum(cost, _squared(-left, right))
    return cost


def _finite(rows: Values, scale: float) -> Values:
    """In units of the scale; what is not finite becomes columns of its own, far from all else."""
    marks = [np.isnan(rows), np.isposinf(rows.real), np.isneginf(rows.real)]
    plain = np.where(np.isfinite(rows), rows, 0) / scale
    extra = [mark * _APART for mark in marks if mark.any()]
    if not extra:
        return plain
    return np.concatenate([plain, *(mark * _APART for mark in marks)], axis=1)


def _squared(left: Values, right: Values) -> NDArray[np.float64]:
    width = max(left.shape[1], right.shape[1])
    left, right = (np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (left, right))
    if len(left) * len(right) * max(1, width) <= _PRECISE_WORK:
        cost = [np.square(np.abs(left - row)).sum(axis=1) for row in right]
        return np.array(cost, np.float64).reshape(len(right), len(left))
    square = np.square(np.abs(right)).sum(axis=1)[:, None] + np.square(np.abs(left)).sum(axis=1)
    product = (right.conj() @ left.T).real
    return np.asarray(np.maximum(square - 2 * product, 0.0), np.float64)
