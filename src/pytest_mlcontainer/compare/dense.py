"""Blocks of float32 and float64 in which much differs: measured whole, without picking elements.

Picking out the elements that differ, as `gaps` does, is right when they are few. Where nearly all
do, it costs several times as much as the arithmetic. Here everything stays in the block's own
precision and in buffers that are used again. What decides is never rounded: elements so near the
bound that rounding might matter are judged once more in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.gaps import Values
from pytest_mlcontainer.compare.tolerance import Bound

BLOCK_BYTES = 1 << 19  # large enough for Python's part not to count, small enough for the caches
_NOWHERE = np.empty(0, np.intp)
_SPARSE = 16  # with fewer than one in so many differing, `gaps` is faster


@dataclass(frozen=True)
class Block:
    """What one block adds.

    Args:
        errors: |actual − expected| of every element, valid until the next block.
        excess: error ÷ what is allowed, likewise.
        top_error, top_excess: the largest of them.
        suspects: places of all elements beyond the bound, and of some that nearly are.
    """

    differing: int
    beyond: int
    max_rel: float
    max_ulp: int
    top_error: float
    top_excess: float
    errors: Values
    excess: Values
    suspects: NDArray[np.intp]


class Workspace:
    """Buffers for blocks of one dtype, and the bound to judge by."""

    def __init__(self, dtype: np.dtype[Any], bound: Bound) -> None:
        self._bound = bound
        self._bits = np.dtype(f"i{dtype.itemsize}")
        # Generous for the four roundings between the values and their excess.
        self._slack = 16 * float(np.finfo(dtype).eps)
        self._largest = float(np.finfo(dtype).max) / 4
        length = BLOCK_BYTES // dtype.itemsize
        self._floors = np.full(length, bound.floor, dtype)  # faster than a scalar
        self._rtol = dtype.type(bound.rtol)
        self._atol = dtype.type(bound.atol)
        self._buffers = np.empty((5, length), dtype)

    def fits(self) -> bool:
        """Whether the bound is one that can be judged here."""
        bound = self._bound
        return not bound.exact and bound.ulp is None and bool(np.isfinite(self._floors[0]))

    def measure(self, actual: Values, expected: Values) -> Block | None:
        """Compare two blocks of the same length, `BLOCK_BYTES` at most.

        Returns:
            None where picking elements is needed: few differ, something is not finite, or a bound
            is zero.
        """
        count = len(actual)
        error, size, other, quotient, _ = (buffer[:count] for buffer in self._buffers)
        with np.errstate(all="ignore"):
            np.subtract(actual, expected, out=error)
            np.abs(error, out=error)
            top = float(error.max())
            differing = int(np.count_nonzero(error.view(self._bits)))
            if not top <= self._largest or differing * _SPARSE < count:
                return None
            np.abs(expected, out=size)
            np.abs(actual, out=other)
            ulp = self._max_ulp(actual, expected, other, size)
            worst = self._worst_relative(error, size, quotient)
            relative = 0.0 if worst is None else _relative(actual[worst], expected[worst])
            excess = self._excess(error, size, quotient)
            if excess is None:
                return None
            highest = float(excess.max())
            suspects = _NOWHERE
            if highest > 1 - self._slack:
                suspects = np.flatnonzero(excess > 1 - self._slack)
            near = suspects[excess[suspects] <= 1 + self._slack]
            beyond = len(suspects) - len(near)
            beyond += self._count_beyond(actual[near], expected[near])
        return Block(differing, beyond, relative, ulp, top, highest, error, excess, suspects)

    def _max_ulp(self, actual: Values, expected: Values, left: Values, right: Values) -> int:
        """Largest distance: of magnitudes where signs agree, else their sum."""
        integers = self._buffers[3].view(self._bits)[: len(actual)]
        np.subtract(left.view(self._bits), right.view(self._bits), out=integers)
        distance = max(int(integers.max()), -int(integers.min()))
        np.bitwise_xor(actual.view(self._bits), expected.view(self._bits), out=integers)
        if int(integers.min()) < 0:
            across = np.flatnonzero(integers < 0)
            sums = left.view(self._bits)[across].astype(np.uint64)
            sums += right.view(self._bits)[across].astype(np.uint64)
            distance = max(distance, int(sums.max()))
        return distance

    def _worst_relative(self, error: Values, size: Values, quotient: Values) -> int | None:
        """Where error ÷ |expected| is largest among elements with expected not 0."""
        if float(size.min()) > 0:
            np.divide(error, size, out=quotient)
            return int(quotient.argmax())
        there = np.flatnonzero(size)
        if not len(there):
            return None
        return int(there[(error[there] / size[there]).argmax()])

    def _excess(self, error: Values, size: Values, out: Values) -> Values | None:
        allowed = self._buffers[4][: len(error)]
        np.multiply(size, self._rtol, out=allowed)
        if self._bound.floor:
            np.maximum(allowed, self._floors[: len(error)], out=allowed)
        if self._bound.atol:
            np.add(allowed, self._atol, out=allowed)
        if not float(allowed.min()) > 0 or not np.isfinite(allowed.max()):
            return None
        np.divide(error, allowed, out=out)
        return out

    def _count_beyond(self, actual: Values, expected: Values) -> int:
        """Of elements so near the bound that rounding matters, those that are beyond it."""
        if not len(actual):
            return 0
        bound = self._bound
        left, right = actual.astype(np.float64), expected.astype(np.float64)
        allowed = bound.atol + np.maximum(bound.rtol * np.abs(right), bound.floor)
        return int(np.count_nonzero(np.abs(left - right) > allowed))


def _relative(actual: Any, expected: Any) -> float:
    return abs(float(actual) - float(expected)) / abs(float(expected))


def top_places(values: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Positions of the largest few, largest first."""
    if len(values) > count:
        found = np.argpartition(values, len(values) - count)[-count:]
    else:
        found = np.arange(len(values))
    return np.asarray(found[np.argsort(-values[found], kind="stable")])
