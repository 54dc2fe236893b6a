"""NumPy's `.npy`. The header is read here, within limits; no pickle is ever loaded.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from pytest_mlcontainer.compare.formats.kind import Format, Named, begins
from pytest_mlcontainer.compare.numeric.dtypes import void_note
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, Order
from pytest_mlcontainer.compare.numeric.spans import can_be_read_anywhere, file_spans
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import WRONG_BYTES, ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference

MAGIC = b"\x93NUMPY"
_HEADER_LIMIT_BYTES = 1 << 16
_ITEM_LIMIT_BYTES = 1 << 26


class BadArrayError(Exception):
    """Bytes that are no readable array; `str()` is the reason, to follow the file's name."""


class PickledError(BadArrayError):
    """An array of Python objects, which only unpickling could read."""


@dataclass(frozen=True)
class Header:
    dtype: Dtype
    shape: tuple[int, ...]
    order: Order
    offset: int


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files of one array each."""
    actual, expected = read_both(pair, _open_array)
    place = ItemLocation(pair.name, note=void_note(expected.dtype))
    yield from compare_arrays(place, actual, expected, book)


def _open_array(side: ComparedFile) -> Array:
    try:
        with side.open() as stream:
            header = read_header(stream, side.size_bytes())
    except BadArrayError as error:
        raise side.unreadable(str(error)) from error
    array = stored_array(header, side.open, side.unreadable)
    if not can_be_read_anywhere():
        return array
    spans = partial(file_spans, side.open, header.offset, header.dtype, side.unreadable)
    return replace(array, spans=spans)


def read_header(stream: IO[bytes], size_bytes: int) -> Header:
    """What the array is, checked against the size that its file really has.

    Raises:
        BadArrayError: not an npy file, or truncated, or with more than one array in it.
        PickledError: an object array.
    """
    start = stream.read(8)
    if not start.startswith(MAGIC):
        what = "is empty" if not size_bytes else f"is not an npy file (it begins with {start!r})"
        raise BadArrayError(what)
    if len(start) < 8:
        raise BadArrayError("is truncated within its npy header")
    width, code, encoding = (2, "<H", "latin1") if start[6] == 1 else (4, "<I", "utf-8")
    length_bytes = stream.read(width)
    if start[6] not in (1, 2, 3) or len(length_bytes) < width:
        raise BadArrayError(f"has an npy header of unknown version {start[6]}, or is truncated")
    (length,) = struct.unpack(code, length_bytes)
    if length > _HEADER_LIMIT_BYTES:
        raise BadArrayError(f"has an npy header of {length} bytes, more than can be trusted")
    text = stream.read(length)
    if len(text) < length:
        raise BadArrayError("is truncated within its npy header")
    dtype, shape, order = _parse_header(text, encoding)
    header = Header(dtype, shape, order, 8 + width + length)
    _check(header, size_bytes)
    return header


def stored_array(
    header: Header,
    open_stream: Callable[[], AbstractContextManager[IO[bytes]]],
    unreadable: Callable[[str], Exception],
) -> Array:
    """The array behind a header, read from a fresh stream each time it is asked for.

    Args:
        open_stream: gives the bytes of the npy file from its start.
        unreadable: makes the exception for a reason, when reading finds less than was promised.
    """
    native = header.dtype.newbyteorder("=")
    count, width = math.prod(header.shape), header.dtype.itemsize

    def blocks(length: int) -> Iterator[Values]:
        left = count if width else 0
        if not left:
            return
        with open_stream() as stream:
            _skip(stream, header.offset)
            while left:
                take = min(length, left)
                data = stream.read(take * width)
                if len(data) < take * width:
                    raise unreadable(f"is truncated: {left * width - len(data)} bytes are missing")
                block = np.frombuffer(data, header.dtype)
                yield block if header.dtype == native else block.astype(native)
                left -= take

    return Array(native, header.shape, blocks, header.order)


def _skip(stream: IO[bytes], count: int) -> None:
    while count and (data := stream.read(min(count, 1 << 20))):
        count -= len(data)


def _parse_header(text: bytes, encoding: str) -> tuple[Dtype, tuple[int, ...], Order]:
    try:
        fields = ast.literal_eval(text.decode(encoding).strip())
        dtype = npy_format.descr_to_dtype(fields["descr"])
        shape, fortran = fields["shape"], fields["fortran_order"]
        whole = all(type(length) is int and length >= 0 for length in shape)
        if not isinstance(shape, tuple) or not whole or not isinstance(fortran, bool):
            raise ValueError(f"shape {shape!r}, fortran_order {fortran!r}")
    except WRONG_BYTES as error:
        raise BadArrayError(f"has a broken npy header ({str(error)[:200]})") from error
    return dtype, shape, "F" if fortran and len(shape) > 1 else "C"


def _check(header: Header, size_bytes: int) -> None:
    dtype = header.dtype
    if dtype.hasobject:
        raise PickledError(
            "holds Python objects, which can only be read by unpickling, and pickles are never "
            "loaded here; save arrays of numbers or text instead"
        )
    if dtype.type in (np.longdouble, np.clongdouble) and dtype.itemsize > 8 * (
        1 + (dtype.kind == "c")
    ):
        raise BadArrayError(
            f"holds {dtype.name}, whose layout depends on the machine (80 bits on amd64, 128 on "
            "arm64); save float64 instead"
        )
    # NumPy 1 lets the size of a very wide dtype overflow.
    if not 0 <= dtype.itemsize <= _ITEM_LIMIT_BYTES:
        raise BadArrayError(f"has elements of {dtype.itemsize} bytes each, which cannot be right")
    there = size_bytes - header.offset
    promised = math.prod(header.shape) * dtype.itemsize
    if there < promised:
        raise BadArrayError(
            f"is truncated: its header promises {promised} bytes of {dtype} {header.shape}, "
            f"{there} are there"
        )
    if there > promised:
        raise BadArrayError(f"has {there - promised} bytes after its array")


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    yield (("", partial(_open_array, side)),)


FORMAT = Format("npy", compare, lambda side: begins(side, MAGIC), (".npy",), arrays=_arrays)
