"""Reads elements from anywhere in a file, ahead of those that are being compared.

The file is not mapped: a mapped file that becomes shorter ends the process with a signal, while a
read that gets too little is an ordinary error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import cycle

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import SPANS_KEPT, Read


@contextmanager
def file_spans(
    open_file: Callable[[], BufferedReader],
    offset: int,
    dtype: Dtype,
    unreadable: Callable[[str], Exception],
) -> Iterator[Read]:
    """Elements that lie one after the other in a file.

    Args:
        offset: of the first, in bytes.
        dtype: as the file has it; what is read is in this machine's byte order.
        unreadable: makes the exception for a reason, when less is there than was promised.
    """
    native = dtype.newbyteorder("=")
    buffers = cycle([bytearray() for _ in range(SPANS_KEPT)])

    def read(start: int, count: int) -> Values:
        size_bytes = count * dtype.itemsize
        buffer = next(buffers)
        if len(buffer) < size_bytes:
            buffer.extend(bytes(size_bytes - len(buffer)))
        view = memoryview(buffer)[:size_bytes]
        done = 0
        while done < size_bytes:
            place = offset + start * dtype.itemsize + done
            found = os.preadv(number, [view[done:]], place)
            if not found:
                missing = size_bytes - done
                raise unreadable(f"became shorter while it was read: {missing} bytes are missing")
            done += found
        values = np.frombuffer(buffer, dtype, count)
        return values if dtype == native else values.astype(native)

    with open_file() as file:
        number = file.fileno()
        yield read


def can_be_read_anywhere() -> bool:
    """Whether this system reads from a place of a file into memory that is there."""
    return hasattr(os, "preadv")
