"""Elements that differ, picked while they pass by, for what is drawn of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import Floats, Values

MOST_KEPT = 1 << 16

_Part = tuple[NDArray[np.int64], Floats, Values, Values]


class DifferingSample:
    """All elements that differ, or every second, fourth, … of them: `MOST_KEPT` at most.

    Whenever there are more, half of those that were kept go, and of what comes later as many are
    left out; so it takes the same memory for an array of any size.

    Args of what it gives:
        whole: both sides in full, where the array is one tile; else None.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._kept = 0
        self._every = 1
        self.whole: tuple[Values, Values] | None = None

    def see_tile(self, start: int, left: Values, right: Values) -> None:
        """A tile that differs somewhere; those that are the same are not seen."""
        self.whole = None if start or self._kept else (left.copy(), right.copy())

    def add(
        self, start: int, index: NDArray[Any], errors: NDArray[Any], left: Values, right: Values
    ) -> None:
        """Elements of a tile.

        Args:
            index: their places in the tile, rising; `errors` is as long as that.
            left, right: the tile.
        """
        self._keep(start, index[:: self._every], errors[:: self._every], left, right)

    def add_dense(self, start: int, errors: NDArray[Any], left: Values, right: Values) -> None:
        """A tile most of whose elements differ, with the errors of all of them."""
        index = np.flatnonzero(errors[:: self._every]) * self._every
        self._keep(start, index, errors[index], left, right)

    def _keep(
        self, start: int, index: NDArray[Any], errors: NDArray[Any], left: Values, right: Values
    ) -> None:
        self._parts.append((index + start, errors.astype(np.float64), left[index], right[index]))
        self._kept += len(index)
        while self._kept > MOST_KEPT:
            positions, errors, mine, theirs = self._joined()
            # Copies, so that what they were picked from is given back.
            half = positions[::2].copy(), errors[::2].copy(), mine[::2].copy(), theirs[::2].copy()
            self._parts = [half]
            self._kept = len(half[0])
            self._every *= 2

    @property
    def count(self) -> int:
        """How many elements it holds."""
        return self._kept

    def elements(self) -> tuple[NDArray[np.int64], Floats, Values, Values, Floats]:
        """Positions in block order, errors, actual and expected values, and what each counts for.

        Only for samples that hold something.
        """
        joined = self._joined()
        return *joined, np.full(self._kept, float(self._every))

    def _joined(self) -> _Part:
        positions, errors, left, right = (
            np.concatenate([part[column] for part in self._parts]) for column in range(4)
        )
        return positions, errors, left, right
