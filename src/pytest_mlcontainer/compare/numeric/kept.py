"""Numbers stored in a wider type than they were computed in: ids as floats, float32 as float64.

pandas stores whole numbers as floats where one is missing; an id that is off by one is then off by
a relative 1e-9, which the tolerance for floats would allow. And `float()` of a prediction makes a
float64 of a float32, which keeps the rounding of a float32. The dtype shows neither, the values do.

A float64 below 2**36 has at least 16 bits behind the point, so two of them that differ and are both
whole were meant to be whole. A large float32 is always whole, so it shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.meter import Measured
from pytest_mlcontainer.compare.numeric.numbers import SURELY_WHOLE, hold_float32
from pytest_mlcontainer.compare.numeric.tolerance import FLOAT32, FLOAT64, Bound, Precision

_BLOCK = 1 << 16
_EVIDENCE = 24
_FLOAT32_WHOLE = 2.0**24
_EXACT = Bound("exact for whole numbers")


@dataclass(frozen=True)
class Reinterpretation:
    """The values as they were computed, and how to judge them.

    Args:
        actual: the actual values; those that are within the tolerance as expected.
        bound: where it is not the default of `judged_as`.
    """

    actual: Array
    judged_as: Precision
    note: str
    bound: Bound | None = None


def find_kept(
    actual: Array, expected: Array, own: Precision, known: bool, measured: Measured
) -> Reinterpretation | None:
    """None for values that are what their type says, or where that would change no verdict.

    Args:
        actual, expected: of one dtype, shape and order.
        own: the precision of their type.
        known: whether their precision is known from elsewhere.
        measured: how they differ, by the default tolerance of their type.
    """
    if kind_of(expected.dtype) is not DtypeKind.FLOAT:
        return None
    if measured.beyond:
        if known or own is not FLOAT64 or not hold_float32(actual, expected):
            return None
        return Reinterpretation(actual, FLOAT32, "float64 that holds float32, so judged as that")
    found = None
    if measured.max_abs < 1:  # no two whole numbers are that near
        return None
    if own is FLOAT64:
        found = _other_wholes(actual, expected)
    elif own is FLOAT32 and _hold_wholes(actual, expected):
        found = actual
    note = "whole numbers that are kept as floats are exact"
    return None if found is None else Reinterpretation(found, own, note, _EXACT)


def _other_wholes(actual: Array, expected: Array) -> Array | None:
    """The expected values, with those that are whole on both sides and differ as they are."""
    found, all_whole, all_narrow = False, True, True
    for left, right in zip(actual.blocks(_BLOCK), expected.blocks(_BLOCK), strict=True):
        found = found or bool(_differing_wholes(left, right).any())
        for block in (left, right):
            all_whole = all_whole and _are_whole(block)
            all_narrow = all_narrow and _are_float32(block)
    if not found or (all_narrow and not all_whole):
        return None
    left, right = (side.values().ravel(order=expected.order) for side in (actual, expected))
    where = _differing_wholes(left, right)
    if all_narrow:
        where &= np.abs(right) < _FLOAT32_WHOLE
    if not where.any():
        return None
    flat = np.where(where, left, right)
    return Array(expected.dtype, expected.shape, array_of(flat).blocks, expected.order)


def _differing_wholes(left: Values, right: Values) -> Values:
    with np.errstate(invalid="ignore"):
        whole = (left == np.rint(left)) & (right == np.rint(right)) & (left != right)
        return np.asarray(whole & (np.abs(right) < SURELY_WHOLE))


def _are_whole(block: Values) -> bool:
    there = np.isfinite(block)
    return bool((block[there] == np.rint(block[there])).all())


def _are_float32(block: Values) -> bool:
    with np.errstate(over="ignore", under="ignore"):
        return bool(np.array_equal(block.astype(np.float32), block, equal_nan=True))


def _hold_wholes(*arrays: Array) -> bool:
    """Whether float32 is whole throughout, and not by accident.

    A number of magnitude m has log2(1 / (m * eps)) places behind the point; all of these being 0 is
    evidence, of which 24 places are enough.
    """
    evidence = 0.0
    for array in arrays:
        for block in array.blocks(_BLOCK):
            values = np.abs(block[np.isfinite(block) & (block != 0)].astype(np.float64))
            if not values.size:
                continue
            if float(values.max()) > _FLOAT32_WHOLE or (values != np.rint(values)).any():
                return False
            evidence -= float(np.ceil(np.log2(values * FLOAT32.eps)).sum())
    return evidence >= _EVIDENCE
