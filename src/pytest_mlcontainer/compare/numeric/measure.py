"""Two arrays of the same dtype and shape → numbers, read in tiles so that size costs no memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_mlcontainer.compare.numeric.dense import BLOCK_BYTES
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.meter import Measured, Meter
from pytest_mlcontainer.compare.numeric.tolerance import Bound, Precision

Order = Literal["C", "F"]
Read = Callable[[int, int], Values]

# Spans that are valid at once: one is looked at, and the others are read meanwhile. Each holds so
# many tiles, because handing one from thread to thread costs as much as looking at half a tile.
SPANS_KEPT = 3
_SPAN_TILES = 8
_BLOCK = 1 << 16
_FIRST = 4096
_LEAST_AHEAD_BYTES = 1 << 25


@dataclass(frozen=True)
class Array:
    """An array that is read in blocks, as often as asked.

    Args:
        blocks: given a number of elements, the values as flat blocks of that many, in `order`, of
            the dtype in this machine's byte order.
        order: "C" (last index fastest) or "F".
        spans: where another thread can read elements while this one computes: opens the array for
            reading so many of them from a position on; a block is valid until `SPANS_KEPT` later.
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


def first_two(array: Array) -> frozenset[str]:
    """Two values of an array that are not the same, as text; one where there are no others. Of
    several dimensions, as probabilities have, they are rows.
    """
    found: set[str] = set()
    width = max(1, math.prod(array.shape[1:])) if array.order == "C" else 1
    for block in array.blocks(width * max(1, _BLOCK // width)):
        for value in block.tolist() if width == 1 else block.reshape(-1, width).tolist():
            found.add(repr(value))
            if len(found) > 1:
                return frozenset(found)
    return frozenset(found)


def some_repeat(array: Array) -> bool:
    """Whether a value occurs twice among the first of an array, as those of few classes do."""
    for block in array.blocks(_FIRST):
        values = [repr(value) for value in block.tolist()]
        return len(set(values)) < len(values)
    return False


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

    meter, start = Meter(actual.dtype, bound, judged_as, equal_nan), 0
    for mine, theirs in _side_by_side(actual, expected, length):
        meter.add(start, _tile_shape(len(theirs), inner), mine, theirs)
        start += len(theirs)
    return meter.result()


def _side_by_side(actual: Array, expected: Array, length: int) -> Iterator[tuple[Values, Values]]:
    """Blocks of so many elements of both, from the first on."""
    size_bytes = expected.size * min(actual.dtype.itemsize, expected.dtype.itemsize)
    if not actual.spans or not expected.spans or size_bytes < _LEAST_AHEAD_BYTES:
        yield from zip(actual.blocks(length), expected.blocks(length), strict=True)
        return
    with actual.spans() as left, expected.spans() as right:
        yield from _read_ahead(left, right, expected.size, length)


def _read_ahead(left: Read, right: Read, size: int, length: int) -> Iterator[tuple[Values, Values]]:
    """Blocks that another thread reads while the ones before are looked at.

    On two processors this takes two thirds of the time that parts of the arrays take which are
    computed side by side: threads that compute wait for each other between any two steps.
    """
    step = length * _SPAN_TILES

    def read(start: int) -> tuple[Values, Values]:
        count = min(step, size - start)
        return left(start, count), right(start, count)

    def blocks(span: Future[tuple[Values, Values]]) -> Iterator[tuple[Values, Values]]:
        mine, theirs = span.result()
        for start in range(0, len(theirs), length):
            yield mine[start : start + length], theirs[start : start + length]

    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[tuple[Values, Values]]] = deque()
        for start in range(0, size, step):
            waiting.append(pool.submit(read, start))
            if len(waiting) == SPANS_KEPT:
                yield from blocks(waiting.popleft())
        while waiting:
            yield from blocks(waiting.popleft())


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
