"""safetensors: a length, a JSON header, the tensors' bytes. Read here, within the format's limits.

Format: https://huggingface.co/docs/safetensors

Each tensor is an item, and so is each text in `__metadata__`, as `__metadata__.KEY`; what says
where the file comes from (`format: pt`, dates, versions) is no drift.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_mlcontainer.compare.formats.json_text import unique_keys
from pytest_mlcontainer.compare.formats.kind import Format, Named
from pytest_mlcontainer.compare.formats.metadata import compare_metadata
from pytest_mlcontainer.compare.numeric.dtypes import array_at, bad_shape, dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Dtype
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.numeric.spans import can_be_read_anywhere, file_spans
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference, Verdict

_LENGTH_BYTES = 8
_HEADER_LIMIT_BYTES = 100_000_000
_METADATA = "__metadata__"
_DTYPES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


class _BadHeaderError(Exception):
    """`str()` is the reason, to follow the file's name."""


@dataclass(frozen=True)
class _Tensor:
    dtype: Dtype
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class _SafetensorsFile:
    """One side. `tensors` are by name, in the order of their bytes."""

    side: ComparedFile
    tensors: Mapping[str, _Tensor]
    metadata: Mapping[str, str]

    def noted(self) -> dict[str, str]:
        return {f"{_METADATA}.{key}": text for key, text in self.metadata.items()}

    def items(self) -> dict[str, Leaf]:
        return {name: _array(self.side, tensor) for name, tensor in self.tensors.items()}


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, tensor by tensor."""
    actual, expected = read_both(pair, _read)
    yield from compare_metadata(pair.name, actual.noted(), expected.noted(), book)
    yield from compare_items(pair.name, actual.items(), expected.items(), book)
    if not actual.tensors and not expected.tensors:
        yield Difference(pair.name, "", Verdict.IDENTICAL, note="no tensors on either side")


def _array(side: ComparedFile, tensor: _Tensor) -> Array:
    array = array_at(side.open, tensor.start, tensor.dtype, tensor.shape)
    little = tensor.dtype.newbyteorder("<")
    if tensor.dtype.kind == "b" or not can_be_read_anywhere() or little != tensor.dtype:
        return array
    spans = partial(file_spans, side.open, tensor.start, tensor.dtype, side.unreadable)
    return replace(array, spans=spans)


def _read(side: ComparedFile) -> _SafetensorsFile:
    try:
        header, start = _read_header(side)
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
            raise _BadHeaderError(f"has a broken header: {_METADATA} is not a mapping of texts")
        found = [(name, _parse(name, entry, start)) for name, entry in header.items()]
    except _BadHeaderError as error:
        raise side.unreadable(str(error)) from error
    found.sort(key=lambda each: (each[1].start, each[1].end))
    reason = _misplaced(found, start, side.size_bytes())
    if reason:
        raise side.unreadable(reason)
    return _SafetensorsFile(side, dict(found), metadata)


def _read_header(side: ComparedFile) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors' bytes begin."""
    size_bytes = side.size_bytes()
    with side.open() as stream:
        prefix = stream.read(_LENGTH_BYTES)
        if len(prefix) < _LENGTH_BYTES:
            what = "is truncated within the length of its header" if prefix else "is empty"
            raise _BadHeaderError(what)
        length = int.from_bytes(prefix, "little")
        if length > _HEADER_LIMIT_BYTES:
            raise _BadHeaderError(
                f"promises a header of {length} bytes; the format allows {_HEADER_LIMIT_BYTES}, "
                "so it is no safetensors file or is damaged"
            )
        if _LENGTH_BYTES + length > size_bytes:
            raise _BadHeaderError(
                f"is truncated: it promises a header of {length} bytes, "
                f"{size_bytes - _LENGTH_BYTES} are there"
            )
        text = stream.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise _BadHeaderError(f"has a broken header ({str(error)[:200]})") from error
    if not isinstance(header, dict):
        raise _BadHeaderError("has a broken header: it is not a JSON object")
    return header, _LENGTH_BYTES + length


def _parse(name: str, entry: Any, start: int) -> _Tensor:
    """One entry of the header, its offsets counted from the file's start."""
    where = f"has a broken header: tensor {name!r:.100}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _BadHeaderError(f"{where} has to have dtype, shape and data_offsets, and only these")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype = dtype_named(_DTYPES[code]) if isinstance(code, str) and code in _DTYPES else None
    if dtype is None:
        raise _BadHeaderError(
            f"holds tensor {name!r:.100} of dtype {code!r:.100}, which cannot be compared; "
            f"known are {', '.join(_DTYPES)}"
        )
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise _BadHeaderError(f"{where} has shape {shape!r:.100} and offsets {offsets!r:.100}")
    reason = bad_shape(tuple(shape))
    if reason:
        raise _BadHeaderError(f"{where} {reason}")
    needed = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != needed:
        raise _BadHeaderError(
            f"{where}, {code} {tuple(shape)}, needs {needed} bytes and has the offsets "
            f"{offsets[0]} to {offsets[1]}"
        )
    return _Tensor(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)


def _misplaced(found: list[tuple[str, _Tensor]], start: int, size_bytes: int) -> str:
    """Why the tensors do not fill the file from `start` to its end; "" if they do."""
    end = start
    for name, tensor in found:
        if tensor.start != end:
            what = "overlaps the one before" if tensor.start < end else "leaves a hole before it"
            return f"has a broken header: tensor {name!r:.100} {what}"
        end = tensor.end
    if end > size_bytes:
        return f"is truncated: its header promises {end} bytes, {size_bytes} are there"
    if end < size_bytes:
        return f"has {size_bytes - end} bytes after its tensors"
    return ""


def _is_safetensors(side: ComparedFile) -> bool:
    """A plausible length, then the start of a JSON object: `{"` or `{}`."""
    with side.open() as stream:
        start = stream.read(_LENGTH_BYTES + 2)
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    plausible = 2 <= length <= min(_HEADER_LIMIT_BYTES, side.size_bytes() - _LENGTH_BYTES)
    return plausible and start[_LENGTH_BYTES:] in (b'{"', b"{}")


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    yield tuple(
        (name, partial(_array, side, tensor)) for name, tensor in _read(side).tensors.items()
    )


FORMAT = Format("safetensors", compare, _is_safetensors, (".safetensors",), arrays=_arrays)
