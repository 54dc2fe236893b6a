"""Arrow's arrays as columns: of its own formats, and of Parquet.

Columns are items; a struct's fields are `column.field`, and lists are compared element by element.
A dictionary counts by its values, and how wide the offsets of strings and lists are does not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.sources import ComparedFile, UnreadableError
from pytest_mlcontainer.compare.tables.columns import (
    Column,
    ColumnChunk,
    objects,
    shorten,
    unique_names,
)

_LIST = -1
_DEEPEST = 64


@dataclass(frozen=True)
class FlatColumn:
    """A column of a table whose structs are taken apart into columns of their own.

    Args:
        steps: how to get there from the table's own column: the position of a struct's field, or
            `_LIST` for the elements of a list.
        type: Arrow's type of the values, a dictionary's values included.
    """

    name: str
    type: Any
    steps: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        return self.steps.count(_LIST)

    @property
    def text(self) -> str:
        """The type as it counts."""
        return "list<" * self.depth + type_text(self.type) + ">" * self.depth


def leaves_of(pa: Any, name: str, type: Any) -> list[FlatColumn]:
    """The columns without structs that one of this type consists of, in their order."""
    found: list[FlatColumn] = []
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [(name, type, ())]
    while waiting:
        name, type, steps = waiting.pop()
        type = plain_type(pa, type)
        if len(steps) >= _DEEPEST:
            found.append(FlatColumn(name, type, steps))
        elif pa.types.is_struct(type) and type.num_fields:
            fields = [type.field(place) for place in range(type.num_fields)]
            names = unique_names([field.name for field in fields])
            inner = [
                (f"{name}.{field}", fields[place].type, (*steps, place))
                for place, field in enumerate(names)
            ]
            waiting += reversed(inner)
        elif is_list(pa, type):
            waiting.append((name, element_type(pa, type), (*steps, _LIST)))
        else:
            found.append(FlatColumn(name, type, steps))
    return found


def plain_type(pa: Any, type: Any) -> Any:
    """What the values are, however they are kept."""
    while True:
        if pa.types.is_dictionary(type) or pa.types.is_run_end_encoded(type):
            type = type.value_type
        elif isinstance(type, pa.BaseExtensionType):
            type = type.storage_type
        else:
            return type


def is_list(pa: Any, type: Any) -> bool:
    names = ("list", "large_list", "fixed_size_list", "map", "list_view", "large_list_view")
    checks = (getattr(pa.types, f"is_{name}", None) for name in names)
    return any(check is not None and check(type) for check in checks)


def element_type(pa: Any, type: Any) -> Any:
    if pa.types.is_map(type):
        return pa.struct([("key", type.key_type), ("value", type.item_type)])
    return type.value_type


def type_text(type: Any) -> str:
    """The type by name; how wide its offsets are does not count."""
    text = str(type)
    return {
        "large_string": "string",
        "string_view": "string",
        "large_binary": "binary",
        "binary_view": "binary",
    }.get(text, text)


def dtype_of(pa: Any, type: Any) -> Dtype:
    """NumPy's dtype for values of this type; that of objects where it has none."""
    is_time = pa.types.is_timestamp(type) or pa.types.is_date(type)
    if is_time or pa.types.is_time(type) or pa.types.is_duration(type):
        unit = "D" if str(type) == "date32[day]" else getattr(type, "unit", "ms")
        return np.dtype(f"{'M' if is_time else 'm'}8[{unit}]")
    if pa.types.is_null(type):
        return np.dtype(bool)
    if pa.types.is_boolean(type) or pa.types.is_integer(type) or pa.types.is_floating(type):
        found: Dtype = np.dtype(type.to_pandas_dtype())
        return found
    return np.dtype(object)


def part_of(pa: Any, array: Any, leaf: FlatColumn) -> ColumnChunk:
    """The leaf's cells in one array of the column that it belongs to."""
    lengths: list[Values] = []
    missing: Values | None = None
    for depth, step in enumerate(leaf.steps):
        array = _unpacked(pa, array)
        if step == _LIST:
            lengths.append(_lengths(pa, array, missing))
            array, missing = array.flatten(), None
            continue
        missing = _note_missing(array, missing, depth + 2)
        fields = array.flatten()
        array = fields[step if len(fields) > 1 else 0]
    values, nulls = _values(pa, array)
    if nulls is not None:
        missing = nulls if missing is None else np.where(missing > 0, missing, nulls)
    return ColumnChunk(values, missing, tuple(lengths))


def column_of_leaf(
    side: ComparedFile,
    pa: Any,
    leaf: FlatColumn,
    rows: int,
    misses: bool,
    arrays: Callable[[int], Iterator[Any]],
) -> Column:
    """A column whose arrays are read anew each time.

    Args:
        arrays: given a number of rows, arrays of the table's own column.
    """

    def parts(length: int) -> Iterator[ColumnChunk]:
        for array in arrays(length):
            part = part_of(pa, array, leaf)
            if part.missing is not None and not misses:
                raise side.unreadable(f"is damaged: {leaf.name!r} has nulls that it denies to have")
            yield part

    return Column(leaf.text, dtype_of(pa, leaf.type), parts, rows, leaf.depth, misses)


def _unpacked(pa: Any, array: Any) -> Any:
    """Without dictionary, run ends or extension; a map as the list that it is."""
    while True:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(array.type):
            array = pa.compute.run_end_decode(array)
        elif isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_map(array.type):
            array = array.cast(pa.list_(element_type(pa, array.type)))
        else:
            return array


def _lengths(pa: Any, array: Any, missing: Values | None) -> Values:
    lengths = pa.compute.list_value_length(array)
    found = lengths.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if missing is not None:
        found = np.where(missing > 0, -missing.astype(np.int64), found)
    return np.asarray(found)


def _note_missing(array: Any, missing: Values | None, code: int) -> Values | None:
    if not array.null_count:
        return missing
    nulls = _nulls(array) * np.uint8(code)
    return nulls if missing is None else np.where(missing > 0, missing, nulls)


def _nulls(array: Any) -> Values:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False)).astype(np.uint8)


def _values(pa: Any, array: Any) -> tuple[Values, Values | None]:
    """Values, and 1 where they are null; None if none is."""
    while isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        return _values(pa, pa.compute.run_end_decode(array))
    if pa.types.is_dictionary(array.type):
        return _looked_up(pa, array)
    nulls = _nulls(array) if array.null_count else None
    dtype = dtype_of(pa, array.type)
    if pa.types.is_null(array.type):
        return np.zeros(len(array), bool), np.ones(len(array), np.uint8)
    if pa.types.is_boolean(array.type):
        filled = array.fill_null(False) if nulls is not None else array
        return np.asarray(filled.to_numpy(zero_copy_only=False)), nulls
    if not dtype.hasobject:
        return _raw(array, dtype), nulls
    texts = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    if array.type in texts or type_text(array.type) in ("string", "binary"):
        return _looked_up(pa, array.dictionary_encode())
    return objects([_plain(value) for value in array.to_pylist()]), nulls


def _raw(array: Any, dtype: Dtype) -> Values:
    """The array's own memory, whatever stands where a value is null."""
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros(len(array), dtype)
    width = array.type.bit_width // 8
    stored = np.dtype(f"i{width}") if dtype.kind in "mM" else dtype
    found = np.frombuffer(buffer, stored, len(array), array.offset * width)
    if dtype.kind not in "mM":
        return found
    return found.astype(np.int64, copy=False).view(dtype)


def _looked_up(pa: Any, array: Any) -> tuple[Values, Values | None]:
    """A dictionary's values at its indices, each of them made once."""
    values, absent = _dictionary(pa, array.dictionary)
    indices = array.indices
    nulls = _nulls(indices) if indices.null_count else None
    places = _raw(indices, np.dtype(indices.type.to_pandas_dtype()))
    if nulls is not None:
        places = np.where(nulls > 0, 0, places)
    real = places if nulls is None else places[nulls == 0]
    if len(real) and (real.min() < 0 or real.max() >= len(values)):
        raise pa.ArrowInvalid(f"an index outside its dictionary of {len(values)}")
    if not len(values):
        return np.zeros(len(array), values.dtype), nulls
    if absent is not None:
        mask = absent[places]
        nulls = mask if nulls is None else np.maximum(nulls, mask)
    return values[places], nulls


def _dictionary(pa: Any, array: Any) -> tuple[Values, Values | None]:
    if type_text(array.type) not in ("string", "binary"):
        return _values(pa, array)
    nulls = _nulls(array) if array.null_count else None
    try:
        values = array.to_pylist()
    except UnicodeDecodeError:
        values = array.cast(pa.large_binary()).to_pylist()
        values = [
            None if value is None else value.decode("utf-8", "surrogateescape") for value in values
        ]
    return objects([None if value is None else shorten(value) for value in values]), nulls


def _plain(value: object) -> object:
    """Something to compare and to show, for types without a dtype: decimals, unions."""
    if isinstance(value, (list, dict)):
        return shorten(repr(value))
    if isinstance(value, str):
        return shorten(value)
    return shorten(value) if isinstance(value, bytes) else value


def damaged(side: ComparedFile, error: BaseException) -> UnreadableError:
    """What Arrow says, in one line.

    Raises:
        MemoryError: there was none left, which may be the file's fault or that of the limit.
    """
    if isinstance(error, MemoryError):
        raise error
    said = " ".join(str(error).split())
    return side.unreadable(f"cannot be read, it is damaged or truncated ({said:.200})")


_OWN_NOTES = (b"ARROW:", b"PARQUET:", b"org.apache.")


def metadata_of(schema: Any) -> dict[str, str]:
    """What a schema says beside its types, `@huggingface`, and its columns do, `length@unit`;
    without what pandas, Arrow and Spark note for themselves.
    """
    named = [("", schema.metadata), *((field.name, field.metadata) for field in schema)]
    return {
        f"{name}@{key.decode('utf-8', 'replace')}": text.decode("utf-8", "replace")
        for name, held in named
        for key, text in (held or {}).items()
        if key != b"pandas" and not key.startswith(_OWN_NOTES)
    }


def orders_of(pa: Any, schema: Any, arrays: Callable[[int], Iterator[Any]]) -> dict[str, str]:
    """Categories of columns whose order counts, `grade@categories`, as of pandas' `ordered=True`.

    Args:
        arrays: given a column's place, its arrays.
    """
    found = {}
    for place, field in enumerate(schema):
        if pa.types.is_dictionary(field.type) and field.type.ordered:
            for array in arrays(place):
                found[f"{field.name}@categories"] = json.dumps(
                    array.dictionary.to_pylist(), ensure_ascii=False, default=str
                )
                break
    return found
