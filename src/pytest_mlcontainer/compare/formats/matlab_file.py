"""MATLAB's `.mat` up to version 7, as `scipy.io.savemat` writes it: variables, and what is in them.

An item is the path to a value: `w`, `net.layers[2].bias`. Version 7.3 is HDF5 and read as that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, begins, need
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

_MAGIC = b"MATLAB 5.0 MAT-file"
_ABOUT = ("__header__", "__version__", "__globals__")
_DEEPEST = 100


@dataclass
class _Variables:
    """Values by the paths to them.

    Args:
        shapes: of those that were squeezed: a row, a column and a list of numbers are one array,
            called by one index.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare all variables."""
    actual, expected = read_both(pair, _read)
    for name, shape in expected.shapes.items():
        other = actual.shapes.get(name, shape)
        if other != shape and _same_length(other, shape):  # else the values say so themselves
            for side, held in ((actual, other), (expected, shape)):
                side.leaves[f"{name}.shape"] = array_of(np.asarray(held))
    yield from compare_items(pair.name, actual.leaves, expected.leaves, book)


def _same_length(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return [n for n in one if n != 1] == [n for n in other if n != 1]


def _read(side: ComparedFile) -> _Variables:
    io = need(side, "scipy.io", "scipy")
    try:
        with side.open() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = io.loadmat(stream)
    except Exception as error:  # of many kinds: the library checks little of what it reads
        raise side.unreadable(f"cannot be read as a MATLAB file ({error!s:.200})") from error
    variables = _Variables()
    for name, value in found.items():
        if name not in _ABOUT:
            _add(variables, name, value, 0)
    return variables


def _add(into: _Variables, name: str, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        into.leaves[name] = "(too deep to be looked into)"
    elif hasattr(value, "toarray"):
        _add_sparse(into.leaves, name, value.tocoo())
    elif isinstance(value, np.ndarray) and (value.dtype.names or value.dtype == object):
        _add_parts(into, name, value, depth)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size < 2:
        into.leaves[name] = str(value.item()) if value.size else ""
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.size:  # of no elements, what shape it has is all that there is
            into.shapes[name] = array.shape
            array = np.squeeze(array)
        into.leaves[name] = array_of(array)
    else:
        into.leaves[name] = (
            value if isinstance(value, bool | int | float | complex | str) else str(value)
        )


def _add_parts(into: _Variables, name: str, value: Any, depth: int) -> None:
    """What is in cells and structs; of one alone without its place."""
    into.shapes[name] = value.shape
    if not value.size:
        into.leaves[name] = f"nothing, of the shape {value.shape}"
    for place, inner in enumerate(value.ravel(order="F")):
        path = name if value.size == 1 else f"{name}[{place}]"
        if not value.dtype.names:
            _add(into, path, inner, depth + 1)
        for key in value.dtype.names or ():
            _add(into, f"{path}.{key}", inner[key], depth + 1)


def _add_sparse(leaves: dict[str, Leaf], name: str, matrix: Any) -> None:
    """Its entries by column, then row."""
    order = np.lexsort((matrix.row, matrix.col))
    leaves[f"{name}.shape"] = array_of(np.asarray(matrix.shape))
    leaves[f"{name}.row"] = array_of(matrix.row[order])
    leaves[f"{name}.column"] = array_of(matrix.col[order])
    leaves[f"{name}.value"] = array_of(matrix.data[order])


def _has_content(side: ComparedFile) -> bool:
    return begins(side, _MAGIC)


FORMAT = Format("MATLAB", compare, _has_content)
