"""Tiles of float32 and float64 in which much differs: measured whole, without picking elements.

Picking out the elements that differ, as `gaps` does, is right when they are few. Where nearly all
do, it costs several times as much as the arithmetic. Here everything stays in the tile's own
precision and in buffers that are used again. Nothing is decided here: elements that are beyond
their own bound, or so near it that rounding might matter, are handed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import Values, ulp_distance
from pytest_mlcontainer.compare.numeric.tolerance import Bound

BLOCK_BYTES = 1 << 19  # large enough for Python's part not to count, small enough for the caches
_NOWHERE = np.empty(0, np.intp)
_SPARSE = 16  # with fewer than one in so many differing, `gaps` is faster


@dataclass(frozen=True)
class Block:
    """The measurements of one tile.

    Args:
        errors: |actual − expected| of every element, valid until the next tile.
        max_ulp: of this tile or one before.
        top_error: the largest of them; `largest` is the largest |expected|.
        suspects: places of all elements beyond their own bound, and of some that nearly are.
    """

    differing: int
    max_rel: float
    max_ulp: int
    top_error: float
    largest: float
    errors: Values
    suspects: NDArray[np.intp]


class Workspace:
    """Buffers for tiles of one dtype, and the bound to judge by."""

    def __init__(self, dtype: np.dtype[Any], bound: Bound) -> None:
        limits = np.finfo(dtype)
        self._bound = bound
        self._bits = np.dtype(f"i{dtype.itemsize}")
        # Generous for the four roundings between the values and their excess.
        self._slack = 16 * float(limits.eps)
        self._largest = float(limits.max) / 4
        self._usual = 2 * float(limits.tiny)
        self._eps = float(limits.eps)
        self._max_ulp = 0
        length = BLOCK_BYTES // dtype.itemsize
        with np.errstate(over="ignore"):  # `fits` looks
            self._rtol = dtype.type(bound.rtol)
            self._atol = dtype.type(bound.atol)
            self._floors = np.full(length, bound.floor, dtype)  # faster than a scalar
        # A floor among the smallest numbers excuses elements that others need not be asked about.
        self._relative_only = not bound.atol and bound.floor <= float(limits.tiny)
        self._buffers = np.empty((3, length), dtype)

    def fits(self) -> bool:
        """Whether the bound is one that can be judged here."""
        bound = self._bound
        numbers = (self._rtol, self._atol, self._floors[0])
        return not bound.exact and bound.ulp is None and bool(np.isfinite(numbers).all())

    def measure(self, actual: Values, expected: Values) -> Block | None:
        """Compare two tiles of the same length, `BLOCK_BYTES` at most.

        Returns:
            None where picking elements is needed: few differ, something is not finite, or a bound
            is zero.
        """
        count = len(actual)
        error, size, quotient = (buffer[:count] for buffer in self._buffers)
        with np.errstate(all="ignore"):
            np.subtract(actual, expected, out=error)
            np.abs(error, out=error)
            top = float(error.max())
            differing = int(np.count_nonzero(error.view(self._bits)))
            if not top <= self._largest or differing * _SPARSE < count:
                return None
            np.abs(expected, out=size)
            np.divide(error, size, out=quotient)
            tiny = _NOWHERE
            if not float(size.min()) >= self._usual:
                tiny = np.flatnonzero(size < self._usual)
                quotient[tiny] = 0
            worst = int(quotient.argmax())
            relative = _relative(actual[worst], expected[worst])
            ulp = self._ulp(actual, expected, quotient, worst)
            if len(tiny):
                relative = max(relative, _largest_relative(actual[tiny], expected[tiny]))
                ulp = max(ulp, int(ulp_distance(actual[tiny], expected[tiny]).max()))
            largest = float(size.max())
            suspects = self._suspects(error, size, quotient, worst, tiny)
        if suspects is None:
            return None
        return Block(differing, relative, ulp, top, largest, error, suspects)

    def _ulp(self, actual: Values, expected: Values, quotient: Values, worst: int) -> int:
        """The largest distance, if it is larger than that of all tiles before.

        Where no sign differs, r = error ÷ |expected| below 1/4 makes a distance of at most
        2 r / ((1 - r) eps), for steps are as wide as eps × the number or half that.
        """
        there = slice(worst, worst + 1)
        known = self._max_ulp or int(ulp_distance(actual[there], expected[there])[0])
        least = known * self._eps / 2
        least = min(least / (1 + least), 0.25)
        if float(quotient[worst]) > least:
            near = np.flatnonzero(quotient > least)
            known = max(known, int(ulp_distance(actual[near], expected[near]).max(initial=0)))
        self._max_ulp = known
        return known

    def _suspects(
        self,
        error: Values,
        size: Values,
        quotient: Values,
        worst: int,
        tiny: NDArray[np.intp],
    ) -> NDArray[np.intp] | None:
        """Places of elements that may be beyond what they may be off by themselves.

        Args:
            worst: where the quotient is largest.
            tiny: places of the smallest magnitudes, of which the quotient says nothing.
        """
        if self._relative_only and len(tiny) * _SPARSE < len(error):
            least = self._bound.rtol * (1 - self._slack)
            found = np.flatnonzero(quotient > least) if quotient[worst] > least else _NOWHERE
            return np.union1d(found, tiny[error[tiny] > 0]) if len(tiny) else found
        allowed = size  # no longer needed
        np.multiply(size, self._rtol, out=allowed)
        if self._bound.floor:
            np.maximum(allowed, self._floors[: len(error)], out=allowed)
        if self._bound.atol:
            np.add(allowed, self._atol, out=allowed)
        if not float(allowed.min()) > 0 or not np.isfinite(allowed.max()):
            return None
        np.divide(error, allowed, out=quotient)
        return np.flatnonzero(quotient > 1 - self._slack)


def _largest_relative(actual: Values, expected: Values) -> float:
    there = expected != 0
    left, right = actual[there].astype(np.float64), expected[there].astype(np.float64)
    return float((np.abs(left - right) / np.abs(right)).max(initial=0.0))


def _relative(actual: Any, expected: Any) -> float:
    """The relative error of one element; 0 where it has none."""
    return abs(float(actual) - float(expected)) / abs(float(expected)) if expected else 0.0


def top_places(values: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Positions of the largest few, largest first."""
    if len(values) > count:
        found = np.argpartition(values, len(values) - count)[-count:]
    else:
        found = np.arange(len(values))
    return np.asarray(found[np.argsort(-values[found], kind="stable")])
