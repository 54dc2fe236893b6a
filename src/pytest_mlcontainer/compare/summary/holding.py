"""A file held against the summary of another.

What is allowed for a statistic follows from what is allowed for an element, |e| ≤ atol + max(rtol ×
|x|, floor), the floor being the most that may be noise among the elements of the sample: order
statistics move by no more than an element of their size may; mean, standard deviation and L2 norm /
√n by no more than the mean, or the root mean square, of what the elements may. What passes here can
still drift where no sampled element lies, which the note says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.collect import collect_items
from pytest_mlcontainer.compare.formats.kind import Named
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.numeric.gaps import NUMBER_KINDS, Dtype, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.scale import typical_noise
from pytest_mlcontainer.compare.numeric.tolerance import Bound, make_bound, precision_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ACTUAL, EXPECTED, ComparedFile, UnreadableError
from pytest_mlcontainer.compare.summary.items import (
    QUANTILES,
    Item,
    Statistics,
    Summary,
    elements_at,
    file_digest,
    in_c_order,
    named_arrays,
    reals,
    statistics_of,
    type_of,
    values_digest,
)
from pytest_mlcontainer.compare.summary.stored import read_summary
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Element, Output, Tolerance, Verdict

_SAID = 3
# What sums of floats in another order may differ by, relative to their terms.
_SUMMING = 1e-12
_NOT_KEPT = "the file itself is not in the baseline"


def compare_summary(
    name: str, actual: Output, expected: Output, book: RuleBook, formats: Formats
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Hold a file against the summary of another; at best it is equivalent, or the same bytes.

    Returns:
        As `Formats.compare`.
    """
    rules = book.for_output(name)
    if rules and rules[0].item is None and rules[0].tolerance.ignore:
        book.find(name)
        return (), ()
    side = ComparedFile(ACTUAL, name, actual.path)
    return collect_items(name, _guarded(side, expected.path, book, formats), False)


def _guarded(
    side: ComparedFile, kept: Path, book: RuleBook, formats: Formats
) -> Iterator[Difference]:
    try:
        summary = read_summary(ComparedFile(EXPECTED, side.name, kept))
        if side.size_bytes() == summary.size_bytes and file_digest(side) == summary.sha256:
            yield _same_bytes(side, summary, book)
            return
        with named_arrays(side, formats) as arrays:
            yield from _compare_arrays(side, arrays, summary, book)
    except UnreadableError as error:
        yield Difference(side.name, "", Verdict.FAILED, note=str(error))


def _same_bytes(side: ComparedFile, summary: Summary, book: RuleBook) -> Difference:
    book.find(side.name)
    book.leave_unread(side.name)
    return Difference(
        side.name,
        "",
        Verdict.IDENTICAL,
        size=summary.size_bytes,
        note=f"the SHA-256 is that of the baseline; {_NOT_KEPT}",
        unit="bytes",
    )


def _compare_arrays(
    side: ComparedFile, arrays: tuple[Named, ...] | None, summary: Summary, book: RuleBook
) -> Iterator[Difference]:
    output, kept = side.name, summary.items
    if kept is None or arrays is None:
        yield _other_bytes(output, book)
        return
    found = dict(arrays)
    for met in book.meet(found, kept):
        if met.actual is not None and met.expected is not None:
            place = ItemLocation(output, met.name, note=met.note)
            yield from _compare(place, found[met.actual](), kept[met.expected], book)
        elif not book.find(output, met.name).tolerance.ignore:
            note = "missing in the actual run" if met.actual is None else "only in the actual run"
            yield Difference(output, met.name, Verdict.DRIFT, note=met.note or note)


def _other_bytes(output: str, book: RuleBook) -> Difference:
    """All that is known is that the bytes differ."""
    exact = book.find(output).tolerance.exact
    book.leave_unread(output)
    note = (
        f"the bytes are not those of the baseline, and {_NOT_KEPT}, so it cannot be told by how "
        "much they differ; a larger baseline-limit keeps it"
    )
    return Difference(output, "", Verdict.DRIFT if exact else Verdict.FAILED, note=note)


def _compare(place: ItemLocation, array: Array, item: Item, book: RuleBook) -> Iterator[Difference]:
    tolerance = book.find(place.output, place.item).tolerance
    if tolerance.ignore:
        return
    array = in_c_order(array)
    mine = type_of(array)
    if array.shape != item.shape or mine != item.dtype:
        note = f"{mine} {array.shape}, expected {item.dtype} {item.shape}"
        yield Difference(place.output, place.item, Verdict.DRIFT, size=array.size, note=note)
        return
    if values_digest(array) == item.sha256:
        yield _same_values(place, array, item, tolerance)
        return
    statistics, number = item.statistics, kind_of(array.dtype) in NUMBER_KINDS
    unfit = _unfit(tolerance)
    if unfit:
        note = (
            f"a rule with {unfit} needs the file, and {_NOT_KEPT}; a larger baseline-limit keeps it"
        )
        yield Difference(place.output, place.item, Verdict.FAILED, size=array.size, note=note)
    elif not number or statistics is None:
        note = f"the values are not those of the baseline; {_NOT_KEPT}, so it is not known which"
        yield Difference(place.output, place.item, Verdict.DRIFT, size=array.size, note=note)
    else:
        yield from _compare_numbers(place, array, item, statistics, tolerance, book)


def _same_values(place: ItemLocation, array: Array, item: Item, tolerance: Tolerance) -> Difference:
    missing = 0 if item.statistics is None else item.statistics.nan
    verdict, note = (
        Verdict.IDENTICAL,
        f"the SHA-256 of the values is that of the baseline; {_NOT_KEPT}",
    )
    if missing and not tolerance.equal_nan:
        verdict, note = (
            Verdict.DRIFT,
            f"{missing:,} elements are NaN, which the rule does not let pass",
        )
    return Difference(place.output, place.item, verdict, size=array.size, note=note)


def _unfit(tolerance: Tolerance) -> str:
    """What a rule asks that cannot be answered from a sample."""
    default = Tolerance()
    names = ("agreement", "equivalence", "calibrated", "patterns", "key", "unordered", "free",
             "curve", "any_shape", "any_dtype")  # fmt: skip
    asked = [name for name in names if getattr(tolerance, name) != getattr(default, name)]
    return ", ".join(name.replace("_", "-") for name in asked)


def _compare_numbers(
    place: ItemLocation,
    array: Array,
    item: Item,
    expected: Statistics,
    tolerance: Tolerance,
    book: RuleBook,
) -> Iterator[Difference]:
    places = np.array(item.places, np.int64)
    mine = array_of(np.array(elements_at(array, places), array.dtype))
    theirs = array_of(_values(item.values, array.dtype))
    bound = make_bound(tolerance, precision_of(array.dtype.name))
    if bound.noise is not None:
        kept = reals(theirs.values())
        noise = typical_noise(np.abs(kept[np.isfinite(kept)]), bound.noise)
        bound = replace(bound, floor=max(bound.floor, noise))
    actual, _extremes = statistics_of(array)
    off = tuple(_off(actual, expected, bound, array.dtype))
    if bound.exact and not off:
        off = ("the values are not the same, by their SHA-256",)
    count = 8 + len(expected.quantiles)
    more = (f"and {len(off) - _SAID} more statistics",) if len(off) > _SAID else ()
    seen = (
        f"compared {len(places):,} of {array.size:,} elements and {count} statistics; {_NOT_KEPT}"
    )
    for found in compare_arrays(place, mine, theirs, book):
        worst = found.verdict if found.verdict is not Verdict.IDENTICAL else Verdict.EQUIVALENT
        yield replace(
            found,
            verdict=Verdict.DRIFT if off else worst,
            worst_index=_index(found.worst_index, item),
            elements=tuple(_moved(element, item) for element in found.elements),
            note="; ".join(text for text in (found.note, *off[:_SAID], *more, seen) if text),
        )


def _values(raw: tuple[Any, ...], dtype: Dtype) -> Values:
    if dtype.kind == "c":
        numbers: list[Any] = [complex(float(real), float(imag)) for real, imag in raw]
    else:
        numbers = [int(each) if dtype.kind in "iu" else float(each) for each in raw]
    return np.array(numbers, dtype)


def _index(worst: tuple[int, ...] | None, item: Item) -> tuple[int, ...] | None:
    """Where an element of the sample is in the array."""
    if worst is None:
        return None
    place = np.unravel_index(item.places[worst[0]], item.shape)
    return tuple(int(part) for part in place)


def _moved(element: Element, item: Item) -> Element:
    index = _index(element.index, item)
    return element if index is None else replace(element, index=index)


def _off(actual: Statistics, expected: Statistics, bound: Bound, dtype: Dtype) -> Iterator[str]:
    """The statistics that differ by more than elements within the bound could make them."""
    for name in ("nan", "infinite", "negative_infinite"):
        left, right = getattr(actual, name), getattr(expected, name)
        if left != right:
            yield f"{left:,} elements are {_WORDS[name]}, expected {right:,}"
    for name in ("min", "max"):
        value = getattr(expected, name)
        yield from _one(name, getattr(actual, name), value, _allowed(bound, dtype, abs(value)))
    for share, left, right in zip(QUANTILES, actual.quantiles, expected.quantiles, strict=False):
        allowed = _allowed(bound, dtype, abs(right))
        yield from _one(f"quantile {share:g}", left, right, allowed)
    if not math.isfinite(expected.rms + actual.rms):
        return  # elements whose squares have no sum in float64: what sums them says nothing
    slack = _SUMMING * expected.rms
    for name, typical in (("mean", "mean_abs"), ("std", "rms"), ("rms", "rms")):
        allowed = _allowed(bound, dtype, getattr(expected, typical), summed=True) + slack
        yield from _one(_WORDS[name], getattr(actual, name), getattr(expected, name), allowed)


_WORDS = {
    "nan": "NaN",
    "infinite": "infinite",
    "negative_infinite": "negative infinite",
    "mean": "mean",
    "std": "standard deviation",
    "rms": "L2 norm / √n",
}


def _one(name: str, actual: float, expected: float, allowed: float) -> Iterator[str]:
    if actual == expected or (math.isnan(actual) and math.isnan(expected)):
        return
    # The last bits of what was rounded on the way here, not of the elements.
    if abs(actual - expected) <= allowed * (1 + 1e-9):
        return
    yield f"{name} {actual:.9g}, expected {expected:.9g} (±{allowed:.3g})"


def _allowed(bound: Bound, dtype: Dtype, magnitude: float, *, summed: bool = False) -> float:
    """How far an element of this magnitude may be off; `summed`: no less than all of that size."""
    if bound.exact:
        return 0.0
    if bound.ulp is not None:
        precision = precision_of(dtype.name)
        eps, tiny = (precision.eps, precision.tiny) if precision else (0.0, 0.0)
        return 2 * bound.ulp * eps * (magnitude + tiny)
    relative = bound.rtol * magnitude
    return bound.atol + (relative + bound.floor if summed else max(relative, bound.floor))
