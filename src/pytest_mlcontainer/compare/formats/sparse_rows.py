"""Sparse matrices as `scipy.sparse.save_npz` writes them: in which order the indices of one row
stand depends on what was computed before, and is no part of the matrix.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

import numpy as np

from pytest_mlcontainer.compare.numeric.measure import Array, array_of

STARTS: Final = "indptr"
PLACES: Final = "indices"
MOVED: Final = frozenset({PLACES, "data"})
_MEMBERS: Final = MOVED | {STARTS, "shape", "format"}
_MOST: Final = 1 << 24


def is_compressed(members: Set[str]) -> bool:
    """Whether an archive with these members is a matrix of compressed rows or columns."""
    return members >= _MEMBERS


def in_row_order(values: Array, starts: Array, places: Array) -> Array:
    """The values as they stand once the places within each row ascend; as they are where the three
    are no such matrix, or more than is held in memory for it.

    Args:
        values: one for each of the places, or the places themselves.
        starts: where in them each row begins, and the last one ends.
    """
    if places.size > _MOST or values.shape[:1] != places.shape or starts.size > _MOST:
        return values
    if any(side.dtype.kind not in "iu" or len(side.shape) != 1 for side in (starts, places)):
        return values
    first, at = (side.values().astype(np.int64) for side in (starts, places))
    lengths = np.diff(first)
    if not len(first) or first[0] or first[-1] != len(at) or (lengths < 0).any():
        return values
    order = np.lexsort((at, np.repeat(np.arange(len(lengths)), lengths)))
    return values if (np.diff(order) > 0).all() else array_of(values.values()[order])
