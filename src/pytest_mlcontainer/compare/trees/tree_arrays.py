"""Two lists of one tree as arrays, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.numeric.numbers import bring_together, wholes_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.trees.tree_values import Grid, texts_of, values_of
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import join_notes
from pytest_mlcontainer.compare.values.numbers_in_text import tolerates_numbers
from pytest_mlcontainer.compare.values.wholes import (
    WholeNumbers,
    compare_with_wholes,
    wholes_of_both,
)
from pytest_mlcontainer.model import Difference


def compare_values(
    place: ItemLocation, actual: Grid, expected: Grid, book: RuleBook
) -> Iterator[Difference]:
    """Numbers as numbers, whole ones exactly, and all else as text."""
    left, right = values_of(actual), values_of(expected)
    wholes: WholeNumbers | None = None
    if left is None or right is None:
        left, right = texts_of(actual), texts_of(expected)
    elif "numbers" in (actual.kind, expected.kind):
        tolerance = book.peek(place.output, place.item, place.above).tolerance
        both = bring_together(left, right, as_doubles=tolerates_numbers(tolerance))
        left, right = both.actual, both.expected
        place = replace(place, judged_as=both.judged_as, note=join_notes(place.note, both.note))
        if left.dtype.kind == "f":
            wholes = wholes_of_both(wholes_of(actual.leaves), wholes_of(expected.leaves))
    left, right = left.reshape(actual.shape), right.reshape(expected.shape)
    if not actual.leaves or not expected.leaves:
        left, right = left.astype(right.dtype), right
    yield from compare_with_wholes(place, array_of(left), array_of(right), wholes, book)
