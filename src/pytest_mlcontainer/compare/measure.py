"""Two arrays of one dtype and shape → numbers, read in blocks so that size costs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_mlcontainer.compare.gaps import (
    Dtype,
    Floats,
    Gaps,
    Values,
    largest_magnitude,
    measure_gaps,
)
from pytest_mlcontainer.compare.tolerance import Bound, Precision

Order = Literal["C", "F"]

BLOCK_BYTES = 1 << 22
_TEXT_LIMIT = 200


@dataclass(frozen=True)
class Array:
    """An array that is read in blocks, as often as asked.

    Args:
        blocks: given a number of elements, the values as flat blocks of that many, in `order`, of
            the dtype in this machine's byte order.
        order: "C" (last index fastest) or "F".
    """

    dtype: Dtype
    shape: tuple[int, ...]
    blocks: Callable[[int], Iterator[Values]]
    order: Order = "C"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    def values(self) -> Values:
        """All of it in memory."""
        parts = list(self.blocks(max(1, BLOCK_BYTES // max(1, self.dtype.itemsize))))
        flat = np.concatenate(parts) if parts else np.empty(self.size, self.dtype)
        return flat.reshape(self.shape, order=self.order)


def array_of(values: Values) -> Array:
    """An array that is in memory already."""
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    flat = np.ascontiguousarray(native).reshape(-1)

    def blocks(length: int) -> Iterator[Values]:
        for start in range(0, len(flat), length):
            yield flat[start : start + length]

    return Array(native.dtype, values.shape, blocks)


@dataclass(frozen=True)
class Measured:
    """What `model.Difference` says about two arrays, with `worst` as a position in block order."""

    differing: int
    beyond: int
    max_abs: float
    max_rel: float
    max_ulp: int
    mismatched: int
    worst: int | None
    worst_actual: str
    worst_expected: str


def find_scale(array: Array) -> float:
    """The largest finite magnitude."""
    length = max(1, BLOCK_BYTES // max(1, array.dtype.itemsize))
    return max((largest_magnitude(block) for block in array.blocks(length)), default=0.0)


def measure(
    actual: Array, expected: Array, bound: Bound, judged_as: Precision | None, equal_nan: bool
) -> Measured:
    """Compare all elements.

    Args:
        actual, expected: same dtype (text may differ in width), shape and order.
        judged_as: the format whose units in the last place count.
    """
    tally = _Tally()
    width = max(1, actual.dtype.itemsize, expected.dtype.itemsize)
    length = max(1, BLOCK_BYTES // width)
    start = 0
    for left, right in zip(actual.blocks(length), expected.blocks(length), strict=True):
        gaps = measure_gaps(
            left,
            right,
            judged_as=judged_as,
            signed_zero=bound.exact,
            equal_nan=equal_nan,
        )
        if len(gaps.index):
            tally.add(start, gaps, bound, left, right)
        start += len(left)
    return tally.result()


class _Tally:
    """Sums up the blocks."""

    def __init__(self) -> None:
        self._differing = self._beyond = self._mismatched = self._max_ulp = 0
        self._max_abs = self._max_rel = 0.0
        self._score = (False, -1.0, -1.0)
        self._worst: tuple[int, str, str] | None = None

    def add(self, start: int, gaps: Gaps, bound: Bound, left: Values, right: Values) -> None:
        excess = _excess(gaps, bound)
        self._differing += len(gaps.index)
        self._beyond += int(np.count_nonzero(excess > 1))
        self._mismatched += int(np.count_nonzero(np.isinf(gaps.error)))
        self._max_abs = max(self._max_abs, float(gaps.error.max()))
        self._max_rel = max(self._max_rel, _largest_relative(gaps))
        self._max_ulp = max(self._max_ulp, int(gaps.ulp.max()))
        position, score = _worst(excess, gaps.error)
        if score > self._score:
            self._score = score
            index = int(gaps.index[position])
            self._worst = (start + index, _text(left[index]), _text(right[index]))

    def result(self) -> Measured:
        worst = self._worst
        return Measured(
            differing=self._differing,
            beyond=self._beyond,
            max_abs=self._max_abs,
            max_rel=self._max_rel,
            max_ulp=self._max_ulp,
            mismatched=self._mismatched,
            worst=None if worst is None else worst[0],
            worst_actual="" if worst is None else worst[1],
            worst_expected="" if worst is None else worst[2],
        )


def _excess(gaps: Gaps, bound: Bound) -> Floats:
    """Error ÷ what is allowed: above 1 is beyond the bound."""
    if bound.exact:
        return np.full(len(gaps.error), np.inf)
    with np.errstate(all="ignore"):
        if bound.ulp is not None:
            error = gaps.ulp.astype(np.float64)
            allowed = np.full(len(error), float(bound.ulp))
        else:
            error = gaps.error
            allowed = bound.atol + np.maximum(bound.rtol * gaps.magnitude, bound.floor)
        # A quotient would round: the decision is made without one.
        quotient = np.where(allowed > 0, error / allowed, np.inf)
        passes = (error <= allowed) & np.isfinite(gaps.error)
    excess: Floats = np.where(
        passes,
        np.minimum(quotient, 1.0, where=error > 0, out=np.zeros(len(error))),
        np.maximum(quotient, np.nextafter(1.0, 2.0)),
    )
    excess[np.isinf(gaps.error)] = np.inf
    return excess


def _largest_relative(gaps: Gaps) -> float:
    there = gaps.magnitude > 0
    with np.errstate(all="ignore"):
        relative = np.where(np.isinf(gaps.error), np.inf, gaps.error / gaps.magnitude)
    return float(np.max(relative, initial=0.0, where=there))


def _worst(excess: Floats, error: Floats) -> tuple[int, tuple[bool, float, float]]:
    """Where the bound is exceeded most; between equals, and within it, the largest error."""
    beyond = bool((excess > 1).any())
    first = excess if beyond else error
    top = first.max()
    position = int(np.argmax(np.where(first == top, error, -1.0)))
    return position, (beyond, float(top), float(error[position]))


def _text(value: object) -> str:
    """The value with all its digits: the shortest text that reads back as the same."""
    if isinstance(value, np.void):
        text = "0x" + value.tobytes().hex()
    elif isinstance(value, bytes):
        text = repr(bytes(value))
    else:
        text = str(value)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
