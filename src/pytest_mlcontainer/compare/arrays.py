"""Two arrays of any dtype and shape → differences. Every format that holds arrays ends here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_mlcontainer.compare.gaps import Dtype, Kind, Values, kind_of
from pytest_mlcontainer.compare.measure import Array, Measured, array_of, find_scale, measure
from pytest_mlcontainer.compare.rules import Applied, RuleBook
from pytest_mlcontainer.compare.tolerance import Bound, Precision, make_bound, precision_of
from pytest_mlcontainer.model import Difference, Verdict


@dataclass(frozen=True)
class Place:
    """Where two arrays come from.

    Args:
        item: "" for an output that is one array.
        above: items that hold this one.
        text: whether the values were read from text, which has no dtype of its own.
        judged_as: the precision to judge by, where it is not the dtype's.
        note: goes into every difference made here.
    """

    output: str
    item: str = ""
    above: tuple[str, ...] = ()
    judged_as: Precision | None = None
    note: str = ""

    def field(self, name: str) -> Place:
        above = (self.item, *self.above) if self.item else self.above
        item = f"{self.item}.{name}" if self.item else name
        return Place(self.output, item, above)


def compare_arrays(
    place: Place, actual: Array, expected: Array, book: RuleBook
) -> Iterator[Difference]:
    """One difference, or one for each field of a structured array; none where a rule ignores it."""
    names = actual.dtype.names
    if names and names == expected.dtype.names and actual.shape == expected.shape:
        for name in names:
            yield from compare_arrays(
                place.field(name), _field(actual, name), _field(expected, name), book
            )
        return
    applied = book.find(place.output, place.item, place.above)
    if applied.tolerance.ignore:
        return
    if actual.shape != expected.shape:
        note = f"shape {actual.shape}, expected {expected.shape}"
        if not _same_type(actual.dtype, expected.dtype):
            note += f"; {_dtype_note(actual.dtype, expected.dtype)}"
        yield _structural(place, expected.size, note)
    elif not _same_type(actual.dtype, expected.dtype):
        yield _other_dtype(place, actual, expected)
    else:
        yield _compare_values(place, actual, expected, applied)


def _compare_values(place: Place, actual: Array, expected: Array, applied: Applied) -> Difference:
    if actual.order != expected.order:
        actual, expected = array_of(actual.values()), array_of(expected.values())
    own = precision_of(expected.dtype.name)
    judged_as = place.judged_as if own is not None and place.judged_as is not None else own
    kind = kind_of(expected.dtype)
    scale = find_scale(expected)
    tolerance = applied.tolerance
    if kind in (Kind.LABEL, Kind.BYTES):
        bound = Bound("exact", exact=True)
    else:
        bound = make_bound(tolerance, judged_as, scale)
    measured = measure(actual, expected, bound, judged_as, tolerance.equal_nan)
    dtype = judged_as.name if judged_as else _dtype_text(expected.dtype)
    difference = _difference(place, expected, measured, scale, kind)
    return replace(
        difference,
        rule=f"{bound.text} ({applied.origin(dtype)})",
        note=_join(place.note, _note(measured, kind, bound)),
    )


def _difference(
    place: Place, expected: Array, measured: Measured, scale: float, kind: Kind
) -> Difference:
    number = kind in (Kind.FLOAT, Kind.COMPLEX, Kind.INTEGER)
    floating = kind in (Kind.FLOAT, Kind.COMPLEX)
    return Difference(
        output=place.output,
        item=place.item,
        verdict=_verdict(measured),
        max_abs=measured.max_abs if number or kind is Kind.TIME else None,
        max_rel=measured.max_rel if number and (scale or not measured.differing) else None,
        max_ulp=measured.max_ulp if floating else None,
        scale_error=_scale_error(measured.max_abs, scale) if number else None,
        worst_index=_index(measured.worst, expected),
        worst_actual=measured.worst_actual,
        worst_expected=measured.worst_expected,
        differing=measured.differing,
        beyond=measured.beyond,
        size=expected.size,
    )


def _verdict(measured: Measured) -> Verdict:
    if measured.beyond:
        return Verdict.DRIFT
    return Verdict.EQUIVALENT if measured.differing else Verdict.IDENTICAL


def _scale_error(max_abs: float, scale: float) -> float | None:
    if not max_abs:
        return 0.0
    return max_abs / scale if scale else None


def _index(worst: int | None, array: Array) -> tuple[int, ...] | None:
    if worst is None:
        return None
    found = np.unravel_index(worst, array.shape, order=array.order)
    return tuple(int(part) for part in found)


def _note(measured: Measured, kind: Kind, bound: Bound) -> str:
    count = measured.mismatched
    if count and kind is not Kind.TIME:
        return f"{_elements(count)} NaN or infinite on one side, or not the same infinity"
    if count:
        return f"{_elements(count)} a missing time (NaT) on one side"
    if (
        bound.exact
        and measured.beyond
        and not measured.max_abs
        and kind
        in (
            Kind.FLOAT,
            Kind.COMPLEX,
        )
    ):
        return "only the sign of zero differs"
    return ""


def _elements(count: int) -> str:
    return "1 element is" if count == 1 else f"{count} elements are"


def _other_dtype(place: Place, actual: Array, expected: Array) -> Difference:
    """A drift by itself; where both hold real numbers, they are measured for the reader."""
    note = _dtype_note(actual.dtype, expected.dtype)
    kinds = {kind_of(actual.dtype), kind_of(expected.dtype)}
    if not kinds <= {Kind.FLOAT, Kind.INTEGER}:
        return _structural(place, expected.size, note)
    left, right = _as_float64(actual), _as_float64(expected)
    scale = find_scale(right)
    measured = measure(left, right, Bound("exact", exact=True), None, equal_nan=True)
    difference = _difference(place, right, measured, scale, Kind.FLOAT)
    same = "; the values are the same" if not measured.differing else ""
    return replace(
        difference,
        verdict=Verdict.DRIFT,
        max_ulp=None,
        rule="dtype is part of the value",
        note=_join(place.note, note + same),
    )


def _structural(place: Place, size: int, note: str) -> Difference:
    return Difference(
        place.output, place.item, Verdict.DRIFT, size=size, note=_join(place.note, note)
    )


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _same_type(left: Dtype, right: Dtype) -> bool:
    """Byte order does not count, nor how wide the longest text happens to be."""
    if left.kind == right.kind and left.kind in "SU":
        return True
    return bool(left.newbyteorder("=") == right.newbyteorder("="))


def _dtype_note(actual: Dtype, expected: Dtype) -> str:
    return f"dtype {_dtype_text(actual)}, expected {_dtype_text(expected)}"


def _dtype_text(dtype: Dtype) -> str:
    text = "text" if dtype.hasobject else str(dtype.newbyteorder("="))
    return text if len(text) <= 200 else text[:199] + "…"


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
