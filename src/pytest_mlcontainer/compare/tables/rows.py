"""Pairs the rows of two tables where their order does not count.

By key: rows with equal key columns are a pair. Without one, a table is a multiset of rows: all
columns that are compared exactly are the key, and among rows of the same key the others are paired
in sorted order, column after column. Two rows that a column tells apart, by more than twice what
its tolerance allows, stay apart from there on, so that a value is seen to move from one row to
another. Rows that it cannot tell apart may exchange the values of later columns unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.numbers import bring_together
from pytest_mlcontainer.compare.numeric.scale import typical_noise
from pytest_mlcontainer.compare.numeric.tolerance import Bound, Precision, make_bound, precision_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.tables.columns import (
    Column,
    ColumnChunk,
    Table,
    load,
    mask_of,
    objects,
    spread,
    take,
)
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from pytest_mlcontainer.wording import first_of, truncate

_NAMED = 3
_SHOWN = 40


@dataclass(frozen=True)
class AlignedTables:
    """Two tables with their rows in the same order.

    Args:
        notes: what is to be said about rows that have none.
        numbers: where the rows stand in the expected table; None for as they are.
        label: what the key of the row at a place is.
    """

    actual: Table
    expected: Table
    notes: tuple[tuple[Verdict, str], ...] = ()
    numbers: Values | None = None
    label: Callable[[int], str] | None = None

    def say(self, found: Difference) -> Difference:
        """The difference with the row that it is in, in the expected table's own numbers."""
        if self.numbers is None or not found.worst_index:
            return found
        numbers = self.numbers
        there = moved(found, lambda index: (int(numbers[index[0]]), *index[1:]))
        if self.label is None:
            return there
        note = f"{found.note}; " if found.note else ""
        return replace(there, note=f"{note}worst at {self.label(found.worst_index[0])}")


@dataclass(frozen=True)
class _Pairs:
    """Places of rows that meet, and the group that each pair is in."""

    mine: Values
    theirs: Values
    group: Values

    def sorted_by(self, order: tuple[Values, Values]) -> _Pairs:
        return _Pairs(self.mine[order[0]], self.theirs[order[1]], self.group[order[1]])


@dataclass(frozen=True)
class _Close:
    """A column of numbers that is compared with a tolerance."""

    actual: ColumnChunk
    expected: ColumnChunk
    bound: Bound


def moved(found: Difference, move: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Difference:
    """The difference with its places moved."""
    if found.worst_index is None:
        return found
    elements = tuple(replace(each, index=move(each.index)) for each in found.elements)
    return replace(found, worst_index=move(found.worst_index), elements=elements)


def meet_rows(
    output: str,
    under: str,
    actual: Table,
    expected: Table,
    book: RuleBook,
    tolerance: Tolerance,
) -> AlignedTables:
    """Bring counterparts together, as `key` or `unordered` of the rule ask for.

    Returns:
        The rows that have a counterpart, in the expected table's order, and notes on the rows that
        have none.
    """
    if tolerance.key:
        problem = _missing_keys(tolerance.key, actual, expected)
        if problem is not None:
            return AlignedTables(Table({}, 0), Table({}, 0), (problem,))
    tolerances = {
        name: book.peek(output, f"{under}.{name}" if under else name, (under,) if under else ())
        for name in expected.columns
        if name in actual.columns
    }
    kept = {name for name, each in tolerances.items() if not each.tolerance.ignore}
    names = tolerance.key
    close: list[_Close] = []
    if not names:
        names, close = _divide(
            actual, expected, {name: tolerances[name].tolerance for name in kept}
        )
    codes = _codes(names, actual, expected)
    pairs = _pair(*codes)
    for column in close:
        pairs = _refine(pairs, column)
    order = np.argsort(pairs.theirs)
    mine, theirs = pairs.mine[order], pairs.theirs[order]
    label = partial(_label, names, expected)
    notes = _single_rows(names, actual, expected, mine, theirs)
    if tolerance.key:
        notes = (*_repeated(codes[1], label), *notes)
    return AlignedTables(
        _taken(actual, mine),
        _taken(expected, theirs),
        notes,
        theirs,
        (lambda row: label(int(theirs[row]))) if tolerance.key else None,
    )


def _missing_keys(
    key: tuple[str, ...], actual: Table, expected: Table
) -> tuple[Verdict, str] | None:
    for name in key:
        sides = [name in table.columns for table in (actual, expected)]
        if all(sides):
            if actual.columns[name].depth or expected.columns[name].depth:
                return Verdict.FAILED, f"the key {name!r} is a column of lists"
            continue
        there = ", ".join([*expected.columns][:5])
        if not any(sides):
            return Verdict.FAILED, f"the key {name!r} is no column; there are: {there}"
        where = "expected" if sides[0] else "missing in the actual run"
        where = "only in the actual run" if sides[0] else where
        return Verdict.DRIFT, f"the key column {name!r} is {where}, so that no rows meet"
    return None


def _divide(
    actual: Table, expected: Table, tolerances: dict[str, Tolerance]
) -> tuple[tuple[str, ...], list[_Close]]:
    """Names of the columns that are compared exactly, and the others that can be sorted."""
    names: list[str] = []
    close: list[_Close] = []
    for name, column in expected.columns.items():
        if name not in tolerances or column.depth or actual.columns[name].depth:
            continue
        left = load(spread(actual.columns[name], actual.rows))
        right = load(spread(column, expected.rows))
        bound = _bound(left.values, right.values, bool(column.type), tolerances[name])
        if bound.exact:
            names.append(name)
        else:
            close.append(_Close(left, right, bound))
    return tuple(names), close


def _bound(left: Values, right: Values, typed: bool, tolerance: Tolerance) -> Bound:
    if left.dtype.kind not in "iuf" or right.dtype.kind not in "iuf":
        return Bound("exact", exact=True)
    judged_as: Precision | None = precision_of(right.dtype.name)
    if not typed:
        judged_as = bring_together(left, right).judged_as
        if judged_as is None and "f" in (left.dtype.kind, right.dtype.kind):
            judged_as = precision_of("float64")
    bound = make_bound(tolerance, judged_as)
    if bound.noise is None:
        return bound
    finite = np.abs(right[np.isfinite(right)].astype(np.float64))
    return replace(bound, floor=max(bound.floor, typical_noise(finite, bound.noise)))


def _codes(names: tuple[str, ...], actual: Table, expected: Table) -> tuple[Values, Values]:
    """For each row of both tables a number that says which rows have the same values."""
    total = np.zeros(actual.rows + expected.rows, np.int64)
    for name in names:
        sides = [load(spread(table.columns[name], table.rows)) for table in (actual, expected)]
        missing = np.concatenate([mask_of(side) for side in sides]).astype(np.int64)
        values = _numbered(*(side.values for side in sides))
        values = np.where(missing > 0, -missing, values)
        values -= values.min(initial=0)
        total = total * (int(values.max(initial=0)) + 1) + values
        total = np.unique(total, return_inverse=True)[1].reshape(-1)
    return total[: actual.rows], total[actual.rows :]


def _numbered(left: Values, right: Values) -> Values:
    """The values as small whole numbers, equal for equal values."""
    kinds = {left.dtype.kind, right.dtype.kind}
    if kinds <= set("biuf") or (len(kinds) == 1 and kinds <= set("mM")):
        values = np.concatenate([left, right])
        exact = values.dtype.kind != "f" or kinds <= set("bf")
        if exact or not _beyond_double(left, right):
            return np.unique(values, return_inverse=True)[1].reshape(-1)
    texts = [side if side.dtype.hasobject else objects(side.tolist()) for side in (left, right)]
    if len({side.dtype.hasobject for side in (left, right)}) > 1:
        texts = [objects([str(value) for value in side]) for side in texts]
    known: dict[object, int] = {}
    every = np.concatenate(texts)
    return np.array([known.setdefault(value, len(known)) for value in every], np.int64)


def _beyond_double(left: Values, right: Values) -> bool:
    sides = [side for side in (left, right) if side.dtype.kind in "iu" and side.size]
    return any(int(side.max()) > 2**53 or int(side.min()) < -(2**53) for side in sides)


def _pair(left: Values, right: Values) -> _Pairs:
    """Rows of the same code meet in the order they stand in."""
    width = int(max(np.bincount(side).max(initial=0) for side in (left, right))) + 1
    mine, theirs = (_occurrence(side) + side * width for side in (left, right))
    _, first, second = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return _Pairs(first, second, right[second])


def _occurrence(codes: Values) -> Values:
    """For each place, how often its code came before."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(codes) else order
    counts = np.diff(np.r_[starts, len(codes)])
    found = np.empty(len(codes), np.int64)
    found[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    return found


def _refine(pairs: _Pairs, column: _Close) -> _Pairs:
    """Within each group, put the rows in this column's order, and divide it where that is clear."""
    orders = []
    for part, places in ((column.actual, pairs.mine), (column.expected, pairs.theirs)):
        missing = mask_of(part)[places]
        values = np.where(missing > 0, 0, part.values[places])
        orders.append(np.lexsort((values, missing, pairs.group)))
    pairs = pairs.sorted_by((orders[0], orders[1]))
    values = column.expected.values[pairs.theirs].astype(np.float64)
    missing = mask_of(column.expected)[pairs.theirs]
    values[missing > 0] = 0
    apart = pairs.group[1:] != pairs.group[:-1]
    apart |= missing[1:] != missing[:-1]
    with np.errstate(all="ignore"):
        gap = values[1:] - values[:-1]
        allowed = _allowed(values, column.bound)
        apart |= gap > allowed[1:] + allowed[:-1]
    apart |= np.isnan(values[1:]) != np.isnan(values[:-1])
    return replace(pairs, group=np.cumsum(np.r_[False, apart]) if len(values) else pairs.group)


def _allowed(values: Values, bound: Bound) -> Values:
    size = np.abs(values)
    if bound.ulp is not None:
        # The values may be narrower than float64: an eps of float16 is the widest there is.
        return np.asarray(bound.ulp * size * float(np.finfo(np.float16).eps))
    return np.asarray(bound.atol + np.maximum(bound.rtol * size, bound.floor))


def _taken(table: Table, places: Values) -> Table:
    """The rows at these places; a column is not read before it is asked for."""
    columns = {
        name: replace(
            column,
            parts=partial(_take_parts, column, table.rows, places),
            rows=len(places),
            at=None,
            misses=column.misses or column.at is not None,
        )
        for name, column in table.columns.items()
    }
    return Table(columns, len(places))


def _take_parts(column: Column, rows: int, places: Values, _length: int) -> Iterator[ColumnChunk]:
    yield load(take(spread(column, rows), places))


def _single_rows(
    names: tuple[str, ...], actual: Table, expected: Table, mine: Values, theirs: Values
) -> tuple[tuple[Verdict, str], ...]:
    notes = []
    for table, places, what in (
        (expected, theirs, "missing in the actual run"),
        (actual, mine, "only in the actual run"),
    ):
        single = np.setdiff1d(np.arange(table.rows), places, assume_unique=True)
        if len(single):
            labels = [_label(names, table, int(row)) for row in single[: _NAMED + 1]]
            noun = "1 row is" if len(single) == 1 else f"{len(single)} rows are"
            notes.append((Verdict.DRIFT, f"{noun} {what}: {first_of(labels, _NAMED, '; ')}"))
    return tuple(notes)


def _repeated(codes: Values, label: Callable[[int], str]) -> tuple[tuple[Verdict, str], ...]:
    """A key that does not tell all rows apart is said, with the first few that it does not."""
    counts = np.bincount(codes)
    often = np.flatnonzero(counts > 1)
    if not len(often):
        return ()
    first = [int(np.flatnonzero(codes == code)[0]) for code in often[:_NAMED]]
    shown = "; ".join(label(row) for row in sorted(first))
    more = "; …" if len(often) > _NAMED else ""
    noun = "1 key occurs" if len(often) == 1 else f"{len(often)} keys occur"
    note = f"{noun} more than once, and such rows meet in their order: {shown}{more}"
    return ((Verdict.IDENTICAL, note),)


def _label(names: tuple[str, ...], table: Table, row: int) -> str:
    """The key of a row: `id = 7, split = test`; the row's number where there is none."""
    if not names:
        return f"row {row}"
    return ", ".join(
        f"{name} = {_cell(spread(table.columns[name], table.rows), row)}" for name in names[:5]
    )


def _cell(column: Column, row: int) -> str:
    part = take(column, np.array([row]))
    found = load(part)
    if mask_of(found)[0]:
        return "(missing)"
    return truncate(str(found.values[0]), _SHOWN)
