"""Columns that name the rows: by them it is told which rows moved, and which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.tables.columns import Column, ColumnChunk, Table, load, mask_of
from pytest_mlcontainer.model.clock_names import is_counter
from pytest_mlcontainer.wording import first_of, truncate

MOST_MOVED: Final = 1 << 20
_NAMED: Final = 3
_SHOWN: Final = 40
_NEAR: Final = 1e-6


def moved_key(actual: Table, expected: Table) -> str:
    """A column that names the rows, of which all are there but in another order; "" for none."""
    if actual.rows != expected.rows:
        return ""
    return next(
        (name for name, *sides in _names_of_rows(actual, expected) if _is_moved(*sides)), ""
    )


def are_shuffled(actual: Table, expected: Table) -> bool:
    """Whether each column holds about the same on both sides: a cheap look before rows meet."""
    size = expected.rows * len(expected.columns)
    if actual.rows != expected.rows or expected.rows < 2 or size > MOST_MOVED:
        return False
    if actual.columns.keys() != expected.columns.keys():
        return False
    sides = ((actual.columns[name], column) for name, column in expected.columns.items())
    return all(map(_hold_much_the_same, *zip(*sides, strict=True)))


def _hold_much_the_same(actual: Column, expected: Column) -> bool:
    if not (_is_plain(actual) and _is_plain(expected)):
        return False
    left, right = load(actual).values, load(expected).values
    if left.dtype.kind == right.dtype.kind == "f":
        return np.allclose(np.sort(left), np.sort(right), rtol=_NEAR, atol=0, equal_nan=True)
    return Counter(left.tolist()) == Counter(right.tolist())


def say_lone(actual: Table, expected: Table) -> str:
    """Which rows only one side has, by a column that names them; "" where none does."""
    for name, mine, theirs in _names_of_rows(actual, expected):
        given_anew = _are_counted(mine, theirs) and not is_counter(name)
        if given_anew and not _begin_alike(actual, expected):
            continue
        said = say_alone(name, mine, theirs)
        if said:
            return said
    return ""


def say_alone(name: str, actual: list[Any], expected: list[Any]) -> str:
    """Which names one side alone has, or has more often; "" where most are others."""
    if len({*actual} & {*expected}) * 2 < len(expected):
        return ""
    lone = Counter(expected) - Counter(actual), Counter(actual) - Counter(expected)
    return "; ".join(
        f"{what} the actual run: {name} = {first_of([*map(_shown, names)], _NAMED)}"
        for what, names in zip(("missing in", "more in"), lone, strict=True)
        if names
    )


def _begin_alike(actual: Table, expected: Table) -> bool:
    """Whether the rows that both have are about the same, as where the last ones are cut off."""
    if actual.columns.keys() != expected.columns.keys():
        return False
    rows = min(actual.rows, expected.rows)
    for name, column in expected.columns.items():
        if not (_is_plain(column) and _is_plain(actual.columns[name])):
            return False
        left, right = (load(each).values[:rows] for each in (actual.columns[name], column))
        if left.dtype.kind == right.dtype.kind == "f":
            if not np.allclose(left, right, rtol=_NEAR, atol=0, equal_nan=True):
                return False
        elif left.tolist() != right.tolist():
            return False
    return True


def _shown(name: object) -> str:
    return truncate(str(name), _SHOWN)


def _names_of_rows(
    actual: Table, expected: Table
) -> Iterator[tuple[str, list[object], list[object]]]:
    """Columns of whole numbers or text that tell all expected rows apart, with their values."""
    if max(actual.rows, expected.rows) > MOST_MOVED:
        return
    for name, column in expected.columns.items():
        other = actual.columns.get(name)
        if other is not None and _is_plain(column) and _is_plain(other):
            sides = load(other), load(column)
            names = [side.values.tolist() for side in sides]
            if all(map(_are_names, sides)) and len({*names[1]}) == len(names[1]):
                yield name, names[0], names[1]


def _is_moved(actual: list[object], expected: list[object]) -> bool:
    return actual != expected and {*actual} == {*expected}


def _are_counted(actual: list[object], expected: list[object]) -> bool:
    """Whether rows have numbers one after the other, which are given anew where one is missing."""
    shorter, longer = sorted((actual, expected), key=len)
    first = longer[0]
    counted = isinstance(first, int) and longer == [*range(first, first + len(longer))]
    return counted and longer[: len(shorter)] == shorter


def _is_plain(column: Column) -> bool:
    return not column.depth and column.at is None


def _are_names(part: ColumnChunk) -> bool:
    kind, values = part.values.dtype.kind, part.values.tolist()
    return not mask_of(part).any() and (
        kind in "iu" or (kind == "O" and set(map(type, values)) == {str})
    )
