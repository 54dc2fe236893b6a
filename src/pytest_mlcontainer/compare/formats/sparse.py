"""Sparse matrices, as SciPy and AnnData write them, brought to one form: in which order entries
stand, whether one is stored in two parts, and which zeros are stored, depends on what was computed
before, and is no part of the matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of

_VALUES: Final = "data"
_COMPRESSED: Final = (_VALUES, "indices", "indptr")
_BY_PLACE: Final = (_VALUES, "row", "col")
_MOST: Final = 1 << 24

Places = NDArray[np.int64]


def parts_of_matrix(names: Set[str]) -> tuple[str, ...]:
    """Which of the arrays with these names hold a matrix of compressed rows or columns, or one of
    entries with their places; none where there is no such matrix.
    """
    return next((parts for parts in (_COMPRESSED, _BY_PLACE) if names >= {*parts}), ())


def in_one_form(matrix: Mapping[str, Array]) -> Mapping[str, Array]:
    """The arrays as they are once entries stand by their places, those of one place are summed and
    zeros left out; as they were where they are no such matrix, or too large for this.

    Args:
        matrix: the arrays that `parts_of_matrix` names.
    """
    values, *others = matrix.values()
    if any(each.size > _MOST for each in matrix.values()) or not values.shape:
        return matrix
    if any(each.dtype.kind not in "iu" or len(each.shape) != 1 for each in others):
        return matrix
    first, second = (each.values().astype(np.int64) for each in others)
    rows, columns = (first, second) if "row" in matrix else (_rows(second), first)
    if rows is None or not len(rows) == len(columns) == values.shape[0]:
        return matrix
    entries = _entries(rows, columns, values)
    if entries is None:
        return matrix
    rows, columns, kept = entries
    if "row" not in matrix:
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(second) - 1))])
        rows, columns = columns, starts
    sides = (side.astype(each.dtype) for side, each in zip((rows, columns), others, strict=True))
    return dict(zip(matrix, map(array_of, (kept, *sides)), strict=True))


def _rows(starts: Places) -> Places | None:
    """The row of each entry, by where rows begin and the last one ends."""
    lengths = np.diff(starts)
    if not len(starts) or starts[0] or (lengths < 0).any() or starts[-1] > _MOST:
        return None
    return np.repeat(np.arange(len(lengths)), lengths)


def _entries(rows: Places, columns: Places, values: Array) -> tuple[Places, Places, Values] | None:
    """Entries in order, each place once, without zeros; None where they are so already."""
    held = values.values()
    order = np.lexsort((columns, rows))
    rows, columns, held = rows[order], columns[order], held[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (np.diff(rows) > 0) | (np.diff(columns) != 0)
    if not is_first.all():
        held = np.add.reduceat(held, np.flatnonzero(is_first), axis=0, dtype=held.dtype)
        rows, columns = rows[is_first], columns[is_first]
    counts = (held != 0).any(axis=tuple(range(1, held.ndim)))
    if len(counts) == len(order) and counts.all() and (np.diff(order) > 0).all():
        return None
    return rows[counts], columns[counts], held[counts]
