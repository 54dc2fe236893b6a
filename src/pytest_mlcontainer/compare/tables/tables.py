"""Two tables → differences. Every format that holds named columns ends here.

A cell that is missing (null) is not a NaN: the one never equals the other. Where a format has
types, a column's type is part of its value. Lists have to be of the same lengths; their elements
are then compared as one array.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_mlcontainer.compare.matching.axes import is_monotone, named_axis, say_curve
from pytest_mlcontainer.compare.matching.curves import split, wanted
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.tables.columns import Column, Table, load
from pytest_mlcontainer.compare.tables.pairs import compare_columns
from pytest_mlcontainer.compare.tables.row_names import (
    MOST_MOVED,
    are_shuffled,
    moved_key,
    say_lone,
)
from pytest_mlcontainer.compare.tables.rows import AlignedTables, meet_rows
from pytest_mlcontainer.compare.tables.training_logs import clock_in_table
from pytest_mlcontainer.compare.tables.typed import NUMBERS, cast, column_array
from pytest_mlcontainer.compare.values.exchanged import ItemReader, with_exchanged
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift, join_notes
from pytest_mlcontainer.model import Difference, Tolerance


def compare_tables(
    output: str,
    actual: Table,
    expected: Table,
    book: RuleBook,
    *,
    under: str = "",
    ordered: bool = True,
) -> Iterator[Difference]:
    """Column by column, and what the tables differ in as a whole.

    Args:
        under: the item that the tables themselves are; columns are then `under.column`.
        ordered: whether the order of the columns counts.
    """
    applied = book.find(output, under)
    if applied.tolerance.ignore and under:
        return
    mine, theirs, undecided = book.rename(
        output, actual.columns, expected.columns, f"{under}." if under else ""
    )
    yield from undecided
    actual, expected = replace(actual, columns=mine), replace(expected, columns=theirs)
    if wanted(output, book):
        actual, expected, curves = _without_curves(output, actual, expected, book, under)
        yield from curves
        if not expected.columns and not actual.columns:
            return
    yield from _compare_names(output, actual, expected, book, under, ordered)
    meeting = AlignedTables(actual, expected)
    if applied.tolerance.key or applied.tolerance.unordered:
        meeting = meet_rows(output, under, actual, expected, book, applied.tolerance)
        for verdict, note in meeting.notes:
            yield Difference(output, under, verdict, note=note)
    elif actual.rows != expected.rows:
        note = f"rows: {actual.rows}, expected {expected.rows}"
        lone = say_lone(actual, expected) or _say_curve(output, under, actual, expected, book)
        note = join_notes(note, lone)
        yield from drift(output, under, note, book)
        return
    found = with_exchanged(
        _compare_met(output, under, meeting, book),
        *(_reader(side, under) for side in (meeting.actual, meeting.expected)),
    )
    if applied.rule is None and book.study.on_metric is None:
        yield from _by_key_where_rows_moved(output, under, meeting, book, [*found])
    else:
        yield from found


def _by_key_where_rows_moved(
    output: str, under: str, tables: AlignedTables, book: RuleBook, found: list[Difference]
) -> Iterator[Difference]:
    """The differences; where rows have only moved, those of the rows that belong together."""
    failing = _count_failing(found)
    key = moved_key(tables.actual, tables.expected) if failing else ""
    if key or (failing and are_shuffled(tables.actual, tables.expected)):
        asked = Tolerance(key=(key,)) if key else Tolerance(unordered=True)
        meeting = meet_rows(output, under, tables.actual, tables.expected, book, asked)
        met = [*_compare_met(output, under, meeting, book)]
        # Else a column of ranks is no name of the rows, or other values are in the same rows.
        if _count_failing(met) < failing and (key or not (meeting.notes or _count_failing(met))):
            found = [*drift(output, under, _say_moved(output, under, key, book), book), *met]
    yield from found


def _reader(table: Table, under: str) -> ItemReader:
    """Gives a column's values by the item that it is; none of lists, or with missing cells."""

    def read(item: str) -> Values | None:
        column = table.columns.get(item.removeprefix(f"{under}.") if under else item)
        if column is None or column.depth or column.at is not None:
            return None
        part = load(column)
        lacks = part.missing is not None and bool(np.any(part.missing))
        return None if lacks else part.values

    return read


def _count_failing(found: list[Difference]) -> int:
    return sum(not each.verdict.passes for each in found)


def _say_moved(output: str, under: str, key: str, book: RuleBook) -> str:
    name, column = (json.dumps(text, ensure_ascii=False) for text in (book.key(output, under), key))
    how = f"here they meet by {key}" if key else "they hold the same"
    rule = f"key = {column}" if key else "unordered = true"
    return (
        f"the rows stand in another order; {how}. If their order means nothing, "
        f"a rule says so: {name} = {{ {rule} }}"
    )


def _say_curve(output: str, under: str, actual: Table, expected: Table, book: RuleBook) -> str:
    """What to write where rows are the points of a curve; "" where they do not seem so."""
    axis = named_axis(name for name in expected.columns if name in actual.columns)
    if not axis or not all(_is_line(side.columns[axis]) for side in (actual, expected)):
        return ""
    lines = [_line(side.columns[axis]) for side in (actual, expected)]
    drawn = all(line.size <= MOST_MOVED and is_monotone(line.values().tolist()) for line in lines)
    return say_curve(book.key(output, under), axis) * drawn


def _compare_met(
    output: str, under: str, meeting: AlignedTables, book: RuleBook
) -> Iterator[Difference]:
    """All columns, of rows that have met."""
    sides = meeting.actual, meeting.expected
    for name, right in meeting.expected.columns.items():
        left = meeting.actual.columns.get(name)
        if left is not None:
            place = replace(place_of(output, under, name), met=meeting.numbers is not None)
            for found in compare_columns(place, left, right, meeting.expected.rows, book):
                if not found.verdict.passes:
                    found = replace(found, clock=clock_in_table(name, *sides))
                yield meeting.say(found)


def _without_curves(
    output: str, actual: Table, expected: Table, book: RuleBook, under: str
) -> tuple[Table, Table, tuple[Difference, ...]]:
    """Both tables without the columns that a rule calls curves, and how those differ."""
    prefix = f"{under}." if under else ""
    tables = actual, expected
    lines = [
        {prefix + name: _line(column) for name, column in side.columns.items() if _is_line(column)}
        for side in tables
    ]
    found, taken = split(output, lines[0], lines[1], book, (under,) if under else ())
    left, right = (
        replace(
            side,
            columns={
                name: column for name, column in side.columns.items() if prefix + name not in taken
            },
        )
        for side in tables
    )
    return left, right, found


def _is_line(column: Column) -> bool:
    numbers = column.dtype.kind in NUMBERS
    return numbers and not column.depth and not column.misses and column.at is None


def _line(column: Column) -> Array:
    """A column as it is; one that was read from text as doubles, whichever way it was written."""
    array = column_array(column, column, (column.rows,), uneven=False)
    return array if column.type else cast(array, np.dtype(np.float64))


def place_of(output: str, under: str, name: str) -> ItemLocation:
    if not under:
        return ItemLocation(output, name, is_column=True)
    return ItemLocation(output, f"{under}.{name}", (under,), is_column=True)


def _compare_names(
    output: str, actual: Table, expected: Table, book: RuleBook, under: str, ordered: bool
) -> Iterator[Difference]:
    for note, here, there in (
        ("column missing in the actual run", expected, actual),
        ("column only in the actual run", actual, expected),
    ):
        for name in here.columns:
            if name not in there.columns:
                place = place_of(output, under, name)
                yield from drift(output, place.item, note, book, place.above)
    mine = [name for name in actual.columns if name in expected.columns]
    theirs = [name for name in expected.columns if name in actual.columns]
    if ordered and mine != theirs:
        yield from drift(output, under, "the columns are in another order", book)
