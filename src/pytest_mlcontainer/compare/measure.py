"""Two arrays of the same dtype and shape → numbers, read in tiles so that size costs no memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_mlcontainer.compare.dense import BLOCK_BYTES
from pytest_mlcontainer.compare.gaps import Dtype, Values
from pytest_mlcontainer.compare.meter import Measured, Meter
from pytest_mlcontainer.compare.tolerance import Bound, Precision

Order = Literal["C", "F"]
Read = Callable[[int, int], Values]

_PARTS = 4  # the same ones on any machine, so that figures do not depend on its processors
_LEAST_PARALLEL_BYTES = 1 << 25


@dataclass(frozen=True)
class Array:
    """An array that is read in blocks, as often as asked.

    Args:
        blocks: given a number of elements, the values as flat blocks of that many, in `order`, of
            the dtype in this machine's byte order.
        order: "C" (last index fastest) or "F".
        spans: where elements can be had from any place: opens the array for reading so many of
            them from a position on, by several threads at once; each block is valid until the
            thread's next.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    blocks: Callable[[int], Iterator[Values]]
    order: Order = "C"
    spans: Callable[[], AbstractContextManager[Read]] | None = None

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


def measure(
    actual: Array, expected: Array, bound: Bound, judged_as: Precision | None, equal_nan: bool
) -> Measured:
    """Compare all elements.

    Args:
        actual, expected: same dtype (text may differ in width), shape and order.
        judged_as: the format whose units in the last place count.
    """
    width = max(1, actual.dtype.itemsize, expected.dtype.itemsize)
    shape = expected.shape if expected.order == "C" else expected.shape[::-1]
    inner = _inner_axes(shape, BLOCK_BYTES // width)
    row = math.prod(inner)
    length = row * max(1, BLOCK_BYTES // width // row)

    def meter() -> Meter:
        return Meter(actual.dtype, bound, judged_as, equal_nan)

    size_bytes = expected.size * min(actual.dtype.itemsize, expected.dtype.itemsize)
    if actual.spans and expected.spans and size_bytes >= _LEAST_PARALLEL_BYTES:
        with actual.spans() as left, expected.spans() as right:
            return _measure_parts(left, right, expected.size, length, inner, meter)
    whole, start = meter(), 0
    for mine, theirs in zip(actual.blocks(length), expected.blocks(length), strict=True):
        whole.add(start, _tile_shape(len(theirs), inner), mine, theirs)
        start += len(theirs)
    return whole.result()


def _measure_parts(
    left: Read,
    right: Read,
    size: int,
    length: int,
    inner: tuple[int, ...],
    meter: Callable[[], Meter],
) -> Measured:
    """Parts of both arrays side by side: NumPy lets other threads run while it computes."""
    tiles = -(-size // length)

    def part(number: int) -> Meter:
        found = meter()
        for tile in range(tiles * number // _PARTS, tiles * (number + 1) // _PARTS):
            start = tile * length
            count = min(length, size - start)
            found.add(start, _tile_shape(count, inner), left(start, count), right(start, count))
        return found

    with ThreadPoolExecutor(min(_PARTS, os.cpu_count() or 1)) as pool:
        whole, *others = pool.map(part, range(_PARTS))
    for other in others:
        whole.join(other)
    return whole.result()


def _inner_axes(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The last axes of which a tile of at most so many elements holds all."""
    inner: tuple[int, ...] = ()
    for length in reversed(shape):
        if length * math.prod(inner) > most:
            break
        inner = (max(1, length), *inner)
    return inner


def _tile_shape(count: int, inner: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a tile of so many elements: whole rows of the inner axes, else one axis."""
    row = math.prod(inner)
    return (count // row, *inner) if count % row == 0 else (count,)
