"""Two arrays of any dtype and shape → differences. Every format that holds arrays ends here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_mlcontainer.compare.matching.freedom import same_records, ways
from pytest_mlcontainer.compare.matching.labels import are_labels, rate, rename
from pytest_mlcontainer.compare.matching.left_open import free_text, freedoms
from pytest_mlcontainer.compare.numeric.gaps import Dtype, DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.kept import find_kept
from pytest_mlcontainer.compare.numeric.loose import (
    UnmatchableError,
    bring_together,
    dtype_note,
    dtype_text,
    loaded,
    same_type,
    without_curve,
    without_gains,
)
from pytest_mlcontainer.compare.numeric.measure import Array, array_of, measure
from pytest_mlcontainer.compare.numeric.meter import Measured, Worst
from pytest_mlcontainer.compare.numeric.tolerance import (
    Bound,
    Precision,
    gives_up_scale,
    make_bound,
    precision_of,
)
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.text.patterns import ONLY_MASKED, Masks
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import elements_are, join_notes, note_on
from pytest_mlcontainer.compare.values.plots import draw
from pytest_mlcontainer.model import BY_DTYPE, Difference, Element, Freedom, Tolerance, Verdict


def compare_arrays(
    place: ItemLocation, actual: Array, expected: Array, book: RuleBook
) -> Iterator[Difference]:
    """One difference, or one for each field of a structured array; none where a rule ignores it."""
    names = actual.dtype.names
    if names and names == expected.dtype.names and actual.shape == expected.shape:
        if not place.met and book.peek(place.output, place.item, place.above).tolerance.unordered:
            actual = array_of(same_records(actual.values(), expected.values()))
            place = replace(place, met=True)
        for name in names:
            yield from compare_arrays(
                place.field(name), _field(actual, name), _field(expected, name), book
            )
        return
    applied = book.find(place.output, place.item, place.above)
    if applied.tolerance.ignore:
        return
    if applied.tolerance.curve is not None:
        # The bound of a curve, a share of an axis, says nothing about what is none.
        note = f"no curve over {applied.tolerance.curve}, so it is compared as ever"
        place = replace(place, note=join_notes(place.note, note))
        applied = replace(applied, tolerance=without_curve(applied.tolerance))
    met = bring_together(actual, expected, applied.tolerance)
    if met is not None:
        place = replace(place, note=join_notes(place.note, met.note))
        if met.judged_as is not None:
            place = replace(place, judged_as=met.judged_as)
        actual, expected = met.actual, met.expected
    place = replace(place, is_drawn=book.may_draw)
    if actual.shape != expected.shape:
        note = f"shape {actual.shape}, expected {expected.shape}"
        if not same_type(actual.dtype, expected.dtype):
            note += f"; {dtype_note(actual.dtype, expected.dtype)}"
        yield _structural(place, expected.size, note)
    elif not same_type(actual.dtype, expected.dtype):
        yield _drawn(_other_dtype(place, actual, expected), book)
    elif not book.hand_on(place.output, place.item, actual, expected, applied):
        yield _drawn(_judge(place, actual, expected, applied), book)


def _drawn(found: Difference, book: RuleBook) -> Difference:
    if found.plots is not None:
        book.drew(found)
    return found


def _judge(
    place: ItemLocation, actual: Array, expected: Array, applied: AppliedTolerance
) -> Difference:
    """By the rule's own kind of judging, or by closeness, element by element."""
    tolerance = applied.tolerance
    if Freedom.LABELS in tolerance.free:
        return _judge_labels(place, actual, expected, applied)
    if tolerance.free or (tolerance.unordered and not place.met):
        return _judge_freely(place, actual, expected, applied)
    found = _judge_plainly(place, actual, expected, applied)
    if found.verdict is Verdict.DRIFT and applied.rule is None and not place.is_part:
        return _with_freedom(found, place, actual, expected)
    return found


def _with_freedom(
    found: Difference, place: ItemLocation, actual: Array, expected: Array
) -> Difference:
    """A drift, with what a method may leave open where nothing else differs."""
    place = replace(place, note="", is_drawn=lambda _found: False)
    for tolerance in freedoms(actual, expected):
        if tolerance.unordered and place.is_column:
            continue
        freely = _judge(place, actual, expected, AppliedTolerance(tolerance))
        if freely.verdict.passes:
            note = (
                "the same values in another order"
                if tolerance.unordered
                else f"the same but for what some methods leave open: {freely.note}"
            )
            return replace(found, free=free_text(tolerance), note=join_notes(found.note, note))
    return found


def _judge_plainly(
    place: ItemLocation, actual: Array, expected: Array, applied: AppliedTolerance
) -> Difference:
    tolerance = applied.tolerance
    difference = _compare_values(place, actual, expected, applied)
    if not difference.differing:
        return difference
    if tolerance.better is not None:
        return _judge_direction(difference, place, actual, expected, applied)
    if tolerance.agreement is not None:
        return rate(difference, tolerance.agreement)
    if tolerance.patterns and expected.dtype.kind in "OU" and difference.beyond:
        return _judge_masked(difference, place, actual, expected, applied)
    return difference


def _judge_direction(
    difference: Difference,
    place: ItemLocation,
    actual: Array,
    expected: Array,
    applied: AppliedTolerance,
) -> Difference:
    """What is better than expected passes, and is measured all the same."""
    assert applied.tolerance.better is not None
    if kind_of(expected.dtype) not in (DtypeKind.FLOAT, DtypeKind.INTEGER):
        note = f"{dtype_text(expected.dtype)} has no better and worse"
        return replace(difference, verdict=Verdict.FAILED, note=join_notes(difference.note, note))
    worse = without_gains(actual, expected, applied.tolerance.better)
    judged = _compare_values(place, worse, expected, applied)
    gains = difference.differing - judged.differing
    text = f"{judged.rule.partition(' (')[0]}, {applied.tolerance.better.value} is better"
    rule = f"{text} ({applied.origin('')})"
    note = f"{elements_are(gains)} better than expected" if gains else ""
    note = join_notes(difference.note if not judged.beyond else judged.note, note)
    if judged.beyond:
        return replace(judged, rule=rule, note=note, differing=difference.differing)
    return replace(difference, verdict=Verdict.EQUIVALENT, beyond=0, rule=rule, note=note)


def _judge_masked(
    difference: Difference,
    place: ItemLocation,
    actual: Array,
    expected: Array,
    applied: AppliedTolerance,
) -> Difference:
    """What the rule's patterns match inside text does not count."""
    patterns, masks = applied.tolerance.patterns, Masks()
    sides = [
        array_of(masks.mask_values(side.values().astype(object), patterns))
        for side in (actual, expected)
    ]
    masked = _compare_values(place, sides[0], sides[1], applied)
    if masked.beyond:
        return replace(masked, differing=difference.differing)
    note = join_notes(difference.note, ONLY_MASKED)
    return replace(difference, verdict=Verdict.EQUIVALENT, beyond=0, note=note)


def _judge_labels(
    place: ItemLocation, actual: Array, expected: Array, applied: AppliedTolerance
) -> Difference:
    """Labels whose names are free, by what they group together."""
    plain = _judge_plainly(place, actual, expected, applied)
    if not plain.differing:
        return plain
    try:
        left, right = loaded(actual), loaded(expected)
        if not (are_labels(left) and are_labels(right)):
            return replace(
                plain, note=join_notes(plain.note, "not labels, so they are compared as they are")
            )
        renamed = rename(left, right)
    except UnmatchableError as error:
        return replace(plain, verdict=Verdict.FAILED, note=join_notes(place.note, str(error)))
    same = array_of(renamed.agree.astype(np.int8))
    found = _compare_values(place, same, array_of(np.ones_like(same.values())), applied)
    found = replace(
        found,
        max_abs=None,
        max_rel=None,
        scale_error=None,
        worst_actual="another label",
        worst_expected="the same label",
        quantiles=(),
        histogram=(),
        elements=(),
        plots=plain.plots,
        rule=f"labels by any name ({applied.origin('')})",
        note=join_notes(place.note, renamed.note),
    )
    if applied.tolerance.agreement is not None:
        found = rate(found, applied.tolerance.agreement)
    if found.verdict is Verdict.IDENTICAL and renamed.note:
        return replace(found, verdict=Verdict.EQUIVALENT, worst_actual="", worst_expected="")
    return found


def _judge_freely(
    place: ItemLocation, actual: Array, expected: Array, applied: AppliedTolerance
) -> Difference:
    """By the best of the ways in which the actual values may be laid over the expected ones."""
    best: Difference | None = None
    try:
        left, right = loaded(actual), loaded(expected)
        target = array_of(right)
        for way in ways(left, right, applied.tolerance):
            here = replace(place, note=join_notes(place.note, way.note))
            found = _judge_plainly(here, array_of(way.values), target, applied)
            if way.note and found.verdict is Verdict.IDENTICAL:
                found = replace(found, verdict=Verdict.EQUIVALENT)
            if found.verdict.passes:
                return found
            if best is None or found.beyond < best.beyond:
                best = found
    except UnmatchableError as error:
        plain = best or _structural(place, expected.size, "")
        return replace(plain, verdict=Verdict.FAILED, note=join_notes(plain.note, str(error)))
    assert best is not None
    return best


def _compare_values(
    place: ItemLocation, actual: Array, expected: Array, applied: AppliedTolerance
) -> Difference:
    if actual.order != expected.order:
        actual, expected = array_of(actual.values()), array_of(expected.values())
    own = precision_of(expected.dtype.name)
    judged_as = place.judged_as if own is not None and place.judged_as is not None else own
    kind = kind_of(expected.dtype)
    tolerance = applied.tolerance
    bound = _bound(kind, judged_as, applied)
    measured = measure(actual, expected, bound, judged_as, tolerance.equal_nan)
    note = place.note
    if own is not None and measured.differing and applied.is_default:
        known = place.judged_as is not None
        kept = find_kept(actual, expected, own, known, measured)
        if kept is not None:
            judged_as, note = kept.judged_as, join_notes(note, kept.note)
            bound = kept.bound or _bound(kind, judged_as, applied)
            again = measure(kept.actual, expected, bound, judged_as, tolerance.equal_nan)
            measured = replace(again, differing=measured.differing)
    dtype = judged_as.name if judged_as else dtype_text(expected.dtype)
    difference = _difference(place, expected, measured, kind)
    note = join_notes(note, note_on(measured, kind, bound))
    if measured.beyond and judged_as is not None and gives_up_scale(tolerance):
        note = join_notes(note, _what_scale_would_do(actual, expected, judged_as, tolerance))
    return replace(difference, rule=f"{bound.text} ({applied.origin(dtype)})", note=note)


def _bound(kind: DtypeKind, judged_as: Precision | None, applied: AppliedTolerance) -> Bound:
    tolerance = applied.tolerance
    if tolerance.agreement is not None:
        return Bound(f"agreement of at least {tolerance.agreement:g}")
    if kind in (DtypeKind.LABEL, DtypeKind.BYTES):
        return Bound("exact", exact=True)
    return make_bound(tolerance, judged_as, applied.calibration)


def _what_scale_would_do(
    actual: Array, expected: Array, judged_as: Precision, tolerance: Tolerance
) -> str:
    """A rule that was meant to be looser may be stricter, for it has no term for rounding noise."""
    bound = make_bound(replace(tolerance, scale=judged_as.scale), judged_as)
    if measure(actual, expected, bound, judged_as, tolerance.equal_nan).beyond:
        return ""
    return (
        "a rule with rtol or atol has no term for rounding noise, which the default tolerance has; "
        f"`scale = {judged_as.scale:g}` in the rule brings it back, and lets this pass"
    )


def _difference(
    place: ItemLocation, expected: Array, measured: Measured, kind: DtypeKind
) -> Difference:
    number = kind in (DtypeKind.FLOAT, DtypeKind.COMPLEX, DtypeKind.INTEGER)
    distance = number or kind is DtypeKind.TIME
    elements = tuple(_element(worst, expected, distance) for worst in measured.worst)
    floating = kind in (DtypeKind.FLOAT, DtypeKind.COMPLEX)
    relative = number and (measured.largest or not measured.differing)
    found = Difference(
        output=place.output,
        item=place.item,
        verdict=_verdict(measured),
        max_abs=measured.max_abs if distance else None,
        max_rel=measured.max_rel if relative else None,
        max_ulp=measured.max_ulp if floating else None,
        scale_error=_scale_error(measured.max_abs, measured.largest) if number else None,
        typical=measured.typical or None,
        worst_index=elements[0].index if elements else None,
        worst_actual=elements[0].actual if elements else "",
        worst_expected=elements[0].expected if elements else "",
        differing=measured.differing,
        beyond=measured.beyond,
        size=expected.size,
        quantiles=measured.quantiles if distance else (),
        histogram=measured.histogram if distance else (),
        elements=elements if expected.size > 1 else (),
    )
    return replace(found, plots=draw(expected, measured)) if place.is_drawn(found) else found


def _verdict(measured: Measured) -> Verdict:
    if measured.beyond:
        return Verdict.DRIFT
    return Verdict.EQUIVALENT if measured.differing else Verdict.IDENTICAL


def _scale_error(max_abs: float, scale: float) -> float | None:
    if not max_abs:
        return 0.0
    return max_abs / scale if scale else None


def _element(worst: Worst, array: Array, distance: bool) -> Element:
    found = np.unravel_index(worst.position, array.shape, order=array.order)
    index = tuple(int(part) for part in found)
    error, excess = (worst.error, worst.excess) if distance else (None, None)
    if excess is not None and not math.isfinite(excess):
        excess = None
    return Element(index, worst.actual, worst.expected, error, excess)


def _other_dtype(place: ItemLocation, actual: Array, expected: Array) -> Difference:
    """A drift by itself; where both hold real numbers, they are measured for the reader."""
    note = dtype_note(actual.dtype, expected.dtype)
    kinds = {kind_of(actual.dtype), kind_of(expected.dtype)}
    if not kinds <= {DtypeKind.FLOAT, DtypeKind.INTEGER}:
        return _structural(place, expected.size, note)
    left, right = _as_float64(actual), _as_float64(expected)
    measured = measure(left, right, Bound("exact", exact=True), None, equal_nan=True)
    difference = _difference(place, right, measured, DtypeKind.FLOAT)
    same = "; the values are the same" if not measured.differing else ""
    return replace(
        difference,
        verdict=Verdict.DRIFT,
        max_ulp=None,
        rule=BY_DTYPE,
        note=join_notes(place.note, note + same),
    )


def _structural(place: ItemLocation, size: int, note: str) -> Difference:
    return Difference(
        place.output, place.item, Verdict.DRIFT, size=size, note=join_notes(place.note, note)
    )


def _as_float64(array: Array) -> Array:
    return array_of(array.values().astype(np.float64))


def _field(array: Array, name: str) -> Array:
    assert array.dtype.fields is not None
    dtype: Dtype = array.dtype.fields[name][0]
    base, extra = dtype.base, dtype.shape

    def blocks(length: int) -> Iterator[Values]:
        for block in array.blocks(length):
            yield np.ascontiguousarray(block[name]).reshape(-1)

    if array.order == "F" and extra:
        return array_of(array.values()[name])
    return Array(base.newbyteorder("="), array.shape + extra, blocks, array.order)
