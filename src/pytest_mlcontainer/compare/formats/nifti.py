"""NIfTI-1 and -2 (`.nii`, and compressed): the volume, where it lies, and its header.

The volume is what a reader gets, scaled by `scl_slope` and `scl_inter` (see `packed`); labels,
which are integers without a scale, are exact. How it is stored does not count: the order of bytes,
the version, where in the file it begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, Named, need
from pytest_mlcontainer.compare.formats.metadata import compare_metadata
from pytest_mlcontainer.compare.formats.packed import (
    Packing,
    stored_otherwise,
    unpacked,
)
from pytest_mlcontainer.compare.numeric.dtypes import array_at
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

_MAGIC_1, _AT_1 = b"n+1\0", 344
_MAGIC_2: Final = b"n+2\0\r\n\x1a\n"
# What is no part of the volume, of where it lies, or of how the file is laid out.
_FIELDS: Final = (
    "dim_info", "intent_p1", "intent_p2", "intent_p3", "intent_code", "intent_name", "slice_start",
    "slice_end", "slice_code", "slice_duration", "toffset", "xyzt_units", "qform_code",
    "sform_code", "cal_max", "cal_min",
)  # fmt: skip
_TEXTS: Final = {"descrip": "header.description", "aux_file": "header.aux_file"}
_BASE_BYTES: Final = 540


@dataclass(frozen=True)
class _Nifti:
    """What is in one file.

    Args:
        texts: of which it may be that they say how the file was made.
        is_single: whether numbers of the header are kept in 32 bits, as NIfTI-1 does.
    """

    leaves: dict[str, Leaf]
    packing: Packing
    texts: dict[str, str]
    is_single: bool


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two volumes and their headers."""
    actual, expected = read_both(pair, _read)
    yield from compare_metadata(pair.name, actual.texts, expected.texts, book)
    sides = [side.leaves for side in (actual, expected)]
    if actual.is_single or expected.is_single:
        sides = [{name: _single(name, leaf) for name, leaf in side.items()} for side in sides]
    agrees = True
    for found in compare_items(pair.name, sides[0], sides[1], book):
        agrees = agrees and (found.item != "data" or found.verdict.passes)
        yield found
    is_ignored = book.find(pair.name, "data").tolerance.ignore
    if actual.packing != expected.packing and agrees and not is_ignored:
        yield stored_otherwise(pair.name, "data")


def _single(name: str, leaf: Leaf) -> Leaf:
    if name == "data" or not isinstance(leaf, Array) or leaf.dtype != np.float64:
        return leaf
    with np.errstate(all="ignore"):
        return array_of(leaf.values().astype(np.float32))


def _read(side: ComparedFile) -> _Nifti:
    nibabel = need(side, "nibabel", "nifti")
    is_second = _is_second(side)
    try:
        with side.open() as stream:
            image = _image(nibabel, stream, is_second)
            header, packing = image.header, _packing(image.dataobj, is_second)
            leaves: dict[str, Leaf] = {"data": _volume(side, image, packing)}
            leaves |= {name: array_of(matrix) for name, matrix in _matrices(image)}
            for name in _FIELDS:
                value = header[name].item()
                leaves[f"header.{name}"] = (
                    _text(value) if isinstance(value, bytes) else _number(value)
                )
            zooms = np.asarray(header["pixdim"][1 : header["dim"][0] + 1], np.float64)
            leaves["header.pixdim"] = array_of(zooms)
            return _Nifti(leaves, packing, _texts(header), not is_second)
    except Exception as error:  # of many kinds: the library checks little of what it reads
        reason = " ".join(str(error).split())[:200]
        raise side.unreadable(f"cannot be read as NIfTI ({reason})") from error


def _image(nibabel: Any, stream: BinaryIO, is_second: bool) -> Any:
    kind = nibabel.Nifti2Image if is_second else nibabel.Nifti1Image
    holder = nibabel.FileHolder(fileobj=stream)
    with nibabel.imageglobals.LoggingOutputSuppressor():
        return kind.from_file_map({"header": holder, "image": holder})


def _volume(side: ComparedFile, image: Any, packing: Packing) -> Array:
    held = image.dataobj
    dtype, shape = held.dtype, tuple(int(length) for length in held.shape)
    if dtype.names:  # colours, which are no dimension of their own
        shape, dtype = (len(dtype.names), *shape), np.dtype(np.uint8)
    end = held.offset + math.prod(shape) * dtype.itemsize
    if end > side.size_bytes():
        raise ValueError(f"truncated: {end} bytes are promised, {side.size_bytes()} are there")
    is_big = dtype.str[0] == ">"
    native = dtype.newbyteorder("=")
    array = array_at(side.open, held.offset, native, shape, big_endian=is_big, order="F")
    return unpacked(array, packing) if packing.is_scaled and native.kind in "iuf" else array


def _packing(held: Any, is_second: bool) -> Packing:
    """Of what is in the file; the header of an image has it no more."""
    slope, inter = float(held.slope), float(held.inter)
    if (slope, inter) == (1, 0):
        return Packing()
    width = np.float64 if is_second else np.float32
    return Packing(width(slope), width(inter) if inter else None)


def _matrices(image: Any) -> Iterator[tuple[str, Any]]:
    """From places in the volume to millimetres: the form that readers take, and the other one."""
    yield "affine", np.asarray(image.affine, np.float64)
    if image.header["sform_code"] > 0 and image.header["qform_code"] > 0:
        yield "qform", np.asarray(image.header.get_qform(), np.float64)


def _number(value: Any) -> Leaf:
    return array_of(np.asarray(value, np.float64)) if isinstance(value, float) else int(value)


def _texts(header: Any) -> dict[str, str]:
    found = {item: _text(header[name].item()) for name, item in _TEXTS.items()}
    for number, extension in enumerate(header.extensions):
        content = extension.get_content()
        text = _text(content) if isinstance(content, bytes) else str(content)
        found[f"extension[{number}]"] = f"{extension.get_code()}: {text}"
    return found


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _is_second(side: ComparedFile) -> bool:
    with side.open() as stream:
        return stream.read(12)[4:] == _MAGIC_2


def _has_content(side: ComparedFile) -> bool:
    with side.open() as stream:
        head = stream.read(_BASE_BYTES)
    return head[_AT_1 : _AT_1 + 4] == _MAGIC_1 or head[4:12] == _MAGIC_2


def _held(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    found = _read(side).leaves.items()
    yield tuple((name, partial(_held, leaf)) for name, leaf in found if isinstance(leaf, Array))


FORMAT = Format("NIfTI", compare, _has_content, (".nii",), folds=True, arrays=_arrays)
