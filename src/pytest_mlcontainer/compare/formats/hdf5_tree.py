"""What is in an HDF5 file, by path: arrays that are read in blocks, attributes, links."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.hdf5_values import plain, plain_dtype
from pytest_mlcontainer.compare.formats.slabs import places, regroup
from pytest_mlcontainer.compare.formats.sparse import in_one_form, parts_of_matrix
from pytest_mlcontainer.compare.numeric.dtypes import bad_shape
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.sources import ComparedFile, UnreadableError
from pytest_mlcontainer.compare.trees.items import Leaf

_MOST_ITEMS = 250_000
_LONGEST_PATH = 4000
# Deflate packs zeros 1032 times; what is never written needs no room at all.
_MOST_PACKED = 1100
_FREE_BYTES = 1 << 30
_SHAPES = ("@shape", "@h5sparse_shape", "/shape")  # AnnData's, older ones', 10x Genomics'


@dataclass
class Hdf5Contents:
    """The items of one HDF5 file.

    Args:
        unreadable: why an item cannot be read.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_tree(h5py: Any, side: ComparedFile, file: Any) -> Hdf5Contents:
    """Everything in the file; arrays are read while it is open.

    Raises:
        UnreadableError: it holds more than can be compared.
    """
    found = _Hdf5Reader(h5py, side, file).read()
    _bring_to_one_form(found.leaves)
    return found


def _bring_to_one_form(leaves: dict[str, Leaf]) -> None:
    """The same of the arrays of sparse matrices, which are groups."""
    groups: dict[str, dict[str, Array]] = {}
    for item, leaf in leaves.items():
        group, slash, name = item.rpartition("/")
        if isinstance(leaf, Array) and slash:
            groups.setdefault(group, {})[name] = leaf
    for group, arrays in groups.items():
        # Sequences of unlike lengths are kept so, too, whose order counts: they have no shape.
        is_matrix = any(f"{group}{shape}" in leaves for shape in _SHAPES)
        parts = parts_of_matrix(arrays.keys()) if is_matrix else ()
        with suppress(UnreadableError):
            matrix = in_one_form({part: arrays[part] for part in parts}) if parts else {}
            leaves.update({f"{group}/{part}": array for part, array in matrix.items()})


class _Hdf5Reader:
    def __init__(self, h5py: Any, side: ComparedFile, file: Any) -> None:
        self._h5py, self._side, self._file = h5py, side, file
        self._found = Hdf5Contents()
        self._left_bytes = _FREE_BYTES + _MOST_PACKED * side.size_bytes()
        self._steps = 0

    def read(self) -> Hdf5Contents:
        waiting: list[tuple[str, Any]] = [("", self._file)]
        seen: dict[int, str] = {}
        while waiting:
            path, group = waiting.pop()
            first = seen.setdefault(self._address(group), path)
            if first != path:
                # Groups can hold themselves, or each other so often that there is no end.
                self._found.leaves[path] = f"another link to {first or '/'}"
                continue
            self._add_attributes(path, group)
            names = sorted(group.id)
            if not names and path:
                self._found.leaves[path] = "a group of nothing"
            for name in reversed(names):
                self._count()
                item = f"{path}/{_text(name)}" if path else _text(name)
                if len(item) > _LONGEST_PATH:
                    raise self._side.unreadable(f"has paths of more than {_LONGEST_PATH} letters")
                inner = self._add(item, group, name)
                if inner is not None:
                    waiting.append((item, inner))
        return self._found

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_ITEMS:
            raise self._side.unreadable(f"has more than {_MOST_ITEMS} items, more than is read")

    def _address(self, group: Any) -> int:
        return int(self._h5py.h5o.get_info(group.id).addr)

    def _add(self, item: str, group: Any, name: bytes) -> Any:
        """A link's target, if it is a group; anything else becomes an item."""
        h5py, links = self._h5py, group.id.links
        kind = links.get_info(name).type
        if kind == h5py.h5l.TYPE_SOFT:
            self._found.leaves[item] = f"a link to {_text(links.get_val(name))}"
            return None
        if kind == h5py.h5l.TYPE_EXTERNAL:
            where = ":".join(_text(part) for part in links.get_val(name))
            self._found.leaves[item] = f"a link to another file, which is not followed: {where}"
            return None
        if kind != h5py.h5l.TYPE_HARD:
            self._fail(item, "has a link of a kind that is not read")
            return None
        target = h5py.h5o.open(group.id, name)
        if isinstance(target, h5py.h5g.GroupID):
            return h5py.Group(target)
        if isinstance(target, h5py.h5d.DatasetID):
            dataset = h5py.Dataset(target)
            self._add_attributes(item, dataset)
            self._guard(item, "dataset", lambda: self._dataset(item, dataset))
        else:
            self._guard(item, "type", lambda: f"the type {target.dtype}")
        return None

    def _guard(self, item: str, noun: str, read: Any) -> None:
        """Add what `read` gives, or the reason why it cannot."""
        try:
            leaf = read()
        except (_RefusedError, OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            self._fail(item, f"cannot be read: {noun} {item!r:.200} {reason}")
            return
        if leaf is not None:
            self._found.leaves[item] = leaf

    def _fail(self, item: str, reason: str) -> None:
        self._found.unreadable[item] = str(self._side.unreadable(reason))

    def _add_attributes(self, path: str, owner: Any) -> None:
        for name in sorted(owner.attrs):
            self._count()
            item = f"{path}@{_text(name)}"
            self._guard(item, "attribute", lambda name=name: self._attribute(owner, name))

    def _attribute(self, owner: Any, name: str) -> Leaf:
        held = owner.attrs.get_id(name)
        if held.get_space().get_simple_extent_type() == self._h5py.h5s.NULL:
            return f"nothing, of the type {held.dtype}"
        declared = math.prod(held.shape) * held.dtype.itemsize
        self._spend(declared)
        dtype = held.dtype
        if dtype.kind == "S":  # text of a fixed width, as netCDF's attributes are
            dtype = np.dtype(object)
        objects = dtype.hasobject and dtype.names is None
        values = np.asarray(owner.attrs[name], dtype=object if objects else None)
        found = plain(self._h5py, self._file, values, dtype)
        if not found.shape and found.dtype.hasobject:
            leaf: Leaf = found.item()
            return leaf
        return array_of(found)

    def _dataset(self, item: str, dataset: Any) -> Leaf:
        if dataset.id.get_space().get_simple_extent_type() == self._h5py.h5s.NULL:
            return f"nothing, of the type {dataset.dtype}"
        created = dataset.id.get_create_plist()
        if created.get_external_count():
            raise _RefusedError("keeps its values in another file, which is not followed")
        if dataset.is_virtual:
            raise _RefusedError("shows values of other datasets (virtual); copy them into it")
        stored = dataset.dtype
        base, inner = stored.base, stored.shape
        shape = (*dataset.shape, *inner)
        reason = bad_shape(shape)
        if reason:
            raise _RefusedError(reason)
        self._spend(math.prod(shape) * base.itemsize)
        dtype = plain_dtype(self._h5py, base)
        names = self._h5py.check_enum_dtype(base)
        if names:
            listed = sorted((int(number), _text(name)) for name, number in names.items())
            self._found.leaves[f"{item}@enum"] = str(listed)

        def blocks(length: int) -> Iterator[Values]:
            return regroup(self._slabs(item, dataset, base, length), length)

        return Array(dtype, shape, blocks)

    def _spend(self, size_bytes: int) -> None:
        """Keep in bounds what a file of this size can make us read."""
        if size_bytes > self._left_bytes:
            raise _RefusedError(
                f"promises {size_bytes} bytes, which a file of {self._side.size_bytes()} bytes "
                "cannot hold, whatever its compression"
            )
        self._left_bytes -= size_bytes

    def _slabs(self, item: str, dataset: Any, base: Dtype, length: int) -> Iterator[Values]:
        """The values, flat and in order, in whole rows of chunks where these are small enough."""
        wanted = length * base.itemsize
        for place in places(dataset.shape, dataset.dtype.itemsize, dataset.chunks, wanted):
            try:
                part = dataset[place]
                kind = object if base.hasobject and not base.names else None
                flat = np.asarray(part, dtype=kind).reshape(-1)
                values = plain(self._h5py, self._file, flat, base)
            except (OSError, RuntimeError, ValueError, TypeError) as error:
                reason = " ".join(str(error).split())[:300]
                raise self._side.unreadable(
                    f"cannot be read: dataset {item!r:.200} is damaged, or packed "
                    f"in a way that is not known here ({reason})"
                ) from error
            yield values


class _RefusedError(Exception):
    """`str()` follows the item's name."""


def _text(name: str | bytes) -> str:
    """A name that can be shown: HDF5 does not hold them to any encoding."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")
