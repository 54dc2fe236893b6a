"""Zarr, versions 2 and 3, as a folder and in a zip file: arrays by path, attributes as `w@units`.

What the zarr package reads is compared: chunks, shards, compression, the version, consolidated
metadata and chunks that were never written, which hold the fill value, do not count.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, Named, begins, need
from pytest_mlcontainer.compare.formats.metadata import CF_OF_MAKER, compare_metadata
from pytest_mlcontainer.compare.formats.slabs import Selection, array_in_slabs
from pytest_mlcontainer.compare.formats.zips import BAD_ZIP, has_directory, open_zip
from pytest_mlcontainer.compare.numeric.dtypes import bad_shape
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf
from pytest_mlcontainer.compare.trees.partly_read import compare_readable
from pytest_mlcontainer.compare.trees.trees import compare_trees
from pytest_mlcontainer.model import Difference

ROOTS: Final = ("zarr.json", ".zgroup", ".zarray")
_MOST_NODES: Final = 100_000
_MOST_JSON_BYTES: Final = 1 << 24
_FREE_BYTES: Final = 1 << 32
_MOST_PACKED: Final = 1100
_DIMENSIONS: Final = "_ARRAY_DIMENSIONS"  # xarray's, of version 2
# Those that turn bytes into numbers and text. One of numcodecs unpickles what is in a chunk.
_CODECS: Final = frozenset(
    {
        "adler32", "astype", "base64", "bitround", "blosc", "bytes", "bz2", "cast_value", "crc32",
        "crc32c", "default", "delta", "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3",
        "json2", "lz4", "lzma", "msgpack2", "packbits", "pcodec", "quantize", "scale_offset",
        "sharding_indexed", "shuffle", "transpose", "vlen-array", "vlen-bytes", "vlen-utf8", "zfpy",
        "zlib", "zstd",
    }
)  # fmt: skip


class _RefusedNodeError(Exception):
    """`str()` follows the item's name."""


@dataclass
class _Zarr:
    """What is in one store.

    Args:
        attributes: by the item each is; `about` are those of the root that are text.
        unreadable: why an array cannot be read.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two stores, array by array."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _open(side, stack))
        yield from compare_metadata(pair.name, actual.about, expected.about, book, CF_OF_MAKER)
        yield from compare_readable(pair.name, actual, expected, book)
        yield from compare_trees(pair.name, actual.attributes, expected.attributes, book)


def _open(side: ComparedFile, stack: ExitStack) -> _Zarr:
    zarr = need(side, "zarr", "zarr")
    if side.path.is_dir():
        size_bytes = side.size_bytes()
        names = _names_below(side)
        store = zarr.storage.LocalStore(side.path, read_only=True)
        read = partial(_read_file, side.path)
    else:
        file = stack.enter_context(open_zip(side, "a Zarr store in a zip file"))
        size_bytes, names = side.size_bytes(), file.namelist()
        store = zarr.storage.ZipStore(side.path, mode="r")
        stack.callback(_close, store)
        read = partial(_read_member, file)
    return _ZarrReader(zarr, side, store, read, size_bytes).read(names)


def _close(store: Any) -> None:
    with suppress(AttributeError):  # of zarr 3.1, for one of which nothing was read
        store.close()


def _names_below(side: ComparedFile) -> list[str]:
    return [
        (Path(folder) / name).relative_to(side.path).as_posix()
        for folder, _folders, files in os.walk(side.path)
        for name in files
    ]


def _read_file(root: Path, name: str) -> bytes:
    with (root / name).open("rb") as stream:
        return stream.read(_MOST_JSON_BYTES + 1)


def _read_member(file: zipfile.ZipFile, name: str) -> bytes:
    with file.open(name) as stream:
        return stream.read(_MOST_JSON_BYTES + 1)


class _ZarrReader:
    """Reads one store; arrays are read while it is open."""

    def __init__(self, zarr: Any, side: ComparedFile, store: Any, read: Any, size: int) -> None:
        self._zarr, self._side, self._store, self._read = zarr, side, store, read
        self._found = _Zarr()
        self._left_bytes = _FREE_BYTES + _MOST_PACKED * size

    def read(self, names: list[str]) -> _Zarr:
        nodes: dict[str, dict[str, str]] = {}
        for name in names:
            path, _slash, file = name.rpartition("/")
            if file in (*ROOTS, ".zattrs"):
                nodes.setdefault(path, {})[file] = name
        if len(nodes) > _MOST_NODES:
            raise self._side.unreadable(f"has more than {_MOST_NODES} arrays and groups")
        for path in sorted(nodes):
            try:
                self._add(path, nodes[path])
            except (_RefusedNodeError, *BAD_ZIP) as error:
                self._fail(path, f"cannot be read: {error!s:.300}")
        return self._found

    def _fail(self, item: str, reason: str) -> None:
        self._found.unreadable[item] = str(self._side.unreadable(f"{item or 'its root'} {reason}"))

    def _add(self, path: str, files: Mapping[str, str]) -> None:
        """Version 3 comes first, as where the package finds both."""
        if "zarr.json" in files:
            version, described = 3, self._json(files["zarr.json"])
            is_array = described.get("node_type") == "array"
            attributes = described.get("attributes") or {}
            if described.get("dimension_names"):
                attributes = {_DIMENSIONS: described["dimension_names"], **attributes}
        else:
            version, is_array = 2, ".zarray" in files
            described = self._json(files[".zarray"]) if is_array else {}
            attributes = self._json(files[".zattrs"]) if ".zattrs" in files else {}
        self._add_attributes(path, attributes)
        if is_array:
            strange = sorted(_codecs_of(described) - _CODECS)
            if strange:
                raise _RefusedNodeError(f"packed by {', '.join(strange)!s:.200}, which is not read")
            self._found.leaves[path] = self._array(path, version)
        elif path:
            self._found.attributes.setdefault(path, "a group")

    def _json(self, name: str) -> dict[str, Any]:
        data = self._read(name)
        if len(data) > _MOST_JSON_BYTES:
            raise _RefusedNodeError(f"{name} is larger than what is read")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _RefusedNodeError(f"{name} is broken JSON ({error!s:.100})") from error
        if not isinstance(found, dict):
            raise _RefusedNodeError(f"{name} is no JSON object")
        return found

    def _add_attributes(self, path: str, attributes: Any) -> None:
        if not isinstance(attributes, dict):
            raise _RefusedNodeError("its attributes are no JSON object")
        for key, value in attributes.items():
            if isinstance(value, str) and not path:
                self._found.about[f"@{key}"] = value
            else:
                self._found.attributes[f"{path}@{key}"] = value

    def _array(self, path: str, version: int) -> Leaf:
        try:
            array = self._zarr.open_array(self._store, path=path, mode="r", zarr_format=version)
        except Exception as error:  # of many kinds: it is a file that anything may have written
            raise _RefusedNodeError(f"{type(error).__name__}: {error}") from error
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        reason = bad_shape(shape)
        if reason:
            raise _RefusedNodeError(reason)
        self._spend(math.prod(shape) * dtype.itemsize)
        is_text = dtype.hasobject or dtype.kind == "T"
        native = np.dtype(object) if is_text else dtype.newbyteorder("=")

        def part(place: Selection) -> Values:
            try:
                return np.asarray(array[place]).astype(native, copy=False)
            except Exception as error:  # as above
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                raise self._side.unreadable(
                    f"cannot be read: a chunk of {path!r:.200} is damaged ({reason})"
                ) from error

        chunks = getattr(array, "shards", None) or array.chunks
        return array_in_slabs(native, shape, part, tuple(chunks))

    def _spend(self, size_bytes: int) -> None:
        """Keep in bounds what a store of this size can make us read."""
        if size_bytes > self._left_bytes:
            raise _RefusedNodeError(f"promises {size_bytes} bytes, more than is read of it")
        self._left_bytes -= size_bytes


def _codecs_of(described: Mapping[str, Any]) -> set[str]:
    """The names of all that its chunks are packed by, one inside the other as well."""
    found: set[str] = set()
    waiting: list[Any] = [
        described.get(name) for name in ("compressor", "filters", "codecs", "storage_transformers")
    ]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            name = each.get("id", each.get("name", "nothing"))
            found.add(str(name).removeprefix("numcodecs."))
            inner = each.get("configuration")
            if isinstance(inner, dict):
                waiting += [inner.get("codecs"), inner.get("index_codecs")]
        elif isinstance(each, str):
            found.add(each.removeprefix("numcodecs."))
    return found


def _is_zip_store(side: ComparedFile) -> bool:
    if not begins(side, b"PK\x03\x04") or not has_directory(side):
        return False
    try:
        with side.open() as stream, zipfile.ZipFile(stream) as file:
            return any(name in file.NameToInfo for name in ROOTS)
    except BAD_ZIP:
        return False


def _held(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    with ExitStack() as stack:
        found = _open(side, stack).leaves.items()
        yield tuple((name, partial(_held, leaf)) for name, leaf in found if isinstance(leaf, Array))


FORMAT = Format("Zarr", compare, _is_zip_store, (".zarr.zip",), folds=True, arrays=_arrays)
