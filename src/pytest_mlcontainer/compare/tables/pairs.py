"""Two columns of one name → differences: lists, missing cells, rows that only one side has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.tables.columns import Column, mask_of, reblock, take
from pytest_mlcontainer.compare.tables.rows import moved
from pytest_mlcontainer.compare.tables.typed import TypedColumns, meet_columns
from pytest_mlcontainer.compare.values.excused import excused_array
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.wholes import compare_texts_with_numbers, compare_with_wholes
from pytest_mlcontainer.model import Difference, Verdict

_BLOCK = 1 << 16


@dataclass(frozen=True)
class MissingCells:
    """Cells that are missing on one side only.

    Args:
        place: of the first of them, as a flat position.
        in_actual: whether that one is missing in the actual run.
    """

    count: int = 0
    place: int = 0
    in_actual: bool = False


def compare_columns(
    place: ItemLocation, actual: Column, expected: Column, rows: int, book: RuleBook
) -> Iterator[Difference]:
    """One difference; none where a rule ignores it.

    Args:
        rows: of the table, on both sides.
    """
    applied = book.find(place.output, place.item, place.above)
    if applied.tolerance.ignore:
        return
    numbers, lost = None, MissingCells()
    if actual.at is not None or expected.at is not None:
        actual, expected, numbers, lost = _common(actual, expected, rows)
    if actual.depth != expected.depth:
        note = f"{_describe(actual)}, expected {_describe(expected)}"
        yield Difference(place.output, place.item, Verdict.DRIFT, size=rows, note=note)
        return
    shape: tuple[int, ...] = (expected.rows,)
    if expected.depth:
        found, shape = _compare_lengths(place, actual, expected)
        if found is not None:
            yield _move(found, numbers)
            return
    size = math.prod(shape)
    if applied.tolerance.free or applied.tolerance.unordered:
        shape = (size,)
    inner, misses = _find_lost(actual, expected)
    actual, expected = replace(actual, misses=misses), replace(expected, misses=misses)
    met = meet_columns(place, actual, expected, shape, applied.tolerance, bool(inner.count))
    if isinstance(met, str):
        yield Difference(place.output, place.item, Verdict.DRIFT, size=size, note=met)
        return
    whole = not (inner.count or lost.count or met.drift)
    if not whole or expected.depth:
        met = replace(met, place=replace(met.place, is_part=True))
    for found in _compare_met(met, expected.type, book):
        if whole:
            found = excused_array(found, met.actual, met.expected, met.place, book)
        found = _force(found, met.drift)
        found = _move(_add_lost(_locate(found, expected), _located(inner, expected)), numbers)
        yield replace(_add_lost(found, lost), size=size + rows - expected.rows)


def _compare_met(met: TypedColumns, type: str, book: RuleBook) -> Iterator[Difference]:
    sides = met.actual, met.expected
    if met.expected.dtype.hasobject and met.actual.dtype.hasobject and not type:
        return compare_texts_with_numbers(met.place, *sides, book)
    return compare_with_wholes(met.place, *sides, met.wholes, book)


def _common(
    actual: Column, expected: Column, rows: int
) -> tuple[Column, Column, Values | None, MissingCells]:
    """Both columns for the rows in which both occur, and how many rows only one has."""
    every = np.arange(rows)
    left = every if actual.at is None else actual.at
    right = every if expected.at is None else expected.at
    if np.array_equal(left, right):
        return replace(actual, at=None), replace(expected, at=None), right, MissingCells()
    shared, mine, theirs = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    single = np.setxor1d(left, right, assume_unique=True)
    lost = MissingCells(len(single), int(single[0]), bool(np.isin(single[0], right)))
    actual, expected = replace(actual, at=None), replace(expected, at=None)
    return take(actual, mine), take(expected, theirs), shared, lost


def _describe(column: Column) -> str:
    return (
        "a list"
        if column.depth == 1
        else f"{column.depth} levels of lists" * bool(column.depth)
        or (column.type or "a single value")
    )


def _compare_lengths(
    place: ItemLocation, actual: Column, expected: Column
) -> tuple[Difference | None, tuple[int, ...]]:
    """A difference if any list is longer than its counterpart; else the shape of all elements.

    Lists of one length, embeddings for example, are rows of an array: what stands at the same place
    in each has a unit of its own. Others have one axis.
    """
    size = 0
    shape: tuple[int, ...] = (expected.rows,)
    for level in range(expected.depth):
        left = reblock(((part.lengths[level],) for part in actual.parts(_BLOCK)), _BLOCK)
        right = reblock(((part.lengths[level],) for part in expected.parts(_BLOCK)), _BLOCK)
        start = size = 0
        seen: set[int] = set()
        for (mine,), (theirs,) in zip(left, right, strict=True):
            differ = np.flatnonzero(mine != theirs)
            if len(differ):
                at = int(differ[0])
                return _other_lengths(place, expected, level, start + at, mine[at], theirs[at]), ()
            start += len(theirs)
            size += int(np.maximum(theirs, 0).sum())
            seen |= {int(theirs.min()), int(theirs.max())}
        shape = (*shape, *seen)
    even = len(shape) == expected.depth + 1 and min(shape) >= 0 and math.prod(shape) == size
    return None, shape if even else (size,)


def _other_lengths(
    place: ItemLocation, expected: Column, level: int, at: int, mine: int, theirs: int
) -> Difference:
    return Difference(
        place.output,
        place.item,
        Verdict.DRIFT,
        worst_index=_path(expected, level, at),
        worst_actual=_list_text(mine),
        worst_expected=_list_text(theirs),
        differing=1,
        beyond=1,
        size=expected.rows,
        rule="the lengths of lists are part of the value",
        note="from here on lists have other lengths",
    )


def _list_text(length: int) -> str:
    return f"(a list of {length})" if length >= 0 else "(missing)"


def _path(column: Column, level: int, at: int) -> tuple[int, ...]:
    """Row and places in lists of what stands at a flat position below so many levels of lists."""
    path: tuple[int, ...] = ()
    for above in reversed(range(level)):
        start = number = 0
        for part in column.parts(_BLOCK):
            counts = np.maximum(part.lengths[above], 0)
            ends = start + np.cumsum(counts)
            if len(ends) and ends[-1] > at:
                here = int(np.searchsorted(ends, at, side="right"))
                path = (at - int(ends[here] - counts[here]), *path)
                at = number + here
                break
            start = int(ends[-1]) if len(ends) else start
            number += len(counts)
    return (at, *path)


def _locate(found: Difference, column: Column) -> Difference:
    """Flat positions as rows and places in lists."""
    if not column.depth or len(found.worst_index or ()) > 1:
        return found
    return moved(found, lambda index: _path(column, column.depth, index[0]))


def _located(lost: MissingCells, column: Column) -> tuple[MissingCells, tuple[int, ...]]:
    return lost, _path(column, column.depth, lost.place) if lost.count else ()


def _find_lost(actual: Column, expected: Column) -> tuple[MissingCells, bool]:
    """Cells that are missing on one side, and whether any is missing at all."""
    lost, misses = MissingCells(), False
    if not actual.misses and not expected.misses:
        return lost, misses
    left = reblock(((mask_of(part),) for part in actual.parts(_BLOCK)), _BLOCK)
    right = reblock(((mask_of(part),) for part in expected.parts(_BLOCK)), _BLOCK)
    start = 0
    for (mine,), (theirs,) in zip(left, right, strict=True):
        misses = misses or bool(mine.any() or theirs.any())
        differ = np.flatnonzero(mine != theirs)
        if len(differ):
            at = int(differ[0])
            first = (lost.place, lost.in_actual) if lost.count else (start + at, bool(mine[at]))
            lost = MissingCells(lost.count + len(differ), *first)
        start += len(mine)
    return lost, misses


def _add_lost(
    found: Difference, where: MissingCells | tuple[MissingCells, tuple[int, ...]]
) -> Difference:
    lost, path = where if isinstance(where, tuple) else (where, (where.place,))
    if not lost.count:
        return found
    what = "1 value is" if lost.count == 1 else f"{lost.count} values are"
    note = f"{what} missing on one side only, the first at {list(path)}"
    whole = replace(
        found,
        verdict=Verdict.DRIFT,
        differing=found.differing + lost.count,
        beyond=found.beyond + lost.count,
        note="; ".join(text for text in (found.note, note) if text),
    )
    if found.beyond:
        return whole
    texts = ("(missing)", "(a value)") if lost.in_actual else ("(a value)", "(missing)")
    return replace(
        whole, worst_index=path, worst_actual=texts[0], worst_expected=texts[1], elements=()
    )


def _move(found: Difference, numbers: Values | None) -> Difference:
    if numbers is None:
        return found
    return moved(found, lambda index: (int(numbers[index[0]]), *index[1:]))


def _force(found: Difference, note: str) -> Difference:
    if not note:
        return found
    numbers = note.startswith("type ")
    same = "; the values are the same" if numbers and not found.differing else ""
    return replace(
        found,
        verdict=Verdict.DRIFT,
        rule="the type is part of the value",
        note="; ".join(text for text in (found.note, note + same) if text),
        max_ulp=None,
    )
