"""Two columns as arrays of one dtype, as far as their types have one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.numbers import NOT_WHOLE, bring_together
from pytest_mlcontainer.compare.numeric.tolerance import precision_of
from pytest_mlcontainer.compare.tables.columns import (
    Column,
    ColumnChunk,
    load,
    mask_of,
    objects,
    reblock,
)
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.wholes import WholeNumbers, wholes_of_both
from pytest_mlcontainer.model import Tolerance

NUMBERS = "iuf"


@dataclass(frozen=True)
class TypedColumns:
    """Both sides as arrays of one dtype; `drift` is a structural difference, where there is one."""

    actual: Array
    expected: Array
    place: ItemLocation
    drift: str = ""
    wholes: WholeNumbers | None = None


def meet_columns(
    place: ItemLocation,
    actual: Column,
    expected: Column,
    shape: tuple[int, ...],
    tolerance: Tolerance,
    uneven: bool,
) -> TypedColumns | str:
    """Both columns as arrays; a text where their types have nothing in common.

    Args:
        uneven: cells are missing on one side only.
    """
    sides = (actual, expected), (expected, actual)
    left, right = (column_array(column, other, shape, uneven) for column, other in sides)
    if not actual.type and not expected.type:
        wholes = wholes_of_both(*(_wholes(*pair) for pair in sides))
        return _meet_loose(place, left, right, wholes, tolerance)
    if actual.type == expected.type and actual.dtype == expected.dtype:
        if actual.type.startswith("decimal") and _has_bound(tolerance):
            left, right = cast(left, np.dtype(np.float64)), cast(right, np.dtype(np.float64))
        return TypedColumns(left, right, place)
    note = f"type {actual.type}, expected {expected.type}"
    dtype = _common_dtype(left.dtype, right.dtype)
    decimals = all(side.type.startswith("decimal") for side in (actual, expected))
    if dtype is None or (left.dtype.hasobject and not decimals):
        return note
    names = [side.dtype.name for side in (left, right)]
    precisions = [each for each in map(precision_of, names) if each is not None]
    coarser = max(precisions, key=lambda each: each.eps, default=None)
    place = replace(place, judged_as=coarser if dtype.kind == "f" else None)
    drift = "" if tolerance.any_dtype else note
    return TypedColumns(cast(left, dtype), cast(right, dtype), place, drift)


def _meet_loose(
    place: ItemLocation,
    left: Array,
    right: Array,
    wholes: WholeNumbers | None,
    tolerance: Tolerance,
) -> TypedColumns | str:
    """Columns that were read from text, which has no dtype of its own."""
    numeric = [side.dtype.kind in NUMBERS for side in (left, right)]
    if all(numeric):
        sides = left.values(), right.values()
        both = bring_together(*sides, as_doubles=_has_bound(tolerance))
        place = replace(place, judged_as=both.judged_as, note=both.note)
        return TypedColumns(array_of(both.actual), array_of(both.expected), place, wholes=wholes)
    if left.dtype == right.dtype:
        return TypedColumns(left, right, place)
    names = [_noun(side.dtype) for side in (left, right)]
    if not right.size:
        return TypedColumns(right, right, place)
    note = f"a column of {names[0]}, expected {names[1]}"
    if any(side.dtype.kind == "f" and np.isnan(side.values()).any() for side in (left, right)):
        note = f"{note}; a NaN is shown as an empty cell"
    return TypedColumns(_texts(left), _texts(right), place, note)


def _wholes(column: Column, other: Column) -> Values | None:
    """Which of its numbers were written as whole ones, where no side misses them."""
    if column.dtype.kind not in NUMBERS:
        return None
    part = load(column)
    found = part.wholes
    if part.values.dtype == np.int64:
        found = part.values
    elif part.values.dtype == np.uint64:
        found = part.values.view(np.int64)
    if found is None or not (column.misses or other.misses):
        return found
    missing = (mask_of(part) > 0) | (mask_of(load(other)) > 0)
    return np.where(missing, NOT_WHOLE, found)


def _noun(dtype: Dtype) -> str:
    if dtype.kind in NUMBERS:
        return "numbers"
    return "booleans" if dtype.kind == "b" else "text"


def _texts(array: Array) -> Array:
    values = array.values()
    if values.dtype.hasobject:
        return array_of(values)
    texts = [repr(value) for value in values.tolist()]
    return array_of(objects(["" if text == "nan" else text for text in texts]))


def _has_bound(tolerance: Tolerance) -> bool:
    given = (tolerance.rtol, tolerance.atol, tolerance.scale, tolerance.margin, tolerance.ulp)
    return any(each is not None for each in given)


def _common_dtype(left: Dtype, right: Dtype) -> Dtype | None:
    """A dtype that both can be compared in; None where there is none."""
    if left == right:
        return left
    if left.kind in "biuf" and right.kind in "biuf":
        if "f" in (left.kind, right.kind):
            return np.dtype(np.float64)
        found = np.result_type(left, right)
        return np.dtype(object) if found.kind == "f" else found
    if left.kind == right.kind and left.kind in "mM":
        return np.result_type(left, right)
    return None


def cast(array: Array, dtype: Dtype) -> Array:
    if array.dtype == dtype:
        return array

    def blocks(length: int) -> Iterator[Values]:
        for block in array.blocks(length):
            yield block.astype(dtype)

    return Array(dtype, array.shape, blocks)


def column_array(column: Column, other: Column, shape: tuple[int, ...], uneven: bool) -> Array:
    """The column's values as an array, with 0 for what is missing.

    Args:
        uneven: values may be missing on one side only; then they count on neither.
    """
    zero = np.zeros((), column.dtype)[()]

    def blocks(length: int) -> Iterator[Values]:
        if not column.misses and not uneven:
            for (values,) in reblock(((part.values,) for part in column.parts(length)), length):
                yield values
            return
        pairs = _masked(column.parts(length))
        masks = ((mask_of(part),) for part in other.parts(length))
        if not uneven:
            for values, missing in reblock(pairs, length):
                yield np.where(missing > 0, zero, values)
            return
        for (values, missing), (theirs,) in zip(
            reblock(pairs, length), reblock(masks, length), strict=True
        ):
            yield np.where((missing > 0) | (theirs > 0), zero, values)

    return Array(column.dtype, shape, blocks)


def _masked(parts: Iterator[ColumnChunk]) -> Iterator[tuple[Values, Values]]:
    for part in parts:
        yield part.values, mask_of(part)
