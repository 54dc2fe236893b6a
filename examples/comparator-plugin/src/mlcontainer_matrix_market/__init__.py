"""Matrix Market files (`.mtx`), as `scipy.io.mmwrite` and many solvers write them.

The same matrix can be written with its entries in any order and with other comments, and then the
bytes differ. Here it is read as what it is: its size, where its entries are, and their values.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pytest_mlcontainer.hooks import Comparator, hookimpl

MAGIC = b"%%MatrixMarket"
COLUMNS = {"pattern": 0, "real": 1, "double": 1, "integer": 1, "complex": 2}


@hookimpl
def mlcontainer_comparators() -> list[Comparator]:
    return [
        Comparator(
            name="Matrix Market",
            read=read,
            suffixes=(".mtx",),
            recognises=lambda _path, head: head.startswith(MAGIC),
        )
    ]


def read(path: Path) -> dict[str, Any]:
    """What is in the file, by name.

    `size` [rows, columns] and `symmetry`; for a sparse matrix `row` and `column` (from 1, as in
    the file) and `value` of its entries, ordered by column, then row; for a dense one `value`.

    Raises:
        ValueError: the file is not what its first line says.
    """
    with path.open(encoding="latin-1") as file:
        words = file.readline().lower().split()
        if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
            raise ValueError("the first line is no Matrix Market header")
        layout, field, symmetry = words[2:]
        if layout not in ("coordinate", "array") or field not in COLUMNS:
            raise ValueError(f"cannot read a matrix that is {layout} {field}")
        lines = _data(file)
        size = [int(number) for number in next(lines, "").split()]
        width = COLUMNS[field] + (2 if layout == "coordinate" else 0)
        # What the file says about its length is only compared, never allocated.
        rest = list(lines)
    table = np.loadtxt(rest, ndmin=2) if rest else np.empty((0, width))
    items: dict[str, Any] = {"size": size[:2], "symmetry": symmetry}
    if layout == "array":
        _check(size, 2, table, width)
        return {**items, "value": _values(table, field)}
    _check(size, 3, table, width)
    if len(table) != size[2]:
        raise ValueError(f"{len(table)} entries, but the file announces {size[2]}")
    table = table[np.lexsort((table[:, 0], table[:, 1]))]
    items |= {"row": table[:, 0].astype(np.int64), "column": table[:, 1].astype(np.int64)}
    return items if field == "pattern" else {**items, "value": _values(table[:, 2:], field)}


def _data(file: TextIO) -> Iterator[str]:
    """The lines that are neither comments nor empty."""
    return (line for line in file if line.strip() and not line.startswith("%"))


def _check(size: list[int], expected: int, table: Any, width: int) -> None:
    if len(size) != expected:
        raise ValueError(f"the size is {size}, expected {expected} numbers")
    if table.shape[1] != width:
        raise ValueError(f"{table.shape[1]} numbers in a line, expected {width}")


def _values(table: Any, field: str) -> Any:
    if field == "complex":
        return table[:, 0] + 1j * table[:, 1]
    return table[:, 0].astype(np.int64) if field == "integer" else table[:, 0]
