"""Columns that name the rows: by them it is told which rows moved, and which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.compare.tables.columns import Column, ColumnChunk, Table, load, mask_of
from pytest_mlcontainer.wording import first_of, truncate

MOST_MOVED: Final = 1 << 20
_NAMED: Final = 3
_SHOWN: Final = 40


def moved_key(actual: Table, expected: Table) -> str:
    """A column that names the rows, of which all are there but in another order; "" for none."""
    if actual.rows != expected.rows:
        return ""
    return next(
        (name for name, *sides in _names_of_rows(actual, expected) if _is_moved(*sides)), ""
    )


def say_lone(actual: Table, expected: Table) -> str:
    """Which rows only one side has, by a column that names them; "" where none does."""
    for name, mine, theirs in _names_of_rows(actual, expected):
        if len({*mine} & {*theirs}) * 2 < len(theirs) or _are_counted(mine, theirs):
            continue
        lone = Counter(theirs) - Counter(mine), Counter(mine) - Counter(theirs)
        return "; ".join(
            f"{what} the actual run: {name} = {first_of([*map(_shown, names)], _NAMED)}"
            for what, names in zip(("missing in", "more in"), lone, strict=True)
            if names
        )
    return ""


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
