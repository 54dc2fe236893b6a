"""The heaps in which HDF5 keeps values of variable length, checked before the library reads them.

libhdf5 (seen in 2.0.0) walks a collection object by object without end when an unused object has no
length, which a single damaged byte brings about. It cannot be interrupted, so it must not begin.

Layout: HDF5 File Format Specification 3.0, III.E. "Global Heap".
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_SIGNATURE = b"GCOL\x01\0\0\0"
_HEADER_BYTES = 16
_OBJECT = struct.Struct("<HH4xQ")
_CHUNK_BYTES = 1 << 20
_LARGEST_BYTES = 1 << 30


def damaged_heap(stream: BinaryIO) -> int | None:
    """The offset of a collection that its objects do not fill; None where all are sound."""
    start, kept = 0, b""
    stream.seek(0)
    while chunk := stream.read(_CHUNK_BYTES):
        window = kept + chunk
        place = window.find(_SIGNATURE)
        while place >= 0:
            offset = start - len(kept) + place
            if not _is_sound(stream, offset):
                return offset
            place = window.find(_SIGNATURE, place + 1)
        start += len(chunk)
        stream.seek(start)
        kept = window[-(len(_SIGNATURE) - 1) :]
    return None


def _is_sound(stream: BinaryIO, offset: int) -> bool:
    stream.seek(offset + len(_SIGNATURE))
    size = int.from_bytes(stream.read(8), "little")
    if not _HEADER_BYTES <= size <= _LARGEST_BYTES:
        return False
    data = stream.read(size - _HEADER_BYTES)
    place = 0
    while len(data) - place >= _OBJECT.size:
        number, _count, length = _OBJECT.unpack_from(data, place)
        # The unused rest is object 0, whose length includes its header.
        step = length if number == 0 else _OBJECT.size + (length + 7) // 8 * 8
        if step < _OBJECT.size or step > len(data) - place:
            return False
        place += step
    return True
