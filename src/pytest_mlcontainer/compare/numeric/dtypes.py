"""Element types that NumPy alone does not know, and arrays of any type that lie in a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import ml_dtypes
import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, Order

# An index has to fit NumPy's, in every version that is supported.
MOST_DIMENSIONS = 32
_LARGEST_DIMENSION = 2**62


def dtype_named(name: str) -> Dtype | None:
    """`float32`, `bfloat16`, `float8_e4m3fn`, …; None for what this machine's packages lack."""
    extra = getattr(ml_dtypes, name, None)
    if isinstance(extra, type) and issubclass(extra, np.generic):
        return np.dtype(extra)
    try:
        found = np.dtype(name)
    except TypeError:
        return None
    return None if found.hasobject else found


def void_note(dtype: Dtype) -> str:
    """What to know of an npy array without a type: NumPy writes bfloat16 and float8 that way."""
    if dtype.kind != "V" or dtype.names or dtype.itemsize not in (1, 2) or dtype.isbuiltin == 2:
        return ""
    was = "bfloat16" if dtype.itemsize == 2 else "float8 or int4"
    return (
        f"compared as bytes: the file says {dtype.itemsize}-byte void, which NumPy writes for "
        f"{was}; to have a tolerance, save float32 or safetensors"
    )


def bad_shape(shape: tuple[int, ...]) -> str:
    """Why no array can have this shape; "" for one that can."""
    if len(shape) > MOST_DIMENSIONS:
        return f"has {len(shape)} dimensions, more than the {MOST_DIMENSIONS} that can be compared"
    if not all(0 <= length <= _LARGEST_DIMENSION for length in shape):
        return f"has a shape that no array has: {shape!s:.200}"
    return ""


def array_at(
    open_stream: Callable[[], AbstractContextManager[BinaryIO]],
    offset: int,
    dtype: Dtype,
    shape: tuple[int, ...],
    *,
    big_endian: bool = False,
    order: Order = "C",
) -> Array:
    """An array whose elements lie one after the other in a file, read when it is asked for.

    Args:
        open_stream: gives the file, which has been found long enough.
        offset: of the first element, in bytes.
        dtype: in this machine's byte order, whatever the file's is.
    """
    count, width = math.prod(shape), dtype.itemsize

    def blocks(length: int) -> Iterator[Values]:
        left = count
        if not left:
            return
        with open_stream() as stream:
            stream.seek(offset)
            while left:
                take = min(length, left)
                data = stream.read(take * width)
                if len(data) < take * width:
                    raise EOFError("the file became shorter while it was read")
                yield elements(data, dtype, big_endian)
                left -= take

    return Array(dtype, shape, blocks, order)


def elements(data: bytes, dtype: Dtype, big_endian: bool = False) -> Values:
    """Bytes as elements; any byte but 0 is true."""
    if dtype.kind == "b":
        return np.asarray(np.frombuffer(data, np.uint8) != 0)
    # Types from ml_dtypes have no byte order of their own, so it is changed before.
    part = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    raw = np.frombuffer(data, f"{'>' if big_endian else '<'}u{part}")
    return raw.astype(f"=u{part}", copy=False).view(dtype)
