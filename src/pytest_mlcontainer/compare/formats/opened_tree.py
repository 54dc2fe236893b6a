"""What `runs.opening` found in a pickle: a tree of values and its arrays, read from two files.

`tree.jsonl` has a line for each value, `arrays.bin` the arrays in npy form; see
`inside/pickle_reader.py`. Where opening failed there is `failure.json`. A container wrote all of
that, so every line is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Union

import numpy as np

from pytest_mlcontainer.compare.formats.npy import BadArrayError, read_header, stored_array
from pytest_mlcontainer.compare.numeric.dtypes import dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.sources import ComparedFile
from pytest_mlcontainer.compare.trees.items import Leaf, array_of_leaf

TREE, ARRAYS = "tree.jsonl", "arrays.bin"
FAILURE, ABOUT = "failure.json", "about.json"
_SHOWN = 80
_TREE_BYTES = 1 << 28
_LINE_BYTES = 1 << 26
_SMALL_BYTES = 1 << 16
_MOST_ITEMS = 1_000_000
_IN_MEMORY_BYTES = 1 << 16


@dataclass(frozen=True)
class UnseenValue:
    """A value that could not be looked into."""

    reason: str


@dataclass(frozen=True)
class StoredArray:
    """An array in `arrays.bin`. `known_as` is its type, where npy has none for it."""

    offset: int
    size_bytes: int
    known_as: str


HeldValue = Union[None, bool, int, float, complex, str, bytes, Array, StoredArray, UnseenValue]


@dataclass(frozen=True)
class OpenedItem:
    """One value; `holds` is how many there are in it, None for a value without parts."""

    kind: str
    held: HeldValue = None
    holds: int | None = None


@dataclass(frozen=True)
class OpenedPickle:
    """The values of one side's pickle."""

    side: ComparedFile
    arrays: ComparedFile
    items: Mapping[str, OpenedItem]
    cut: bool


def read_opened(side: ComparedFile) -> OpenedPickle:
    folder = side.opened
    if folder is None:
        raise side.unreadable(
            "is a pickle, which is only ever opened inside the project's image, and was not; let "
            "a run write it as an output of its own, or save arrays (npz, safetensors) beside it "
            "and ignore this output in the rules"
        )
    if (folder / FAILURE).exists():
        raise side.unreadable(_reason(folder / FAILURE))
    lines = list(_lines(side, folder / TREE))
    if not lines or lines[-1].get("end") != len(lines) - 1:
        raise side.unreadable("was opened, and what was found in it is cut short; run it again")
    arrays = ComparedFile(side.label, side.name, folder / ARRAYS)
    size = arrays.size_bytes() if (folder / ARRAYS).is_file() else 0
    items: dict[str, OpenedItem] = {}
    for number, line in enumerate(lines[:-1], 1):
        try:
            name = _the(line["n"], str)
            if name in items:
                raise ValueError(f"{name!r} is there twice")
            items[name] = _item(line, size)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise side.unreadable(
                f"was opened, and line {number} of what was found in it is no value "
                f"({type(error).__name__}: {str(error)[:200]})"
            ) from error
    return OpenedPickle(side, arrays, items, bool(lines[-1].get("cut")))


def _reason(file: Path) -> str:
    parts = texts_in(file, "what", "value", "remedy")
    if parts is None:
        return "is a pickle that could not be opened, and why is not known; run it again"
    return "is a pickle that could not be opened: {}: {}; {}".format(*parts)


def texts_in(file: Path, *names: str) -> tuple[str, ...] | None:
    """These texts of a small JSON file; None where they are not there."""
    try:
        with file.open("rb") as stream:
            raw = json.loads(stream.read(_SMALL_BYTES))
        return tuple(_the(raw[name], str) for name in names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _lines(side: ComparedFile, file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a tree, none longer and not more of them than can be right."""
    with ComparedFile(side.label, side.name, file).open() as stream:
        left = _TREE_BYTES
        number = 0
        while line := stream.readline(_LINE_BYTES):
            number += 1
            left -= len(line)
            if not line.endswith(b"\n") or left < 0 or number > _MOST_ITEMS:
                raise side.unreadable(
                    f"was opened, and what was found in it is damaged or too much (line {number})"
                )
            try:
                raw = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise side.unreadable(
                    f"was opened, and line {number} of what was found in it is no JSON"
                ) from error
            if not isinstance(raw, dict):
                raise side.unreadable(
                    f"was opened, and line {number} of what was found in it is no value"
                )
            yield raw


def _item(line: Mapping[str, Any], arrays_bytes: int) -> OpenedItem:
    kind = _the(line["t"], str)
    if "of" in line:
        return OpenedItem(kind, holds=_the(line["of"], int))
    if "v" in line:
        return OpenedItem(kind, _the(line["v"], type(None), bool, int, float, str))
    if "i" in line:
        return OpenedItem(kind, _the(line["i"], str))
    if "b" in line:
        return OpenedItem(kind, bytes.fromhex(_the(line["b"], str)))
    if "c" in line:
        real, imaginary = (float(_the(part, float, int)) for part in _the(line["c"], list))
        return OpenedItem(kind, complex(real, imaginary))
    if "x" in line:
        return OpenedItem(kind, UnseenValue(_the(line["x"], str)))
    if "s" in line:
        return OpenedItem(kind, _texts(_the(line["s"], list), _the(line["d"], list)))
    offset, size, known_as = line["a"]
    stored = StoredArray(_the(offset, int), _the(size, int), _the(known_as, str))
    if not (stored.offset >= 0 and 0 < stored.size_bytes <= arrays_bytes - stored.offset):
        raise ValueError(f"an array at {offset} with {size} bytes, of {arrays_bytes}")
    return OpenedItem(kind, stored)


def _texts(texts: list[Any], shape: list[Any]) -> Array:
    lengths = tuple(_the(length, int) for length in shape)
    if math.prod(lengths) != len(texts) or any(length < 0 for length in lengths):
        raise ValueError(f"{len(texts)} texts of shape {lengths}")
    values = np.empty(len(texts), object)
    values[:] = [_the(text, str, type(None)) for text in texts]
    return array_of(values.reshape(lengths))


def array_of_item(found: OpenedPickle, item: OpenedItem) -> Array:
    """The value as an array; small ones are read at once, as there may be very many.

    Raises:
        UnreadableError: it is no array that can be read.
    """
    held = item.held
    if not isinstance(held, StoredArray):
        assert not isinstance(held, UnseenValue)
        leaf: Leaf = held
        return array_of_leaf(leaf)
    try:
        with _at(found.arrays, held.offset) as stream:
            header = read_header(stream, held.size_bytes)
    except BadArrayError as error:
        raise found.side.unreadable(f"was opened, and an array in it {error}") from error
    array = stored_array(header, partial(_at, found.arrays, held.offset), found.side.unreadable)
    if held.known_as:
        array = _known_as(found.side, array, held.known_as)
    return array_of(array.values()) if held.size_bytes <= _IN_MEMORY_BYTES else array


def _at(side: ComparedFile, offset: int) -> IO[bytes]:
    stream = side.open()
    stream.seek(offset)
    return stream


def _known_as(side: ComparedFile, array: Array, name: str) -> Array:
    """An array of unsigned integers as what it is: bfloat16, float8, …"""
    dtype = dtype_named(name)
    if dtype is None or dtype.itemsize != array.dtype.itemsize:
        raise side.unreadable(f"was opened, and has an array of an unknown type, {name[:_SHOWN]}")

    def blocks(length: int) -> Iterator[Values]:
        for block in array.blocks(length):
            yield block.view(dtype)

    return Array(dtype, array.shape, blocks, array.order)


def _the(value: Any, *kinds: type) -> Any:
    """The value, when it is of one of these types."""
    if type(value) not in kinds:
        raise TypeError(f"{value!r:.100} is not of the right type")
    return value
