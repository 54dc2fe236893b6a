"""Arrays that a library gives in parts: which parts to ask for, and these as blocks in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array

_SLAB_BYTES = 1 << 25
Selection = tuple[Any, ...]


def array_in_slabs(
    dtype: Dtype,
    shape: tuple[int, ...],
    read: Callable[[Selection], Values],
    chunks: tuple[int, ...] | None = None,
) -> Array:
    """An array of which no more than about 32 MiB are in memory at once.

    Args:
        dtype: in this machine's byte order, as `read` gives it.
        read: the values at a selection of places, or of none for an array without dimensions.
        chunks: how the file divides the array, so that each chunk is read once.
    """

    def blocks(length: int) -> Iterator[Values]:
        parts = (
            np.asarray(read(place)).reshape(-1)
            for place in places(shape, dtype.itemsize, chunks, length * dtype.itemsize)
        )
        return regroup(parts, length)

    return Array(dtype, shape, blocks)


def places(
    shape: tuple[int, ...], width: int, chunks: tuple[int, ...] | None, wanted_bytes: int
) -> Iterator[Selection]:
    """Selections that cover an array in order, each with about as many bytes as wanted.

    Args:
        width: bytes of an element.
    """
    width = max(1, width)
    if not shape:
        yield ()
        return
    if 0 in shape:
        return
    axis, row = 0, math.prod(shape[1:]) * width
    while axis < len(shape) - 1 and row > _SLAB_BYTES:
        axis += 1
        row = math.prod(shape[axis + 1 :]) * width
    count = max(1, wanted_bytes // row)
    chunk = chunks[axis] if chunks else 1
    if count % chunk and chunk * row <= _SLAB_BYTES:
        count += chunk - count % chunk
    for outer in np.ndindex(*shape[:axis]):
        for start in range(0, shape[axis], count):
            yield (*outer, slice(start, min(start + count, shape[axis])))


def regroup(parts: Iterator[Values], length: int) -> Iterator[Values]:
    """The same values in blocks of `length`; only the last may be shorter."""
    kept: list[Values] = []
    count = 0
    for part in parts:
        kept.append(part)
        count += len(part)
        if count < length:
            continue
        whole = kept[0] if len(kept) == 1 else np.concatenate(kept)
        end = count - count % length
        for start in range(0, end, length):
            yield whole[start : start + length]
        kept, count = [whole[end:]], count - end
    if count:
        yield kept[0] if len(kept) == 1 else np.concatenate(kept)
