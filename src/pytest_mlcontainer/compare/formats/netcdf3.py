"""netCDF 3, classic and with 64-bit offsets: variables, attributes as `tas@units`, `@title`.

Values are those that a reader gets: unpacked, and NaN where one is missing (see `packed`). How they
are stored does not count: which dimension is unlimited, the version of the format, and the packing,
as long as the values agree.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, Named, begins, need
from pytest_mlcontainer.compare.formats.metadata import CF_OF_MAKER, compare_metadata
from pytest_mlcontainer.compare.formats.packed import (
    PACKING,
    Packing,
    holds_both,
    missing_places,
    packing_of,
    stored_otherwise,
    unpacked,
)
from pytest_mlcontainer.compare.formats.slabs import Selection, array_in_slabs
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

# NC_FILL_FLOAT and NC_FILL_DOUBLE (netcdf.h): what was never written, where no attribute says else.
_NEVER_WRITTEN: Final = 9.969209968386869e36
_MOST_TEXT_BYTES: Final = 1 << 24


@dataclass
class _Netcdf:
    """What is in one file.

    Args:
        stored: variables as they are in the file.
        packings, dimensions: of the same variables.
        about: global attributes that are text.
        leaves: the other attributes, and the lengths of dimensions that no variable has.
    """

    stored: dict[str, Array] = field(default_factory=dict)
    packings: dict[str, Packing] = field(default_factory=dict)
    dimensions: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, variable by variable."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _open(side, stack))
        yield from compare_metadata(pair.name, actual.about, expected.about, book, CF_OF_MAKER)
        shared = {name for name in expected.stored if _mistakable(name, actual, expected)}
        both = _values(actual, expected, shared), _values(expected, actual, shared)
        drifting = set()
        for found in compare_items(pair.name, *both, book):
            if not found.verdict.passes:
                drifting.add(found.item)
            yield found
        yield from _other_packing(pair.name, actual, expected, drifting, book)


def _values(own: _Netcdf, other: _Netcdf, mistakable: set[str]) -> dict[str, Leaf]:
    """The items of one side, its variables as both sides can be compared.

    Args:
        mistakable: variables of which it counts by itself where a value is missing.
    """
    leaves: dict[str, Leaf] = {}
    for name, stored in own.stored.items():
        packing = own.packings[name]
        opposite = other.packings.get(name, packing)
        leaves[name] = (
            unpacked(stored, packing) if _is_packed(stored, packing, opposite) else stored
        )
        if name not in other.stored:
            continue
        if own.dimensions[name]:
            leaves[f"{name}@dimensions"] = own.dimensions[name]
        if name in mistakable:
            leaves[f"{name}@missing"] = missing_places(stored, packing)
    return {**leaves, **own.leaves}


def _is_packed(stored: Array, packing: Packing, opposite: Packing) -> bool:
    """Whether the values are others than the stored numbers. Integers that are not scaled stay what
    they are, unless another number is missing on the other side."""
    if stored.dtype.kind not in "iuf":
        return False
    if packing.is_scaled or stored.dtype.kind == "f":
        return packing.is_scaled or bool(packing.missing)
    return packing.missing != opposite.missing and stored.dtype.itemsize <= 4


def _mistakable(name: str, actual: _Netcdf, expected: _Netcdf) -> bool:
    """Whether there are both missing numbers and NaN, which would be the same thing below."""
    sides = [(side.stored[name], side.packings[name]) for side in (actual, expected)
             if name in side.stored and side.stored[name].dtype.kind == "f"]  # fmt: skip
    if len(sides) < 2:
        return False
    found = [holds_both(*side) for side in sides]
    return any(missing for missing, _nan in found) and any(nan for _missing, nan in found)


def _other_packing(
    output: str, actual: _Netcdf, expected: _Netcdf, drifting: set[str], book: RuleBook
) -> Iterator[Difference]:
    """What agrees and is stored in another way, said for each variable."""
    for name in expected.stored:
        if name not in actual.stored or name in drifting:
            continue
        packings = actual.packings[name], expected.packings[name]
        same_type = actual.stored[name].dtype == expected.stored[name].dtype
        if (packings[0] == packings[1] and same_type) or book.find(output, name).tolerance.ignore:
            continue
        yield stored_otherwise(output, name)


def _open(side: ComparedFile, stack: ExitStack) -> _Netcdf:
    io = need(side, "scipy.io", "scipy")
    try:
        # A file that is mapped is closed once nothing points into it any more, and scipy warns.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        file = io.netcdf_file(str(side.path), "r", mmap=True, maskandscale=False)
        stack.callback(file.close)
        return _read(file)
    except Exception as error:  # of many kinds: the library checks little of what it reads
        raise side.unreadable(
            f"cannot be read as netCDF 3, it is damaged or truncated ({error!s:.200})"
        ) from error


def _read(file: Any) -> _Netcdf:
    found, used = _Netcdf(), set()
    for key, value in file._attributes.items():
        leaf = _attribute(value)
        into: dict[str, Any] = found.about if isinstance(leaf, str) else found.leaves
        into[f"@{_name(key)}"] = leaf
    for key, variable in file.variables.items():
        name = _name(key)
        used.update(variable.dimensions)
        attributes = dict(variable._attributes)
        found.stored[name] = _stored(variable.data)
        found.packings[name] = _packing(attributes, variable.data)
        found.dimensions[name] = ", ".join(map(_name, variable.dimensions))
        for attribute, value in attributes.items():
            if attribute not in PACKING:
                found.leaves[f"{name}@{_name(attribute)}"] = _attribute(value)
    for key, length in file.dimensions.items():
        if key not in used:
            found.leaves[f"@dimensions.{_name(key)}"] = length
    return found


def _packing(attributes: Mapping[str, Any], data: Any) -> Packing:
    packing = packing_of(attributes)
    if "_FillValue" not in attributes and data.dtype.kind == "f":
        return replace(packing, missing=(*packing.missing, _NEVER_WRITTEN))
    return packing


def _stored(data: Any) -> Array:
    if data.dtype.kind == "S" and data.ndim and data.nbytes <= _MOST_TEXT_BYTES:
        return array_of(_texts(data))
    dtype = data.dtype.newbyteorder("=")

    def part(place: Selection) -> Values:
        return np.asarray(data[place]).astype(dtype)

    return array_in_slabs(dtype, data.shape, part)


def _texts(letters: Any) -> Values:
    """Letters along the last dimension are a text."""
    width = letters.shape[-1]
    if not width:
        return np.full(letters.shape[:-1], "", object)
    joined = np.ascontiguousarray(letters).view(f"S{width}").reshape(letters.shape[:-1])
    found = np.empty(joined.shape, object)
    found.reshape(-1)[:] = [_text(each) for each in joined.reshape(-1).tolist()]
    return found


def _attribute(value: Any) -> Leaf:
    return _text(value) if isinstance(value, bytes) else array_of(np.asarray(value))


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _name(name: str) -> str:
    """The library takes names as Latin-1, and they are UTF-8."""
    return name.encode("latin-1", "replace").decode("utf-8", "backslashreplace")


def _found(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    with ExitStack() as stack:
        leaves = _values(found := _open(side, stack), found, set()).items()
        yield tuple(
            (item, partial(_found, leaf)) for item, leaf in leaves if isinstance(leaf, Array)
        )


FORMAT = Format(
    "netCDF 3",
    compare,
    lambda side: begins(side, b"CDF\x01", b"CDF\x02"),
    folds=True,
    arrays=_arrays,
)
