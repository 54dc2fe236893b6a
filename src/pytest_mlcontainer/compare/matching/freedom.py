"""Values whose sign or order a method leaves undetermined, aligned with the reference's.

Alignments are tried one after the other, the cheapest first, until one passes. The rule allows each
of them, so the first that passes is the answer; where none does, the last is the best one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.matching.vectors import (
    MOST_ROWS,
    Matching,
    Places,
    is_number,
    match_nearest,
    match_same,
    sort_rows,
)
from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.model import Freedom, Tolerance


@dataclass(frozen=True)
class AlignedValues:
    """The actual values, turned and put in the reference's order; `note` says what was done."""

    values: Values
    note: str = ""


def ways(actual: Values, expected: Values, tolerance: Tolerance) -> Iterator[AlignedValues]:
    """Every way worth a try, the actual values as they are first.

    Args:
        actual, expected: of one shape and dtype.

    Raises:
        UnmatchableError: while iterating: the best way cannot be found.
    """
    yield AlignedValues(actual)
    if not actual.ndim:
        if Freedom.SIGN in tolerance.free and _has_sign(actual):
            yield AlignedValues(-actual, "the sign is turned")
        return
    signed = Freedom.SIGN in tolerance.free and _has_sign(actual)
    ordered = not (tolerance.unordered or Freedom.ORDER in tolerance.free)
    if actual.ndim == 1:
        yield from _lines(actual, expected, signed, ordered)
        return
    axis = 0 if tolerance.unordered else tolerance.axis
    left, right = _vectors(actual, axis), _vectors(expected, axis)
    noun = "row" if tolerance.unordered else "vector"
    if ordered:
        matching = Matching(np.arange(len(left)), np.arange(0))
        yield _lay(left, right, matching, signed, noun, actual.shape, axis)
        return
    first = match_same(left, right, signed)
    yield _lay(left, right, first, signed, noun, actual.shape, axis)
    if len(first.open) and is_number(left):
        best = match_nearest(left, right, first, signed)
        yield _lay(left, right, best, signed, noun, actual.shape, axis)


def same_records(actual: Values, expected: Values) -> Values:
    """The records of a structured array in the reference's order: whole ones meet, never fields."""
    left, right = (np.ascontiguousarray(side).reshape(-1) for side in (actual, expected))
    rows = [_record_rows(side) for side in (left, right)]
    matching = match_same(rows[0], rows[1], signed=False)
    return left[matching.partners].reshape(actual.shape)


def _record_rows(records: Values) -> Values:
    rows = np.empty((len(records), 1), object)
    rows[:, 0] = [repr(record) for record in records.tolist()]
    return rows


def _has_sign(values: Values) -> bool:
    return is_number(values) and values.dtype.kind != "u"


def _lines(
    actual: Values, expected: Values, signed: bool, ordered: bool
) -> Iterator[AlignedValues]:
    """The ways of an array of one dimension: its sign is that of the whole, its order is free."""
    turns = [("", actual)]
    if signed:
        turns.append(("the sign is turned", -actual))
    for note, values in turns:
        if ordered:
            if note:
                yield AlignedValues(values, note)
            continue
        left, right = values[:, None], expected[:, None]
        sorted_note = "; ".join(text for text in (note, "in another order") if text)
        # Sorted to sorted is what lies closest together; where that does not do, the same values
        # meet first, so that only what is really new is shown.
        partners = np.empty(len(right), np.intp)
        partners[_sort(right)] = _sort(left)
        yield AlignedValues(values[partners], sorted_note)
        if len(right) > MOST_ROWS:
            continue
        yield AlignedValues(values[match_same(left, right, signed=False).partners], sorted_note)


def _sort(column: Values) -> Places:
    if kind_of(column.dtype) is DtypeKind.FLOAT and column.dtype.kind == "f":
        return np.argsort(column[:, 0], kind="stable")
    return sort_rows(column)


def _vectors(values: Values, axis: int) -> Values:
    """The vectors as rows."""
    front = np.moveaxis(values, axis, 0)
    length = int(np.prod(front.shape[1:], dtype=object))
    return front.reshape(len(front), length)


def _lay(
    left: Values,
    right: Values,
    matching: Matching,
    signed: bool,
    noun: str,
    shape: tuple[int, ...],
    axis: int,
) -> AlignedValues:
    """The actual vectors in the expected order, each with the sign that fits better."""
    moved = int(np.count_nonzero(matching.partners != np.arange(len(right))))
    rows = left[matching.partners]
    turned = np.zeros(len(rows), bool)
    if signed:
        turned = _dot(rows, right) < 0
        rows = np.where(turned[:, None], -rows, rows)
    notes = []
    if moved:
        notes.append(f"{moved} of {_count(len(rows), noun)} at another place")
    if turned.any():
        notes.append(f"{int(turned.sum())} of {_count(len(rows), noun)} with the sign turned")
    front = (shape[axis], *(length for each, length in enumerate(shape) if each != axis))
    return AlignedValues(np.moveaxis(rows.reshape(front), 0, axis), "; ".join(notes))


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _dot(left: Values, right: Values) -> Values:
    """The real part of each pair's product, over elements that are finite on both sides."""
    wide = np.complex128 if left.dtype.kind == "c" else np.float64
    a, b = left.astype(wide), right.astype(wide)
    finite = np.isfinite(a) & np.isfinite(b)
    sides = []
    for side in (a, b):
        plain = np.where(finite, side, 0)
        top = np.abs(plain).max(axis=1, initial=0.0, keepdims=True)
        sides.append(plain / np.where(top > 0, top, 1))
    return np.asarray((sides[0].conj() * sides[1]).sum(axis=1).real)
