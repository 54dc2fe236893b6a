"""Compares a few numbers without NumPy: the same answer as `arrays`, in a hundredth of the time.

A document of 100,000 numbers that differ is 100,000 comparisons of one element each, where calling
NumPy costs far more than the arithmetic. What is unusual (NaN, infinities, numbers that no machine
type holds, rules beyond a plain bound) is left to `arrays`.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.numeric.numbers import hold_float32, is_held, whole_pairs
from pytest_mlcontainer.compare.numeric.shown import value_texts
from pytest_mlcontainer.compare.numeric.tolerance import (
    FLOAT32,
    FLOAT64,
    Bound,
    Precision,
    gives_up_scale,
    is_default,
    make_bound,
)
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Element, Tolerance, Verdict

Number = int | float

MOST = 16
_INT64 = range(-(2**63), 2**63)
_FEW_DIGITS, _FLOAT32_DIGITS = 6, 9
_KEPT = 1e-3  # of a number that is zero up to rounding: less of it is off only by chance
_FLOAT32_MAX, _FLOAT32_TINY = (2 - 2.0**-23) * 2.0**127, 2.0**-126


class _Gap(NamedTuple):
    """One element that is not the same on both sides; `excess` above 1 is beyond the bound."""

    at: int
    error: float
    ulp: int
    excess: float
    relative: float


class FewValues:
    """Compares up to `MOST` values as `arrays.compare_arrays` would; remembers bounds it made."""

    def __init__(self) -> None:
        # By the tolerance's identity: a hash of all its fields would cost more than the answer.
        self._bounds: dict[tuple[int, str], tuple[Tolerance, Bound]] = {}
        self._plain: dict[int, tuple[Tolerance, bool]] = {}
        self._texts: dict[tuple[int, str], tuple[AppliedTolerance, str]] = {}

    def compare_numbers(
        self,
        place: ItemLocation,
        actual: Sequence[Number],
        expected: Sequence[Number],
        shape: tuple[int, ...],
        applied: AppliedTolerance,
    ) -> Difference | None:
        """None for what has to go to `arrays`.

        Args:
            actual, expected: as many numbers as `shape` says, without booleans.
        """
        if not expected or len(shape) > 1 or not self._is_plain(applied.tolerance):
            return None
        if not _are_usual(actual) or not _are_usual(expected):
            return None
        whole = _are_whole(actual), _are_whole(expected)
        if all(whole):
            return self._judge(place, actual, expected, shape, applied, None)
        if any(whole):
            gives_bound = not (applied.is_default or applied.tolerance.exact)
            if not (gives_bound or all(map(is_held, map(int, actual if whole[0] else expected)))):
                return None
            note = "written as whole numbers, expected decimals"
            if whole[1]:
                note = "written with decimals, expected whole numbers"
            place = replace(place, note=note)
        left, right = list(map(float, actual)), list(map(float, expected))
        both = (*left, *right)
        if applied.is_default and (whole_pairs(left, right) or _hold_float32(both)):
            return None
        judged_as = FLOAT32 if were_float32(both) else FLOAT64
        return self._judge(place, left, right, shape, applied, judged_as)

    def compare_texts(
        self,
        place: ItemLocation,
        actual: Sequence[str],
        expected: Sequence[str],
        shape: tuple[int, ...],
        applied: AppliedTolerance,
    ) -> Difference | None:
        """The same for text, which is equal or not."""
        if not expected or len(shape) > 1 or not self._is_plain(applied.tolerance):
            return None
        pairs = enumerate(zip(actual, expected, strict=True))
        gaps = [_Gap(at, 1.0, 0, math.inf, 0.0) for at, (left, right) in pairs if left != right]
        elements = _elements(gaps, actual, expected, shape, False)
        return Difference(
            output=place.output,
            item=place.item,
            verdict=Verdict.DRIFT if gaps else Verdict.IDENTICAL,
            worst_index=elements[0].index if elements else None,
            worst_actual=elements[0].actual if elements else "",
            worst_expected=elements[0].expected if elements else "",
            differing=len(gaps),
            beyond=len(gaps),
            size=len(expected),
            rule=f"exact ({applied.origin('text')})",
            elements=elements if len(expected) > 1 else (),
        )

    def _is_plain(self, tolerance: Tolerance) -> bool:
        """Whether it says no more than a bound for each element."""
        known = self._plain.get(id(tolerance))
        if known is None:
            bare = replace(tolerance, rtol=None, atol=None, scale=None, ulp=None, margin=None)
            plain = replace(bare, exact=False, patterns=()) == Tolerance()
            known = self._plain[id(tolerance)] = tolerance, plain
        return known[1]

    def _bound(self, tolerance: Tolerance, judged_as: Precision | None) -> Bound:
        key = id(tolerance), judged_as.name if judged_as else ""
        known = self._bounds.get(key)
        if known is None:
            known = self._bounds[key] = tolerance, make_bound(tolerance, judged_as)
        return known[1]

    def _judge(
        self,
        place: ItemLocation,
        actual: Sequence[Number],
        expected: Sequence[Number],
        shape: tuple[int, ...],
        applied: AppliedTolerance,
        judged_as: Precision | None,
    ) -> Difference | None:
        scale = float(max(map(abs, expected)))
        bound = self._bound(applied.tolerance, judged_as)
        gaps = [
            _gap(at, left, right, bound, judged_as)
            for at, (left, right) in enumerate(zip(actual, expected, strict=True))
            if left != right or (bound.exact and _signs_differ(left, right))
        ]
        most = _most(gaps)
        beyond = sum([gap.excess > 1 for gap in gaps])
        if beyond and self._may_be_noise(gaps, bound, judged_as, applied.tolerance):
            return None
        elements = _elements(gaps, actual, expected, shape, True)
        zero = "only the sign of zero differs" if beyond and not most.error and bound.exact else ""
        return Difference(
            output=place.output,
            item=place.item,
            verdict=_verdict(gaps, beyond),
            max_abs=most.error,
            max_rel=most.relative if scale or not gaps else None,
            max_ulp=None if judged_as is None else most.ulp,
            scale_error=(most.error / scale if scale else None) if most.error else 0.0,
            typical=abs(float(expected[gaps[0].at])) if beyond and bound.noise else None,
            worst_index=elements[0].index if elements else None,
            worst_actual=elements[0].actual if elements else "",
            worst_expected=elements[0].expected if elements else "",
            differing=len(gaps),
            beyond=beyond,
            size=len(expected),
            rule=self._rule(bound, applied, judged_as),
            note=f"{place.note}; {zero}" if place.note and zero else place.note or zero,
            elements=elements if len(expected) > 1 else (),
        )

    def _may_be_noise(
        self, gaps: list[_Gap], bound: Bound, judged_as: Precision | None, tolerance: Tolerance
    ) -> bool:
        """Whether it takes a look at all numbers to tell, or to say, that they are off by noise."""
        if bound.noise is not None or judged_as is None or not gives_up_scale(tolerance):
            # Against 0 the relative error is told as 0; of what rounding left there little is kept.
            return bound.noise is not None and (len(gaps) > 1 or not 0 < gaps[0].relative < _KEPT)
        if len(gaps) > 1:
            return True
        unit = judged_as.scale * judged_as.eps
        return gaps[0].relative <= unit or gaps[0].error < judged_as.tiny

    def _rule(self, bound: Bound, applied: AppliedTolerance, judged_as: Precision | None) -> str:
        name = judged_as.name if judged_as else "int64"
        key = id(applied.rule), name
        known = self._texts.get(key)
        if known is None:
            known = self._texts[key] = applied, f"{bound.text} ({applied.origin(name)})"
        return known[1]


def passes(actual: Number, expected: Number, tolerance: Tolerance) -> bool:
    """Whether one number is close enough to another, each its own scale."""
    if not (math.isfinite(actual) and math.isfinite(expected)):
        return actual == expected
    judged_as = None
    if type(actual) is not int or type(expected) is not int:
        pair = float(actual), float(expected)
        if whole_pairs(pair[:1], pair[1:]) and is_default(tolerance):
            return False
        narrow = were_float32(pair) or (is_default(tolerance) and _hold_float32(pair))
        judged_as = FLOAT32 if narrow else FLOAT64
    bound = make_bound(tolerance, judged_as)
    if actual == expected:
        return not (bound.exact and _signs_differ(actual, expected))
    return _gap(0, actual, expected, bound, judged_as).excess <= 1


def were_float32(values: Sequence[float]) -> bool:
    """Whether finite numbers show that they were float32 before; see `numbers` for the rule."""
    long = rounded = 0
    for value in values:
        magnitude = abs(value)
        if not magnitude:
            continue
        if not _FLOAT32_TINY <= magnitude <= _FLOAT32_MAX:
            return False
        narrow: float = struct.unpack("<f", struct.pack("<f", magnitude))[0]
        if _has_digits(magnitude, _FEW_DIGITS):
            rounded += narrow != magnitude
            continue
        if magnitude.is_integer() or not _is_written(magnitude, narrow):
            return False
        long += 1
    return 0 < long >= rounded


def _hold_float32(values: Sequence[float]) -> bool:
    """Whether all are float32 of which `were_float32` says nothing, as `numbers.hold_float32` does.

    One of them is below its smallest normal number, or whole with more digits than were chosen.
    """
    sizes = [abs(value) for value in values if value]
    if not any(
        size < _FLOAT32_TINY or (size.is_integer() and not _has_digits(size, _FEW_DIGITS))
        for size in sizes
    ):
        return False
    return max(sizes) <= _FLOAT32_MAX and hold_float32(array_of(np.array(values)))


def _is_written(magnitude: float, narrow: float) -> bool:
    """Whether a number is its float32 exactly, or as it is written with as many digits."""
    if narrow == magnitude:
        return True
    for digits in range(_FEW_DIGITS + 1, _FLOAT32_DIGITS + 1):
        if _has_digits(magnitude, digits):
            unit = 10.0 ** (math.floor(math.log10(magnitude)) - digits + 1)
            return round(magnitude / unit) == round(narrow / unit)
    return False


def _has_digits(magnitude: float, digits: int) -> bool:
    whole = magnitude / 10.0 ** (math.floor(math.log10(magnitude)) - digits + 1)
    return abs(whole - round(whole)) <= 1e-6


def _are_usual(values: Sequence[Number]) -> bool:
    for value in values:  # noqa: SIM110 - a generator would cost more than all else here
        if not (value in _INT64 if type(value) is int else math.isfinite(value)):
            return False
    return True


def _are_whole(values: Sequence[Number]) -> bool:
    for value in values:  # noqa: SIM110
        if type(value) is not int:
            return False
    return True


def _gap(
    at: int,
    actual: Number,
    expected: Number,
    bound: Bound,
    judged_as: Precision | None,
) -> _Gap:
    error = min(float(abs(actual - expected)), sys.float_info.max)
    magnitude = float(abs(expected))
    ulp = 0
    if judged_as is not None:
        ulp = abs(_ordered(actual, judged_as) - _ordered(expected, judged_as))
    relative = error / magnitude if magnitude else 0.0
    if bound.exact:
        return _Gap(at, error, ulp, math.inf, relative)
    measured, allowed = error, bound.allowed(magnitude)
    if error < bound.flushed_below() and (not actual or not expected):
        allowed = math.inf
    if bound.ulp is not None:
        measured, allowed = float(ulp), float(bound.ulp)
    # A quotient would round: the decision is made without one.
    if measured <= allowed:
        excess = min(measured / allowed, 1.0) if measured else 0.0
    else:
        excess = max(measured / allowed, _ABOVE_1) if allowed else math.inf
    return _Gap(at, error, ulp, excess, relative)


_ABOVE_1 = math.nextafter(1.0, 2.0)


def _most(gaps: list[_Gap]) -> _Gap:
    """The largest of each number."""
    if len(gaps) == 1:
        return gaps[0]
    if not gaps:
        return _Gap(0, 0.0, 0, 0.0, 0.0)
    return _Gap(*(max(column) for column in zip(*gaps, strict=True)))


def _elements(
    gaps: list[_Gap],
    actual: Sequence[object],
    expected: Sequence[object],
    shape: tuple[int, ...],
    distance: bool,
) -> tuple[Element, ...]:
    """Those that exceed the bound most; between equals, and within it, the largest errors."""
    if len(gaps) > 1:
        gaps = sorted(
            gaps, key=lambda gap: (gap.excess if gap.excess > 1 else 0.0, gap.error), reverse=True
        )
    found = [
        Element(
            (gap.at,) * len(shape),
            *value_texts(actual[gap.at], expected[gap.at]),
            gap.error if distance else None,
            gap.excess if distance and math.isfinite(gap.excess) else None,
        )
        for gap in gaps
    ]
    return tuple(found)


def _verdict(gaps: list[_Gap], beyond: int) -> Verdict:
    if beyond:
        return Verdict.DRIFT
    return Verdict.EQUIVALENT if gaps else Verdict.IDENTICAL


def _signs_differ(left: Number, right: Number) -> bool:
    return math.copysign(1, left) != math.copysign(1, right)


def _ordered(value: float, judged_as: Precision) -> int:
    """The number's bits as an integer in the same order, both zeros at 0."""
    if judged_as is FLOAT32:
        bits: int = _INT.unpack(_FLOAT.pack(value))[0]
        return bits if bits >= 0 else -(bits + (1 << 31))
    bits = _LONG.unpack(_DOUBLE.pack(value))[0]
    return bits if bits >= 0 else -(bits + (1 << 63))


_INT, _FLOAT = struct.Struct("<i"), struct.Struct("<f")
_LONG, _DOUBLE = struct.Struct("<q"), struct.Struct("<d")
