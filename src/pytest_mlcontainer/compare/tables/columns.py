"""A column of a table: its cells as flat values, what is missing, and how long its lists are.

Cells are read in parts and as often as asked, so that a column's size costs no memory. A column of
lists is kept as Parquet keeps it: all elements one after another, and the lengths that cut them
into lists, level by level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.numbers import NOT_WHOLE

PART_ROWS = 1 << 16
_LONGEST = 1024
_SHOWN = 100

Text = TypeVar("Text", str, bytes)


@dataclass(frozen=True)
class ColumnChunk:
    """Consecutive cells of a column.

    Args:
        values: its cells, or the elements of its lists; anything where one is missing.
        missing: for each value 0 if it is there, else a number that says in which way it is
            missing (by itself, or with the struct around it); None if all are there.
        lengths: for each level of lists, outermost first, how long each list is; below 0 for a
            list that is missing.
        wholes: for numbers that were read from text and are not all whole: those that were written
            as whole numbers, as `wholes` keeps them; None where there are none.
    """

    values: Values
    missing: Values | None = None
    lengths: tuple[Values, ...] = ()
    wholes: Values | None = None


@dataclass(frozen=True)
class Column:
    """A column that is read in parts.

    Args:
        type: its type where the format has one, which is then part of the value; "" where the
            values were read from text.
        parts: given about how many rows to read at once, the parts.
        rows: how many rows the parts hold together.
        depth: levels of lists.
        misses: whether anything may be missing.
        at: the rows that the parts are for, ascending, if there are others in which this column
            does not occur at all.
    """

    type: str
    dtype: Dtype
    parts: Callable[[int], Iterator[ColumnChunk]]
    rows: int
    depth: int = 0
    misses: bool = False
    at: Values | None = None


@dataclass(frozen=True)
class Table:
    """Columns by name, in their order."""

    columns: Mapping[str, Column]
    rows: int


def column_of(
    values: Values,
    type: str = "",
    missing: Values | None = None,
    lengths: tuple[Values, ...] = (),
    at: Values | None = None,
    wholes: Values | None = None,
) -> Column:
    """A column that is in memory already."""
    part = ColumnChunk(values, missing, lengths, wholes)
    rows = len(lengths[0]) if lengths else len(values)
    return Column(
        type, values.dtype, lambda _: iter((part,)), rows, len(lengths), missing is not None, at
    )


def load(column: Column) -> ColumnChunk:
    """All of the column in memory."""
    parts = list(column.parts(PART_ROWS))
    if len(parts) == 1:
        return parts[0]  # which is every column that may hold `wholes`
    values = [part.values for part in parts]
    missing = None
    if any(part.missing is not None for part in parts):
        missing = np.concatenate([mask_of(part) for part in parts])
    return ColumnChunk(
        np.concatenate(values) if values else np.empty(0, column.dtype),
        missing,
        tuple(
            np.concatenate([part.lengths[level] for part in parts] or [np.empty(0, np.int64)])
            for level in range(column.depth)
        ),
    )


def take(column: Column, places: Values) -> Column:
    """The rows at these places, in memory; `at` has to be None."""
    part = load(column)
    lengths = []
    for level in part.lengths:
        counts = np.maximum(level, 0)
        starts = np.cumsum(counts) - counts
        lengths.append(level[places])
        places = _ranges(starts[places], counts[places])
    missing = None if part.missing is None else part.missing[places]
    wholes = None if part.wholes is None else part.wholes[places]
    return column_of(part.values[places], column.type, missing, tuple(lengths), wholes=wholes)


def spread(column: Column, rows: int) -> Column:
    """A column that does not occur in every row, as one that is missing there."""
    if column.at is None:
        return column
    if column.depth:
        part = load(column)
        lengths = np.full(rows, -9, np.int64)
        lengths[column.at] = part.lengths[0]
        every = lengths, *part.lengths[1:]
        return column_of(part.values, column.type, part.missing, every, wholes=part.wholes)
    part = load(column)
    values = np.zeros(rows, column.dtype)
    values[column.at] = part.values
    missing = np.full(rows, 9, np.uint8)
    missing[column.at] = mask_of(part)
    wholes = None
    if part.wholes is not None:
        wholes = np.full(rows, NOT_WHOLE, np.int64)
        wholes[column.at] = part.wholes
    return column_of(values, column.type, missing, wholes=wholes)


def mask_of(part: ColumnChunk) -> Values:
    if part.missing is None:
        return np.zeros(len(part.values), np.uint8)
    return part.missing


def reblock(parts: Iterator[tuple[Values, ...]], length: int) -> Iterator[tuple[Values, ...]]:
    """The same values in blocks of one length, the last of them shorter; copied only if need be.

    Args:
        parts: arrays of the same length that belong together.
    """
    waiting: list[tuple[Values, ...]] = []
    have = 0
    for part in parts:
        start, count = 0, len(part[0])
        while start < count:
            end = min(count, start + length - have)
            waiting.append(tuple(each[start:end] for each in part))
            have += end - start
            start = end
            if have == length:
                yield _joined(waiting)
                waiting, have = [], 0
    if have:
        yield _joined(waiting)


def shorten(value: Text) -> Text:
    """A very long text or byte string as its beginning, length and SHA-256, which say as much."""
    if len(value) <= _LONGEST:
        return value
    if isinstance(value, str):
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{value[:_SHOWN]}… ({len(value)} characters, SHA-256 {digest})"
    digest = hashlib.sha256(value).hexdigest()
    return value[:_SHOWN] + b"... (%d bytes, SHA-256 %s)" % (len(value), digest.encode())


def objects(values: list[Any]) -> Values:
    """A flat array of objects, whatever they are."""
    found = np.empty(len(values), object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def unique_names(names: list[str]) -> list[str]:
    """Names that occur again get their position: `x`, `x#1`."""
    found: dict[str, None] = {}
    for position, name in enumerate(names):
        found[f"{name}#{position}" if name in found else name] = None
    return list(found)


def _joined(blocks: list[tuple[Values, ...]]) -> tuple[Values, ...]:
    if len(blocks) == 1:
        return blocks[0]
    return tuple(np.concatenate(each) for each in zip(*blocks, strict=True))


def _ranges(starts: Values, counts: Values) -> Values:
    """start, start + 1, … for each start, as many as its count, one after another."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - counts), counts))
