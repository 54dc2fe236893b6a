"""Numbers that were read from text, of which some were written as whole numbers: 7 beside 0.5.

What both sides wrote as a whole number is an integer, wherever it stands: in a column with a gap,
in a list with a NaN, beside a score. So an item is compared in two parts, the whole numbers among
themselves and the others among themselves, each as `arrays` would compare it alone. An id says
nothing about the scale of a loss, and a loss does not make an id less exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.numbers import NOT_WHOLE, bring_together
from pytest_mlcontainer.compare.numeric.scale import Tile, zeros
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.text.numeric_text import NOTE, read_pair
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.few import FewValues
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import join_notes
from pytest_mlcontainer.compare.values.numbers_in_text import (
    BY_NUMBERS,
    agree_by_numbers,
    tolerates_numbers,
)
from pytest_mlcontainer.model import Difference, Element, Tolerance, Verdict

_ELEMENTS_KEPT = 20
_MOST_NUMBERS = 1_000_000

_LARGE = 1 << 62


@dataclass(frozen=True)
class WholeNumbers:
    """The numbers that each side wrote as whole ones, flat, as `numbers.wholes_of` gives them."""

    actual: Values
    expected: Values

    def both(self) -> Values:
        """Where both sides did."""
        return np.asarray((self.actual != NOT_WHOLE) & (self.expected != NOT_WHOLE))


def wholes_of_both(actual: Values | None, expected: Values | None) -> WholeNumbers | None:
    """None where at least one side has none, so that nothing is to be compared as such."""
    if actual is None or expected is None or actual.shape != expected.shape:
        return None
    found = WholeNumbers(actual, expected)
    return found if found.both().any() else None


def compare_with_wholes(
    place: ItemLocation, actual: Array, expected: Array, wholes: WholeNumbers | None, book: RuleBook
) -> Iterator[Difference]:
    """As `compare_arrays`, with what both sides wrote as whole numbers as integers.

    Args:
        actual, expected: float64, of one shape where there are `wholes`.
    """
    tolerance = book.peek(place.output, place.item, place.above).tolerance
    if wholes is None or actual.shape != expected.shape or not _is_divisible(tolerance, place):
        yield from compare_arrays(place, actual, expected, book)
        return
    both = wholes.both()
    left, right = actual.values().reshape(-1), expected.values().reshape(-1)
    whole = [
        _integers(side[both], floats[both])
        for side, floats in ((wholes.actual, left), (wholes.expected, right))
    ]
    parts = []
    for where, mine, theirs in ((both, *whole), (~both, left[~both], right[~both])):
        if not theirs.size:
            continue
        met = bring_together(mine, theirs) if not theirs.dtype.hasobject else None
        note = place.note if theirs is not whole[1] else ""
        judged_as = met.judged_as if met else None
        here = replace(place, judged_as=judged_as, note=note, is_part=theirs.size < expected.size)
        if met is not None:
            mine, theirs = met.actual, met.expected
        for found in compare_arrays(here, array_of(mine), array_of(theirs), book):
            if where is not both:
                found = _as_zeros(found, mine, theirs, np.abs(right[both]))
            parts.append(_located(found, np.flatnonzero(where), expected.shape))
    if parts:
        yield _merged(parts, expected.size)


def compare_texts_with_numbers(
    place: ItemLocation, actual: Array, expected: Array, book: RuleBook
) -> Iterator[Difference]:
    """As `compare_arrays`, of text; where numbers stand in a column that also has words (a comment,
    a second header, `n/a`), those that differ are compared as numbers.
    """
    tolerance = book.peek(place.output, place.item, place.above).tolerance
    left, right = actual.values(), expected.values()
    numbers: dict[int, tuple[int | float, int | float]] = {}
    near: list[int] = []
    if left.shape == right.shape and not (tolerance.exact or tolerance.patterns):
        for at in np.flatnonzero(left != right)[:_MOST_NUMBERS].tolist():
            cells = left[at], right[at]
            if all(isinstance(cell, str) for cell in cells):
                pair = read_pair(*cells, tolerates_numbers(tolerance))
                if pair is not None:
                    numbers[at] = pair
                elif agree_by_numbers(*cells, tolerance):
                    near.append(at)
    if not _is_divisible(tolerance, place) or not (numbers or near):
        yield from compare_arrays(place, actual, expected, book)
        return
    if near:
        left = left.copy()
        left[near] = right[near]
    for found in _in_parts(place, left, right, numbers, book):
        yield _with_near(found, len(near)) if near else found


def _with_near(found: Difference, near: int) -> Difference:
    """Where some cells that are counted as equal are only nearly so."""
    mere = found.verdict is Verdict.IDENTICAL
    verdict = Verdict.EQUIVALENT if mere else found.verdict
    note = join_notes(found.note, BY_NUMBERS)
    return replace(found, verdict=verdict, differing=found.differing + near, note=note)


def _in_parts(
    place: ItemLocation,
    left: Values,
    right: Values,
    numbers: dict[int, tuple[int | float, int | float]],
    book: RuleBook,
) -> Iterator[Difference]:
    """Text, of which the cells at some places are numbers."""
    if not numbers:
        yield from compare_arrays(place, array_of(left), array_of(right), book)
        return
    at = np.array([*numbers])
    words = np.setdiff1d(np.arange(right.size), at)
    mine, theirs = (np.array([pair[side] for pair in numbers.values()]) for side in (0, 1))
    met = bring_together(mine, theirs)
    place = replace(place, is_part=True)
    here = replace(place, judged_as=met.judged_as, note=join_notes(place.note, NOTE))
    parts = []
    if words.size:
        texts = array_of(left[words]), array_of(right[words])
        found = compare_arrays(place, *texts, book)
        parts += [_located(each, words, right.shape) for each in found]
    found = compare_arrays(here, array_of(met.actual), array_of(met.expected), book)
    parts += [_located(each, at, right.shape) for each in found]
    if parts:
        yield _merged(parts, right.size)


def compare_few_with_wholes(
    few: FewValues,
    place: ItemLocation,
    sides: tuple[Sequence[int | float], Sequence[int | float]],
    shape: tuple[int, ...],
    applied: AppliedTolerance,
) -> Difference | None:
    """As `FewValues.compare_numbers`, with what both sides wrote as whole numbers as integers."""
    pairs = list(zip(*sides, strict=True))
    both = [type(left) is int and type(right) is int for left, right in pairs]
    if len(shape) != 1 or all(both) or not any(both):
        return few.compare_numbers(place, *sides, shape, applied)
    parts = []
    for wanted in (True, False):
        at = np.array([number for number, whole in enumerate(both) if whole is wanted])
        mine, theirs = ([side[number] for number in at] for side in sides)
        here = replace(place, note="" if wanted else place.note)
        found = few.compare_numbers(here, mine, theirs, (len(at),), applied)
        if found is None:
            return None
        if not wanted and found.verdict is Verdict.DRIFT:
            beside = [min(abs(each[0]), _LARGE) for each, it in zip(pairs, both, strict=True) if it]
            left, right = np.array(mine, np.float64), np.array(theirs, np.float64)
            found = _as_zeros(found, left, right, np.array(beside, np.float64))
        parts.append(_located(found, at, shape))
    return _merged(parts, len(pairs))


def _as_zeros(found: Difference, actual: Values, expected: Values, wholes: Values) -> Difference:
    """Decimals that drift, as equivalent where they are zero up to the rounding of the whole
    numbers beside them: `[5, 2, 1, 1e-17]`. Nothing else of whole numbers widens their bound.
    """
    if found.verdict is not Verdict.DRIFT or not found.rule.endswith("float64 default)"):
        return found
    differing = actual != expected
    tile = Tile(wholes.shape, wholes, np.zeros(len(wholes)))
    if not zeros(tile, actual[differing], expected[differing]).all():
        return found
    return replace(found, verdict=Verdict.EQUIVALENT, beyond=0)


def _is_divisible(tolerance: Tolerance, place: ItemLocation) -> bool:
    """Whether the rule judges element by element, so that parts can be judged alone."""
    meets = tolerance.free or (tolerance.unordered and not place.met)
    alone = tolerance.agreement is not None or tolerance.equivalence is not None
    return not meets and not alone


def _integers(wholes: Values, floats: Values) -> Values:
    """The numbers themselves, as int64, uint64 or text, whichever holds all of them."""
    large = floats >= 2.0**63
    if not large.any():
        return wholes
    if (floats >= 0).all():
        return wholes.view(np.uint64)
    pairs = zip(wholes.tolist(), large.tolist(), strict=True)
    texts = np.empty(len(wholes), object)
    texts[:] = [str(value + 2**64 if beyond else value) for value, beyond in pairs]
    return texts


def _located(found: Difference, places: Values, shape: tuple[int, ...]) -> Difference:
    """A part's difference with the places that its elements have in the whole item."""

    def move(index: tuple[int, ...]) -> tuple[int, ...]:
        at = int(places[index[0]])
        return tuple(int(part) for part in np.unravel_index(at, shape))

    if found.worst_index is None:
        return found
    worst = move(found.worst_index)
    elements = tuple(replace(each, index=move(each.index)) for each in found.elements)
    if not elements and found.differing:
        elements = (Element(worst, found.worst_actual, found.worst_expected, found.max_abs),)
    return replace(found, worst_index=worst, elements=elements)


def _merged(parts: list[Difference], size: int) -> Difference:
    """One difference for the item: the part that is worse, with what the other adds."""
    if len(parts) == 1:
        return replace(parts[0], size=size)
    whole, decimal = parts
    is_whole_worse = whole.verdict.severity > decimal.verdict.severity
    first, other = (whole, decimal) if is_whole_worse else (decimal, whole)
    if not other.differing:
        return replace(first, size=size, note=_note(first, other))
    return replace(
        first,
        max_abs=_larger(first.max_abs, other.max_abs),
        max_rel=_larger(first.max_rel, other.max_rel),
        max_ulp=first.max_ulp if first.max_ulp is not None else other.max_ulp,
        scale_error=_larger(first.scale_error, other.scale_error),
        differing=first.differing + other.differing,
        beyond=first.beyond + other.beyond,
        size=size,
        note=_note(first, other),
        elements=(*first.elements, *other.elements)[:_ELEMENTS_KEPT],
        quantiles=(),
        histogram=(),
        plots=None,
    )


def _note(first: Difference, other: Difference) -> str:
    return "; ".join(dict.fromkeys(note for note in (first.note, other.note) if note))


def _larger(left: float | None, right: float | None) -> float | None:
    return max((each for each in (left, right) if each is not None), default=None)
