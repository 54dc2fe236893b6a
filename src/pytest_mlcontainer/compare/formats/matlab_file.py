"""MATLAB's `.mat` up to version 7, as `scipy.io.savemat` writes it: variables, and what is in them.

An item is the path to a value: `w`, `net.layers[2].bias`. Version 7.3 is HDF5 and read as that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
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


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare all variables."""
    actual, expected = read_both(pair, _read)
    yield from compare_items(pair.name, actual, expected, book)


def _read(side: ComparedFile) -> dict[str, Leaf]:
    io = need(side, "scipy.io", "scipy")
    try:
        with side.open() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = io.loadmat(stream, simplify_cells=True)
    except Exception as error:  # of many kinds: the library checks little of what it reads
        raise side.unreadable(f"cannot be read as a MATLAB file ({error!s:.200})") from error
    leaves: dict[str, Leaf] = {}
    for name, value in found.items():
        if name not in _ABOUT:
            _add(leaves, name, value, 0)
    return leaves


def _add(leaves: dict[str, Leaf], name: str, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        leaves[name] = "(too deep to be looked into)"
    elif isinstance(value, dict):
        for key, inner in value.items():
            _add(leaves, f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object):
        flat = value if isinstance(value, list) else value.ravel(order="F").tolist()
        for place, inner in enumerate(flat):
            _add(leaves, f"{name}[{place}]", inner, depth + 1)
    elif hasattr(value, "toarray"):
        _add_sparse(leaves, name, value.tocoo())
    elif isinstance(value, np.ndarray):
        leaves[name] = array_of(value)
    elif isinstance(value, np.generic):
        leaves[name] = array_of(np.asarray(value))
    else:
        leaves[name] = (
            value if isinstance(value, bool | int | float | complex | str) else str(value)
        )


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
