"""How far two blocks of values are apart, element by element, for each kind of dtype."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.tolerance import Precision, precision_of

Values = NDArray[Any]
Dtype = np.dtype[Any]
Floats = NDArray[np.float64]
Counts = NDArray[np.uint64]

_NAT = np.iinfo(np.int64).min
_LARGEST = np.finfo(np.float64).max


class DtypeKind(enum.Enum):
    """What comparing means for a dtype."""

    FLOAT = "float"
    COMPLEX = "complex"
    INTEGER = "integer"
    TIME = "time"
    LABEL = "label"
    BYTES = "bytes"


NUMBER_KINDS = (DtypeKind.FLOAT, DtypeKind.COMPLEX, DtypeKind.INTEGER)


@dataclass(frozen=True)
class Gaps:
    """The elements of a block that are not the same on both sides.

    Args:
        index: their positions in the block.
        error: |actual − expected|; infinite where one side is NaN or infinite and the other not,
            1 for kinds that have no distance.
        magnitude: |expected|.
        ulp: distance in units in the last place, where both are finite floats; else 0.
    """

    index: NDArray[np.intp]
    error: Floats
    magnitude: Floats
    ulp: Counts


def kind_of(dtype: Dtype) -> DtypeKind:
    if precision_of(dtype.name) is not None:
        return DtypeKind.COMPLEX if dtype.kind == "c" else DtypeKind.FLOAT
    if dtype.kind in "iu":
        return DtypeKind.INTEGER
    if dtype.kind in "mM":
        return DtypeKind.TIME
    return DtypeKind.BYTES if dtype.kind == "V" else DtypeKind.LABEL


def measure_gaps(
    actual: Values,
    expected: Values,
    *,
    judged_as: Precision | None,
    signed_zero: bool,
    equal_nan: bool,
) -> Gaps:
    """Compare two flat blocks of the same dtype and length.

    Args:
        judged_as: the format whose units in the last place count.
        signed_zero: −0.0 differs from 0.0.
        equal_nan: NaN (and NaT) equals itself at the same place.
    """
    kind = kind_of(actual.dtype)
    with np.errstate(all="ignore"):
        if kind is DtypeKind.FLOAT:
            same = _same_floats(actual, expected, signed_zero, equal_nan)
            return _float_gaps(actual, expected, same, judged_as)
        if kind is DtypeKind.COMPLEX:
            same = _same_complex(actual, expected, signed_zero, equal_nan)
            return _complex_gaps(actual, expected, same)
        if kind is DtypeKind.INTEGER:
            return _integer_gaps(actual, expected)
        if kind is DtypeKind.TIME:
            return _time_gaps(actual.view(np.int64), expected.view(np.int64), equal_nan)
        if kind is DtypeKind.BYTES:
            width = actual.dtype.itemsize
            left, right = (side.view(np.uint8).reshape(-1, width) for side in (actual, expected))
            return _label_gaps((left == right).all(axis=1))
        return _label_gaps(actual == expected)


def largest_magnitude(values: Values) -> float:
    """The largest finite magnitude in a block; 0 where there is none."""
    kind = kind_of(values.dtype)
    if kind is DtypeKind.INTEGER:
        return float(_integer_magnitude(values).max(initial=0))
    if kind not in (DtypeKind.FLOAT, DtypeKind.COMPLEX):
        return 0.0
    with np.errstate(all="ignore"):
        if kind is DtypeKind.FLOAT and values.size:
            top = max(float(values.max()), -float(values.min()))
            if np.isfinite(top):  # the quick answer for a block without NaN and infinity
                return top
        magnitude = np.abs(values)
        return float(np.max(magnitude, initial=0, where=np.isfinite(magnitude)))


def magnitudes(values: Values) -> Values:
    """|values| of a block of floats or complex numbers."""
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(values))


def ulp_distance(actual: Values, expected: Values) -> Counts:
    """Representable numbers between two blocks of floats; −0.0 and 0.0 are the same number."""
    return _distance(_ordered(actual), _ordered(expected))


def _ordered(values: Values) -> NDArray[np.int64]:
    """Floats (sign and magnitude) as integers in the same order, both zeros at 0."""
    bits = values.view(f"i{values.dtype.itemsize}")
    lowest = -1 << (8 * bits.dtype.itemsize - 1)
    return np.where(bits < 0, lowest - bits, bits).astype(np.int64)


def _distance(left: NDArray[np.int64], right: NDArray[np.int64]) -> Counts:
    """|left − right| of any two int64, which needs 64 bits without a sign."""
    difference = left.view(np.uint64) - right.view(np.uint64)
    return np.where(left > right, difference, 0 - difference)


def _same_floats(actual: Values, expected: Values, signed_zero: bool, equal_nan: bool) -> Values:
    same: Values = actual == expected
    if signed_zero:
        same &= np.signbit(actual) == np.signbit(expected)
    if equal_nan:
        same |= np.isnan(actual) & np.isnan(expected)
    return same


def _same_complex(actual: Values, expected: Values, signed_zero: bool, equal_nan: bool) -> Values:
    if not signed_zero:
        return _same_floats(actual, expected, False, equal_nan)
    part = actual.real.dtype
    left, right = (side.view(part).reshape(-1, 2) for side in (actual, expected))
    return np.asarray(_same_floats(left, right, True, equal_nan).all(axis=1))


def _float_gaps(
    actual: Values, expected: Values, same: Values, judged_as: Precision | None
) -> Gaps:
    index = np.flatnonzero(~same)
    left, right = actual[index], expected[index]
    finite = np.isfinite(left) & np.isfinite(right)
    error = np.abs(left.astype(np.float64) - right.astype(np.float64))
    np.minimum(error, _LARGEST, out=error)  # of numbers near the largest, of different sign
    error[~finite] = np.inf
    if judged_as is not None and judged_as.name != left.dtype.name:
        left, right = left.astype(judged_as.name), right.astype(judged_as.name)
    ulp = np.where(finite, ulp_distance(left, right), np.uint64(0))
    return Gaps(index, error, np.abs(expected[index].astype(np.float64)), ulp)


def _complex_gaps(actual: Values, expected: Values, same: Values) -> Gaps:
    index = np.flatnonzero(~same)
    left, right = actual[index], expected[index]
    finite = np.isfinite(left) & np.isfinite(right)
    wide_left, wide_right = left.astype(np.complex128), right.astype(np.complex128)
    error = np.minimum(np.abs(wide_left - wide_right), _LARGEST)
    error[~finite] = np.inf
    part = left.real.dtype
    parts = ulp_distance(left.view(part), right.view(part)).reshape(-1, 2)
    ulp = np.where(finite, parts.max(axis=1, initial=0), np.uint64(0))
    return Gaps(index, error, np.abs(wide_right), ulp)


def _integer_gaps(actual: Values, expected: Values) -> Gaps:
    index = np.flatnonzero(actual != expected)
    left, right = actual[index], expected[index]
    # Modulo 2**64 the larger minus the smaller is right for signed and unsigned alike.
    bits = left.astype(np.uint64) - right.astype(np.uint64)
    error = np.where(left > right, bits, 0 - bits).astype(np.float64)
    magnitude = _integer_magnitude(right).astype(np.float64)
    return Gaps(index, error, magnitude, np.zeros(len(index), np.uint64))


def _integer_magnitude(values: Values) -> Counts:
    bits = values.astype(np.uint64)
    return np.where(values < 0, 0 - bits, bits)


def _time_gaps(actual: NDArray[np.int64], expected: NDArray[np.int64], equal_nan: bool) -> Gaps:
    """Times as counts of their unit; a missing time is infinitely far from one that is there."""
    same = actual == expected
    if not equal_nan:
        same &= actual != _NAT
    index = np.flatnonzero(~same)
    left, right = actual[index], expected[index]
    error = _distance(left, right).astype(np.float64)
    error[(left == _NAT) | (right == _NAT)] = np.inf
    zeros = np.zeros(len(index))
    return Gaps(index, error, zeros, zeros.astype(np.uint64))


def _label_gaps(same: Values) -> Gaps:
    index = np.flatnonzero(~same)
    zeros = np.zeros(len(index))
    return Gaps(index, np.ones(len(index)), zeros, zeros.astype(np.uint64))
