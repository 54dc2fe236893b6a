"""The value that a PyTorch file holds → items: tensors as arrays, numbers, text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.inert_pickle import (
    BrokenPickleError,
    Global,
    Persistent,
    PickledCall,
    PickledDict,
)
from pytest_mlcontainer.compare.formats.pickled_arrays import (
    BYTES,
    NAMES,
    array_from,
    bytes_of,
    is_array,
)
from pytest_mlcontainer.compare.formats.torch_archive import STORAGES, Storage, TorchFile
from pytest_mlcontainer.compare.numeric.dtypes import array_at, bad_shape, dtype_named, elements
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.numbers import integers
from pytest_mlcontainer.compare.trees.items import Leaf

_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_TENSOR_OF_DTYPE = "torch._utils._rebuild_tensor_v3"
_PARAMETER = "torch._utils._rebuild_parameter"
_SPARSE = "torch._utils._rebuild_sparse_tensor"
_LAYOUT = "torch.serialization._get_layout"
_MAPPINGS = ("collections.OrderedDict", "collections.Counter")
_SIZE, _DEVICE, _SET, _COMPLEX = "torch.Size", "torch.device", "builtins.set", "builtins.complex"
_DTYPES = tuple(
    f"torch.{name}"
    for name in (
        "float64", "float32", "float16", "bfloat16", "complex64", "complex128", "float8_e4m3fn",
        "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "int64", "int32",
        "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
    )
)  # fmt: skip
KNOWN = frozenset(
    {
        *_TENSORS, _TENSOR_OF_DTYPE, _PARAMETER, _SPARSE, _LAYOUT, *_MAPPINGS, _SIZE, _DEVICE, _SET,
        _COMPLEX, "builtins.frozenset", *_DTYPES, *STORAGES, *NAMES,
    }
)  # fmt: skip
_MOST_ITEMS = 250_000
_DEEPEST = 100
_LONGEST_NAME = 2000
_MOST_BITS = 4096
# A tensor can repeat its storage, and many tensors can share one; a file cannot do so for ever.
_MOST_REPEATED = 1 << 24
_MOST_OVERLAP = 16
_FREE_BYTES = 1 << 28


def leaves(saved: TorchFile, most_items: int = _MOST_ITEMS) -> dict[str, Leaf]:
    """All values in the file, by their paths; a path that comes twice has a number behind it.

    Raises:
        BrokenPickleError: tensors that are not within their storages, or a value that holds itself.
    """
    found: dict[str, Leaf] = {}
    read_bytes = 0
    limit = _FREE_BYTES + _MOST_OVERLAP * saved.side.size_bytes()
    waiting: list[tuple[str, Any, int]] = [("", saved.root, 0)]
    steps = 0
    while waiting:
        name, value, depth = waiting.pop()
        steps += 1
        if steps > most_items or depth > _DEEPEST:
            raise BrokenPickleError("holds too many values, or values that hold themselves")
        inner = _inside(name, value)
        if inner is not None:
            waiting += [(path, each, depth + 1) for path, each in reversed(inner)]
            continue
        leaf = _leaf(saved, value)
        if isinstance(leaf, Array):
            read_bytes += leaf.size * leaf.dtype.itemsize
            if read_bytes > limit:
                raise BrokenPickleError(
                    f"holds tensors of more than {limit} bytes, many times what is in the file"
                )
        found[_unused(name, found)] = leaf
    return found


def _unused(name: str, found: dict[str, Leaf]) -> str:
    """{"a.b": …} and {"a": {"b": …}} have the same path."""
    if name not in found:
        return name
    count = 2
    while f"{name} ({count})" in found:
        count *= 2
    return f"{name} ({count})"


def _inside(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """The values that this one holds, with their paths; None for a leaf."""
    if isinstance(value, PickledDict):
        return [(_path(name, key), each) for key, each in value.pairs]
    if isinstance(value, PickledCall):
        if value.name in _MAPPINGS:
            return [(_path(name, key), each) for key, each in _pairs(value)]
        if value.name == _PARAMETER:
            return [(name, _argument(value, 0))]
        if value.name == _SIZE:
            return [(name, tuple(_argument(value, 0)))]
        if value.name == _SPARSE:
            return _sparse(name, value)
        return None
    if isinstance(value, (list, tuple)) and _numbers(value) is None:
        return [(f"{name}[{index}]"[:_LONGEST_NAME], each) for index, each in enumerate(value)]
    return None


def _pairs(value: PickledCall) -> list[tuple[Any, Any]]:
    pairs: list[tuple[Any, Any]] = []
    for argument in value.arguments:
        if isinstance(argument, PickledDict):
            pairs += argument.pairs
        elif isinstance(argument, list):
            for pair in argument:
                if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                    raise BrokenPickleError(f"holds a {value.name} that is none")
                pairs.append((pair[0], pair[1]))
        else:
            raise BrokenPickleError(f"holds a {value.name} that is none")
    return pairs + value.pairs


def _sparse(name: str, value: PickledCall) -> list[tuple[str, Any]]:
    layout, parts = _argument(value, 0), _argument(value, 1)
    if not isinstance(layout, PickledCall) or not isinstance(parts, tuple):
        raise BrokenPickleError("holds a sparse tensor that is none")
    names = ("indices", "values", "size", "coalesced")
    if layout.arguments != ("torch.sparse_coo",):
        names = ("compressed_indices", "plain_indices", "values", "size")
    layout_text = str(layout.arguments[0])[:100] if layout.arguments else ""
    if len(parts) > len(names):
        raise BrokenPickleError("holds a sparse tensor of unknown layout")
    pairs = [*zip(names, parts, strict=False), ("layout", layout_text)]
    return [(_path(name, part), each) for part, each in pairs]


def _path(name: str, key: Any) -> str:
    if isinstance(key, PickledCall) and is_array(key):
        key = array_from(key).values()
    elif not isinstance(key, (str, bytes, int, float, bool, type(None))):
        if not isinstance(key, tuple) or not all(isinstance(x, (str, int)) for x in key):
            raise BrokenPickleError("holds a mapping whose keys are no text and no numbers")
        key = ",".join(f"{part!s:.100}" for part in key[:20])
    if isinstance(key, int) and key.bit_length() > _MOST_BITS:
        raise BrokenPickleError(f"holds a number of {key.bit_length()} bits as a key")
    step = f"{key!s:.{_LONGEST_NAME}}" or '""'
    return (f"{name}.{step}" if name else step)[:_LONGEST_NAME]


def _leaf(saved: TorchFile, value: Any) -> Leaf:
    if value is None or isinstance(value, (bool, float, str, bytes)):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise BrokenPickleError(f"holds a number of {value.bit_length()} bits")
        return value
    if isinstance(value, (list, tuple)):
        return _numbers(value)
    if isinstance(value, Global):
        return value.name
    if isinstance(value, Persistent):
        storage, dtype = saved.storage(value)
        return _array(saved, storage, dtype, 0, (storage.size_bytes // dtype.itemsize,), (1,))
    assert isinstance(value, PickledCall)
    return _leaf_of_call(saved, value)


def _leaf_of_call(saved: TorchFile, value: PickledCall) -> Leaf:
    if value.name in (*_TENSORS, _TENSOR_OF_DTYPE):
        return _tensor(saved, value)
    if is_array(value):
        try:
            return array_from(value)
        except (TypeError, ValueError) as error:
            raise BrokenPickleError(f"holds a NumPy array that is none ({error})") from error
    if value.name in BYTES:
        return bytes_of(value)
    if value.name == _SET or value.name == "builtins.frozenset":
        return _set(value)
    if value.name == _COMPLEX and all(type(part) is float for part in value.arguments):
        return complex(*value.arguments[:2])
    if value.name == _DEVICE and all(isinstance(part, (str, int)) for part in value.arguments):
        return f"device {':'.join(f'{part!s:.100}' for part in value.arguments)}"
    raise BrokenPickleError(f"holds a {value.name} that is none")


def _set(value: PickledCall) -> str:
    members = [*value.values]
    for argument in value.arguments:
        members += argument if isinstance(argument, (list, tuple)) else []
    if not all(isinstance(each, (str, bytes, int, float)) for each in members):
        raise BrokenPickleError("holds a set of something else than text and numbers")
    if any(isinstance(each, int) and each.bit_length() > _MOST_BITS for each in members):
        raise BrokenPickleError("holds a set of numbers too large to be read")
    return f"{{{', '.join(sorted(set(map(repr, members))))}}}"


def _numbers(values: list[Any] | tuple[Any, ...]) -> Array | None:
    """A list of whole numbers, or of numbers with decimals too, as an array; None for any other."""
    kinds = {type(each) for each in values}
    if kinds == {int}:
        found = integers(list(values))
        return None if found is None else array_of(found)
    if kinds == {float}:
        return array_of(np.array(values, np.float64))
    return None if kinds else array_of(np.empty(0))


def _argument(call: PickledCall, index: int) -> Any:
    if len(call.arguments) <= index:
        raise BrokenPickleError(f"holds a {call.name} with too few arguments")
    return call.arguments[index]


def _tensor(saved: TorchFile, call: PickledCall) -> Array:
    reference, offset = _argument(call, 0), _argument(call, 1)
    size, stride = _counts(_argument(call, 2)), _counts(_argument(call, 3))
    if not isinstance(reference, Persistent) or len(size) != len(stride):
        raise BrokenPickleError("holds a tensor without a storage or with too few strides")
    storage, dtype = saved.storage(reference)
    metadata_at = 6
    if call.name == _TENSOR_OF_DTYPE:
        kind = _argument(call, 6)
        named = dtype_named(kind.name.removeprefix("torch.")) if isinstance(kind, Global) else None
        if named is None or not isinstance(kind, Global) or kind.name not in _DTYPES:
            raise BrokenPickleError("holds a tensor of a dtype that cannot be compared")
        dtype, metadata_at = named, 7
    metadata = call.arguments[metadata_at] if len(call.arguments) > metadata_at else None
    if isinstance(metadata, PickledDict) and any(
        each is not False for _key, each in metadata.pairs
    ):
        raise BrokenPickleError(
            "holds a tensor that is conjugated or negated lazily; save tensor.resolve_conj()"
        )
    (start,) = _counts((offset,))
    return _array(saved, storage, dtype, start, size, stride)


def _counts(value: Any) -> tuple[int, ...]:
    if isinstance(value, PickledCall) and value.name == _SIZE:
        value = _argument(value, 0)
    if not isinstance(value, tuple) or not all(type(each) is int for each in value):
        raise BrokenPickleError("holds a tensor whose size, stride or offset are no whole numbers")
    if not all(0 <= each < 2**62 for each in value):
        raise BrokenPickleError(f"holds a tensor whose size, stride or offset is {value!s:.100}")
    return value


def _array(
    saved: TorchFile,
    storage: Storage,
    dtype: Dtype,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
) -> Array:
    """A view of a storage, which it must not leave; counted in elements, as PyTorch does."""
    reason = bad_shape(shape)
    if reason:
        raise BrokenPickleError(f"holds a tensor that {reason}")
    count, there = math.prod(shape), storage.size_bytes // dtype.itemsize
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if not count:
        return array_of(np.empty(shape, dtype))
    if last >= there:
        raise BrokenPickleError(
            f"holds a tensor {shape} that ends at element {last} of the storage "
            f"{storage.key!r:.100}, which has {there}"
        )
    if count > max(_MOST_REPEATED, there):
        raise BrokenPickleError(f"holds a tensor {shape} of a storage with {there} elements")
    start = storage.offset + offset * dtype.itemsize
    opener = partial(saved.open, storage)
    if _is_dense(shape, stride):
        return array_at(opener, start, dtype, shape, big_endian=saved.big_endian)
    if _is_dense(shape[::-1], stride[::-1]):
        return array_at(opener, start, dtype, shape, big_endian=saved.big_endian, order="F")

    def blocks(length: int) -> Iterator[Values]:
        raw = np.dtype(f"V{dtype.itemsize}")
        with opener() as stream:
            span = np.memmap(stream, raw, "r", start, (last - offset + 1,))
            steps = tuple(step * raw.itemsize for step in stride)
            view = np.lib.stride_tricks.as_strided(span, shape, steps, writeable=False)
            flat = view.flat
            for begin in range(0, count, length):
                yield elements(flat[begin : begin + length].tobytes(), dtype, saved.big_endian)

    return Array(dtype, shape, blocks)


def _is_dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether elements lie in the order of their indices; a dimension of 1 has no stride."""
    wanted = 1
    for length, step in zip(reversed(shape), reversed(stride), strict=True):
        if length != 1 and step != wanted:
            return False
        wanted *= length
    return True
