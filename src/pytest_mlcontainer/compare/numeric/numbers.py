"""Numbers without a type of their own: what type they have, and how precisely they count.

Text has no dtype. Whole numbers on both sides are integers and have to be equal, also where they
stand beside gaps and decimals (`wholes`) or are ids that no double holds beside the double that was
made of them (1.2345678901234568e+18). Anything else is judged as float64, unless the numbers
themselves show that they were float32 before they were written, which is what `float(tensor)` and a
float32 column leave behind. They show it when every one of them is either a float32 exactly
(0.30000001192092896) or what the float32 beside it is written as with 7 to 9 digits (0.1234567; but
not 1048576.45, whose float32 is 1048576.5). Fewer digits prove nothing, so an accuracy of 0.9155 is
judged as float64, as are whole numbers of 7 digits and more, which may be ids. Where numbers such
as 0.12 and 0.33, which no float32 is, outnumber those of 7 digits, these are amounts that were
rounded to a few decimals, and one total of 12345.67 among them makes no float32 of them. No
tolerance is added for rounding to the decimals written: a value that moved by its last printed
digit did move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Floats, Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.numeric.tolerance import FLOAT32, Precision

NOT_WHOLE = int(np.iinfo(np.int64).min)
_FEW_DIGITS, _FLOAT32_DIGITS = 6, 9
_BLOCK = 1 << 16
_DOUBLE_HOLDS = 2**53
SURELY_WHOLE = 2.0**36


@dataclass(frozen=True)
class Numbers:
    """Two arrays of one type, and what to know about them."""

    actual: Values
    expected: Values
    judged_as: Precision | None = None
    note: str = ""


def bring_together(actual: Values, expected: Values, *, as_doubles: bool = True) -> Numbers:
    """Give both sides the same type.

    Args:
        actual, expected: int64, uint64 or float64.
        as_doubles: also where one side alone is whole, and has numbers that no double holds.
    """
    whole = [side.dtype.kind in "iu" for side in (actual, expected)]
    if all(whole):
        kinds = {actual.dtype, expected.dtype}
        if len(kinds) == 1:
            return Numbers(actual, expected)
        return _mixed_integers(actual, expected)
    note = ""
    if any(whole) and actual.size and expected.size:
        note = "written as whole numbers, expected decimals"
        if whole[1]:
            note = "written with decimals, expected whole numbers"
        if not as_doubles and not _are_held(actual if whole[0] else expected):
            return Numbers(_whole_texts(actual), _whole_texts(expected), note=note)
    left, right = actual.astype(np.float64), expected.astype(np.float64)
    values = np.concatenate([left.reshape(-1), right.reshape(-1)])
    judged_as = FLOAT32 if _were_float32(values) else None
    return Numbers(left, right, judged_as, note)


def hold_float32(*arrays: Array) -> bool:
    """Whether arrays of float64 hold what was computed as float32.

    That is so where every number is a float32 exactly, and one in 16 of those that are not 0 has a
    1 in its last place: fractions with a power of two below them have not.
    """
    odd = count = 0
    for array in arrays:
        for block in array.blocks(_BLOCK):
            values = block[np.isfinite(block) & (block != 0)]
            with np.errstate(over="ignore", under="ignore"):
                narrow = values.astype(np.float32)
            if not (narrow == values).all():
                return False
            odd += int(np.count_nonzero(narrow.view(np.int32) & 1))
            count += len(values)
    return odd > 0 and odd * 16 >= count


def whole_pairs(actual: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether finite numbers that differ are whole on both sides somewhere."""
    for left, right in zip(actual, expected, strict=True):
        if left != right and left.is_integer() and right.is_integer() and abs(right) < SURELY_WHOLE:
            return True
    return False


def integers(values: list[int]) -> Values | None:
    """As int64, else as uint64; None where neither can hold them all."""
    if not values:
        return np.empty(0, np.int64)
    low, high = min(values), max(values)
    if low >= -(2**63) and high < 2**63:
        return np.array(values, np.int64)
    return np.array(values, np.uint64) if low >= 0 and high < 2**64 else None


def wholes_of(values: Sequence[object]) -> Values | None:
    """Which of some numbers are whole, as written: the number modulo 2**64 as int64, else
    `NOT_WHOLE`. None where there is none, or one that 64 bits do not hold.
    """
    whole = [value if type(value) is int else None for value in values]
    there = [value for value in whole if value is not None]
    if not there or min(there) <= NOT_WHOLE or max(there) >= 2**64:
        return None
    found = [NOT_WHOLE if value is None else value - (value >= 2**63) * 2**64 for value in whole]
    return np.array(found, np.int64)


def is_held(value: int) -> bool:
    """Whether a double holds the whole number itself, and not only one beside it."""
    return abs(value) <= _DOUBLE_HOLDS or (abs(value) < 2**64 and int(float(value)) == value)


def _are_held(wholes: Values) -> bool:
    beyond = (wholes > _DOUBLE_HOLDS) | (wholes < -_DOUBLE_HOLDS)
    return all(map(is_held, wholes[beyond].tolist()))


def _whole_texts(values: Values) -> Values:
    """Numbers as text, whole ones as such: 1.2e3 as 1200."""
    texts = np.empty(values.shape, object)
    texts.reshape(-1)[:] = [
        str(int(value) if float(value).is_integer() else value)
        for value in values.reshape(-1).tolist()
    ]
    return texts


def _mixed_integers(actual: Values, expected: Values) -> Numbers:
    """int64 against uint64: one side is beyond int64, so both as text unless they can share."""
    if all(side.size == 0 or side.min() >= 0 for side in (actual, expected)):
        return Numbers(actual.astype(np.uint64), expected.astype(np.uint64))
    return Numbers(actual.astype(str).astype(object), expected.astype(str).astype(object))


def _were_float32(values: Floats) -> bool:
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0)])
    limits = np.finfo(np.float32)
    if not magnitudes.size or magnitudes.max() > limits.max or magnitudes.min() < limits.tiny:
        return False
    long = magnitudes[~_has_digits(magnitudes, _FEW_DIGITS)]
    if not long.size or (long == np.rint(long)).any():
        return False
    narrow = long.astype(np.float32).astype(np.float64)
    if not _are_written(long, narrow).all():
        return False
    short = magnitudes[_has_digits(magnitudes, _FEW_DIGITS)]
    rounded = short.astype(np.float32).astype(np.float64) != short
    return bool(np.count_nonzero(rounded) <= len(long))


def _are_written(long: Floats, narrow: Floats) -> Values:
    """Which numbers are their float32 exactly, or as it is written with as many digits as they."""
    found = narrow == long
    left = ~found
    for digits in range(_FEW_DIGITS + 1, _FLOAT32_DIGITS + 1):
        fits = left & _has_digits(long, digits)
        unit = 10.0 ** (np.floor(np.log10(long)) - digits + 1)
        found |= fits & (np.rint(long / unit) == np.rint(narrow / unit))
        left &= ~fits
    return np.asarray(found)


def _has_digits(magnitudes: Floats, digits: int) -> Values:
    """Which of them can be written with so many significant digits."""
    exponents = np.floor(np.log10(magnitudes)) - digits + 1
    whole = magnitudes / 10.0**exponents
    return np.asarray(np.abs(whole - np.rint(whole)) <= 1e-6)
