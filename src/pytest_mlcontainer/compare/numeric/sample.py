"""Elements that differ, picked while they pass by, for what is drawn of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import Floats, Values

ALL_KEPT = 1 << 18
_EVERY = 256


class DifferingSample:
    """All elements that differ up to `ALL_KEPT` of them, then one of every 256.

    Args of what it gives:
        whole: both sides in full, where the array is one tile; else None.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], Floats, Values, Values, int]] = []
        self._kept = 0
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
        every = 1 if self._kept < ALL_KEPT else _EVERY
        index, errors = index[::every], errors[::every].astype(np.float64)
        self._kept += len(index)
        self._parts.append((index + start, errors, left[index], right[index], every))

    def add_dense(self, start: int, errors: NDArray[Any], left: Values, right: Values) -> None:
        """A tile most of whose elements differ, with the errors of all of them."""
        every = 1 if self._kept < ALL_KEPT else _EVERY
        index = np.flatnonzero(errors[::every]) * every
        self._kept += len(index)
        found = errors[index].astype(np.float64)
        self._parts.append((index + start, found, left[index], right[index], every))

    @property
    def count(self) -> int:
        """How many elements it holds."""
        return self._kept

    def elements(self) -> tuple[NDArray[np.int64], Floats, Values, Values, Floats]:
        """Positions in block order, errors, actual and expected values, and what each counts for.

        Only for samples that hold something.
        """
        weights = np.concatenate([np.full(len(part[0]), float(part[4])) for part in self._parts])
        positions, errors, left, right = (
            np.concatenate([part[column] for part in self._parts]) for column in range(4)
        )
        return positions, errors, left, right, weights
