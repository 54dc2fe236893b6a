"""MessagePack: as JSON, with bytes, times and arrays: Flax's checkpoints, and msgpack-numpy's.

Arrays are read from the file in blocks. Several values one after another are a list.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Final

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, Named
from pytest_mlcontainer.compare.formats.msgpack_reader import Blob, MsgpackError, MsgpackReader
from pytest_mlcontainer.compare.formats.slabs import regroup
from pytest_mlcontainer.compare.numeric.dtypes import array_at, bad_shape, dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.compare.trees.tree_values import Tagged, step_to
from pytest_mlcontainer.compare.trees.trees import compare_trees
from pytest_mlcontainer.model import Difference

_TIMESTAMP: Final = -1
# flax.serialization._MsgpackExtType
_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_CHUNKED: Final = "__msgpack_chunked_array__"
_OF_NUMPY: Final = {"nd", "type", "shape", "data"}  # msgpack_numpy.encode
_SHORT_BYTES: Final = 1 << 20
_MOST_INSIDE: Final = 10_000
_MOST_PROBED: Final = 1_000_000
_KEY: Final = re.compile(rb"[\x81-\x8f](?:[\xa1-\xbf]|\xd9[\x01-\xff])[A-Za-z_][\x20-\x7e]*")


@dataclass
class _MsgpackContents:
    """What is in one file.

    Args:
        tree: all but arrays and bytes, which are marked in lists.
        leaves: these, by their paths.
    """

    tree: Any = None
    leaves: dict[str, Leaf] = field(default_factory=dict)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, value by value."""
    actual, expected = read_both(pair, _read)
    if actual.leaves or expected.leaves:
        yield from compare_items(pair.name, actual.leaves, expected.leaves, book)
    yield from compare_trees(pair.name, actual.tree, expected.tree, book)


def _read(side: ComparedFile) -> _MsgpackContents:
    size_bytes = side.size_bytes()
    if not size_bytes:
        raise side.unreadable("is empty")
    try:
        with side.open() as stream:
            values = list(MsgpackReader(stream, 0, size_bytes).values())
            values = [_ArraysInMsgpack(side, stream).joined(value) for value in values]
    except (MsgpackError, OSError) as error:
        raise side.unreadable(f"is broken MessagePack: {error}") from error
    found = _MsgpackContents()
    found.tree = _without_arrays(values[0] if len(values) == 1 else values, "", found.leaves)
    return found


class _ArraysInMsgpack:
    """Makes arrays, times and complex numbers of what stands for them."""

    def __init__(self, side: ComparedFile, stream: BinaryIO) -> None:
        self._side, self._stream = side, stream

    def joined(self, value: Any) -> Any:
        """The value with these in it, from the inside out."""
        if isinstance(value, Blob):
            return self._of_blob(value)
        if isinstance(value, Tagged):
            return Tagged(value.tag, self.joined(value.value))
        if isinstance(value, list):
            return [self.joined(each) for each in value] if _may_hold(value) else value
        if isinstance(value, dict):
            found = {key: self.joined(each) for key, each in value.items()}
            if _CHUNKED in found:
                return self._of_chunks(found) or found
            if value.keys() >= _OF_NUMPY and value["nd"] is True:
                return self._of_numpy(value) or found
            return found
        return value

    def _of_blob(self, blob: Blob) -> Any:
        if blob.extension is None:
            return self._raw(blob)
        found: Any = None
        if blob.extension == _TIMESTAMP:
            found = _time(self._bytes(blob))
        elif blob.extension in (_ARRAY, _SCALAR):
            found = self._of_flax(self._inside(blob))
        elif blob.extension == _COMPLEX:
            parts = self._inside(blob)
            if len(parts) == 2 and all(isinstance(part, (int, float)) for part in parts):
                found = complex(*parts)
        return Tagged(f"extension {blob.extension}", self._raw(blob)) if found is None else found

    def _raw(self, blob: Blob) -> bytes | Array:
        """Short bytes as they are, long ones as an array of them that is read in blocks."""
        if blob.size <= _SHORT_BYTES:
            return self._bytes(blob)
        return array_at(self._side.open, blob.offset, np.dtype("V1"), (blob.size,))

    def _bytes(self, blob: Blob) -> bytes:
        self._stream.seek(blob.offset)
        return self._stream.read(blob.size)

    def _inside(self, blob: Blob) -> list[Any]:
        """The list that is inside; empty where something else is."""
        try:
            (value,) = MsgpackReader(
                self._stream, blob.offset, blob.offset + blob.size, _MOST_INSIDE
            ).values()
        except (MsgpackError, ValueError):
            return []
        return value if isinstance(value, list) else []

    def _of_flax(self, parts: list[Any]) -> Array | None:
        """Flax writes shape, name of the dtype, and bytes in C order."""
        if len(parts) != 3 or not isinstance(parts[1], str):
            return None
        return self._array(parts[0], parts[1], parts[2])

    def _of_numpy(self, value: dict[str, Any]) -> Array | None:
        name = value["type"]
        if isinstance(name, Blob):
            name = self._bytes(name).decode("latin-1")
        if not isinstance(name, str) or name.startswith(">"):
            return None
        return self._array(value["shape"], name.lstrip("<|="), value["data"])

    def _array(self, shape: Any, name: str, held: Any) -> Array | None:
        dtype = dtype_named(name)
        if dtype is None or not isinstance(held, Blob) or not _is_shape(shape):
            return None
        if bad_shape(tuple(shape)) or math.prod(shape) * dtype.itemsize != held.size:
            return None
        return array_at(self._side.open, held.offset, dtype, tuple(shape))

    def _of_chunks(self, found: dict[str, Any]) -> Array | None:
        """What Flax cut in pieces, because MessagePack has no bytes of more than 4 GiB."""
        shape, pieces = (_in_order(found.get(name)) for name in ("shape", "chunks"))
        if not pieces or not all(isinstance(piece, Array) for piece in pieces):
            return None
        if not _is_shape(shape) or bad_shape(tuple(shape)):
            return None
        sizes = sum(piece.size for piece in pieces)
        if len({piece.dtype for piece in pieces}) > 1 or sizes != math.prod(shape):
            return None

        def blocks(length: int) -> Iterator[Values]:
            parts = (piece.blocks(length) for piece in pieces)
            return regroup(itertools.chain.from_iterable(parts), length)

        return Array(pieces[0].dtype, tuple(shape), blocks)


def _may_hold(values: list[Any]) -> bool:
    return not set(map(type, values)) <= {int, float, str, bool, type(None)}


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(each) is int and each >= 0 for each in shape)


def _in_order(held: Any) -> list[Any]:
    """A tuple as Flax writes it, a map from "0" on; empty for anything else."""
    if not isinstance(held, dict) or held.keys() != {str(n) for n in range(len(held))}:
        return held if isinstance(held, list) else []
    return [held[str(number)] for number in range(len(held))]


def _time(data: bytes) -> Tagged | None:
    """The text of a timestamp; None for bytes that are none."""
    number = int.from_bytes(data, "big")
    if len(data) == 4:
        seconds, nanoseconds = number, 0
    elif len(data) == 8:
        seconds, nanoseconds = number & ((1 << 34) - 1), number >> 34
    elif len(data) == 12:
        seconds, nanoseconds = int.from_bytes(data[4:], "big", signed=True), number >> 64
    else:
        return None
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, OSError, ValueError):
        text = f"{seconds} s"
    return Tagged("timestamp", f"{text}.{nanoseconds:09}Z")


def _without_arrays(value: Any, path: str, leaves: dict[str, Leaf]) -> Any:
    """The tree without what is compared as leaves, which are added to `leaves`."""
    if isinstance(value, (Array, bytes, complex)):
        leaves[path] = value
        return Tagged("array" if isinstance(value, Array) else type(value).__name__, None)
    if isinstance(value, Tagged):
        return Tagged(value.tag, _without_arrays(value.value, path, leaves))
    if isinstance(value, list):
        if not _may_hold(value):
            return value
        return [_without_arrays(each, f"{path}[{n}]", leaves) for n, each in enumerate(value)]
    if isinstance(value, dict):
        found = {}
        for key, each in value.items():
            inner = f"{path}{step_to(key)}" if path else step_to(key).removeprefix(".")
            kept = _without_arrays(each, inner, leaves)
            if not isinstance(each, (Array, bytes, complex)):
                found[key] = kept
        return found
    return value


def _is_state(side: ComparedFile) -> bool:
    """A map whose first key is a name, and which is a whole file: Flax's `checkpoint_3`."""
    with side.open() as stream:
        head = stream.read(64)
        if not _KEY.match(head):
            return False
        try:
            for _value in MsgpackReader(stream, 0, side.size_bytes(), _MOST_PROBED).values():
                pass
        except MsgpackError:
            return False
    return True


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    found = _read(side).leaves.items()
    yield tuple((name, partial(_held, leaf)) for name, leaf in found if isinstance(leaf, Array))


def _held(array: Array) -> Array:
    return array


FORMAT = Format("MessagePack", compare, _is_state, (".msgpack", ".mpk"), folds=True, arrays=_arrays)
