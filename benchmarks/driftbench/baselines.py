"""Other ways to find out, beside which the product's scores stand.

Each gets what two runs of a case wrote and what it wrote on two machines where everything is
another (of a pair of images: what the second wrote), and the files of the case. None of them
knows its label, nor has one of them a way to be told of comparison rules.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.driftbench.outputs import FIRST, OTHERS, SECOND
from benchmarks.driftbench.scoring import Answer

Agrees = Callable[[Path, Path], bool]


def judge(folder: Path, agrees: Agrees) -> Answer:
    """The verdict of comparing files, by what `agrees` says of two of them."""
    others = [folder / side for side in OTHERS if (folder / side).is_dir()]
    runs = 2 + len(others)
    if not _folders_agree(folder / FIRST, folder / SECOND, agrees):
        return Answer("nondeterministic", runs=runs)
    if not all(_folders_agree(folder / FIRST, other, agrees) for other in others):
        return Answer("drift", runs=runs)
    return Answer("identical", runs=runs)


def same_bytes(one: Path, other: Path) -> bool:
    """Byte comparison."""
    return one.read_bytes() == other.read_bytes()


def all_close(one: Path, other: Path) -> bool:
    """`numpy.testing.assert_allclose` with its defaults on all numbers; everything else exactly."""
    mine, theirs = read_values(one), read_values(other)
    if mine is None or theirs is None:
        return same_bytes(one, other)
    if mine.keys() != theirs.keys():
        return False
    try:
        for name, value in mine.items():
            if value.dtype.kind in "fciub":
                np.testing.assert_allclose(value, theirs[name])
            else:
                np.testing.assert_array_equal(value, theirs[name])
    except (AssertionError, TypeError, ValueError):
        return False
    return True


def read_values(file: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    """Arrays of a file by name; None where NumPy and the standard library read none from it."""
    try:
        if file.suffix == ".npz":
            with np.load(file) as archive:
                return {name: archive[name] for name in archive.files}
        if file.suffix == ".npy":
            return {"": np.load(file)}
        if file.suffix in (".csv", ".tsv"):
            return _columns(file)
        if file.suffix == ".json":
            return _leaves(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, OSError, zipfile.BadZipFile):
        return None
    return None


def _columns(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    text = file.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if file.suffix == ".tsv" else ","))
    header, *body = rows
    return {name: _array([row[place] for row in body]) for place, name in enumerate(header)}


def _leaves(value: object, name: str = "") -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= _leaves(inner, f"{name}.{key}")
        return found
    if isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        for place, inner in enumerate(value):
            found |= _leaves(inner, f"{name}[{place}]")
        return found
    return {name: _array(value if isinstance(value, list) else [value])}


def _array(values: list[Any]) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return np.asarray([str(value) for value in values])


def _folders_agree(one: Path, other: Path, agrees: Agrees) -> bool:
    mine, theirs = ({path.name for path in folder.iterdir()} for folder in (one, other))
    return mine == theirs and all(agrees(one / name, other / name) for name in mine)
