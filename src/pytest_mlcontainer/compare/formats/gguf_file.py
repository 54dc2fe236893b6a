"""GGUF, llama.cpp's models: tensors by name, and the metadata by key, `metadata.llama.block_count`.

Quantised tensors are compared as the float32 numbers that a runtime makes of them, and in which way
they are quantised as `NAME@type`. Where in the file a tensor lies does not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, Named, begins, need
from pytest_mlcontainer.compare.formats.metadata import compare_metadata
from pytest_mlcontainer.compare.formats.slabs import regroup
from pytest_mlcontainer.compare.numeric.dtypes import array_at, bad_shape, dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

_NUMBERS: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
}
# What says how the file is laid out.
_LAYOUT: Final = frozenset(
    {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.alignment"}
)
_STEP_BYTES: Final = 1 << 20


@dataclass
class _Gguf:
    """What is in one file.

    Args:
        types: of the tensors, as `Q4_0`.
        about: metadata that is text.
        leaves: the other metadata.
    """

    tensors: dict[str, Array] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two models, tensor by tensor."""
    actual, expected = read_both(pair, _read)
    yield from compare_metadata(pair.name, actual.about, expected.about, book)
    sides = [
        {**own.leaves, **own.tensors, **_types(own, other)}
        for own, other in ((actual, expected), (expected, actual))
    ]
    yield from compare_items(pair.name, sides[0], sides[1], book)


def _types(own: _Gguf, other: _Gguf) -> dict[str, Leaf]:
    """How tensors of both are quantised; of numbers alone, their dtype says so."""
    return {
        f"{name}@type": kind
        for name, kind in own.types.items()
        if name in other.types and not {kind, other.types[name]} <= _NUMBERS.keys()
    }


def _read(side: ComparedFile) -> _Gguf:
    gguf = need(side, "gguf", "gguf")
    try:
        reader = gguf.GGUFReader(side.path)
        found = _Gguf()
        for key, entry in reader.fields.items():
            if key not in _LAYOUT:
                value = _value(gguf, entry)
                into: dict[str, Any] = found.about if isinstance(value, str) else found.leaves
                into[f"metadata.{key}"] = value
        for tensor in reader.tensors:
            found.types[tensor.name] = tensor.tensor_type.name
            found.tensors[tensor.name] = _tensor(gguf, side, tensor, reader.byte_order == "S")
    except Exception as error:  # of many kinds: the library checks little of what it reads
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise side.unreadable(
            f"cannot be read as GGUF, it is damaged or truncated ({reason})"
        ) from error
    return found


def _value(gguf: Any, entry: Any) -> Leaf:
    """A field of the header: text, a number, or an array of either."""
    kinds = gguf.GGUFValueType
    parts = [entry.parts[index] for index in entry.data]
    if entry.types[-1] is kinds.STRING:
        texts = [bytes(part).decode("utf-8", "backslashreplace") for part in parts]
        if entry.types[0] is kinds.STRING:
            return texts[0]
        return array_of(np.array(texts, object))
    if entry.types[0] is kinds.ARRAY:
        return array_of(np.concatenate(parts) if parts else np.empty(0))
    return array_of(np.asarray(parts[0][0]))


def _tensor(gguf: Any, side: ComparedFile, tensor: Any, is_swapped: bool) -> Array:
    shape = tuple(int(length) for length in reversed(tensor.shape.tolist()))
    reason = bad_shape(shape)
    if reason:
        raise ValueError(f"tensor {tensor.name!r:.100} {reason}")
    offset, kind = int(tensor.data_offset), tensor.tensor_type
    block, width = gguf.GGML_QUANT_SIZES[kind]
    size_bytes = math.prod(shape) // block * width
    if math.prod(shape) % block or offset + size_bytes > side.size_bytes():
        raise ValueError(f"tensor {tensor.name!r:.100} is not within the file")
    if kind.name in _NUMBERS:
        dtype = dtype_named(_NUMBERS[kind.name])
        assert dtype is not None
        return array_at(side.open, offset, dtype, shape, big_endian=is_swapped)
    if not _can_unpack(gguf, kind, width) or is_swapped:
        return array_at(side.open, offset, np.dtype("V1"), (size_bytes,))

    def blocks(length: int) -> Iterator[Values]:
        return regroup(_unpacked(gguf, side, kind, (offset, size_bytes)), length)

    return Array(np.dtype(np.float32), shape, blocks)


def _can_unpack(gguf: Any, kind: Any, width: int) -> bool:
    try:
        gguf.quants.dequantize(np.zeros((1, width), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _unpacked(gguf: Any, side: ComparedFile, kind: Any, place: tuple[int, int]) -> Iterator[Values]:
    """The numbers of a quantised tensor, from where it lies: offset and size in bytes."""
    _block, width = gguf.GGML_QUANT_SIZES[kind]
    left = place[1]
    step = max(1, _STEP_BYTES // width) * width
    with side.open() as stream:
        stream.seek(place[0])
        while left:
            data = stream.read(min(step, left))
            if len(data) % width or not data:
                raise EOFError("the file became shorter while it was read")
            raw = np.frombuffer(data, np.uint8).reshape(-1, width)
            with np.errstate(all="ignore"):
                yield np.asarray(gguf.quants.dequantize(raw, kind), np.float32).reshape(-1)
            left -= len(data)


def _held(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    found = _read(side).tensors.items()
    yield tuple((name, partial(_held, array)) for name, array in found)


FORMAT = Format(
    "GGUF", compare, lambda side: begins(side, b"GGUF"), (".gguf",), folds=True, arrays=_arrays
)
