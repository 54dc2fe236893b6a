"""Two sets of named values → differences. Every format that is a tree of values ends here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Union

import numpy as np

from pytest_mlcontainer.compare.matching.curves import split
from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.numbers import integers
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import UnreadableError
from pytest_mlcontainer.compare.tables.training_logs import clocks_in_lists
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.excused import excused_array
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.model.clock_names import depends_on_neighbours
from pytest_mlcontainer.wording import truncate

Leaf = Union[Array, None, bool, int, float, complex, str, bytes]
_SHOWN = 80
_MOST_STEPS = 1 << 20


def compare_items(
    output: str, actual: Mapping[str, Leaf], expected: Mapping[str, Leaf], book: RuleBook
) -> Iterator[Difference]:
    """One difference for each name, in the reference's order.

    Args:
        actual, expected: item name → value. Scalars are compared as arrays without dimensions; a
            number is judged as float64 or as an integer, text and bytes have to be equal.
    """
    actual, expected, undecided = book.rename(output, actual, expected)
    yield from undecided
    curves, taken = split(output, actual, expected, book)
    yield from curves
    for item in dict.fromkeys((*expected, *actual)):
        if item in taken:
            continue
        if item not in actual:
            yield from drift(output, item, "missing in the actual run", book)
        elif item not in expected:
            yield from drift(output, item, "only in the actual run", book)
        else:
            place = ItemLocation(output, item)
            for found in _compare_readable(place, actual[item], expected[item], book):
                is_clock = not found.verdict.passes and _is_clock(item, actual, expected)
                yield replace(found, clock=True) if is_clock else found


def _is_clock(item: str, actual: Mapping[str, Leaf], expected: Mapping[str, Leaf]) -> bool:
    """Whether a clock gave an array, in a log of training that is kept as arrays by name."""
    own = expected.get(item)
    if not (depends_on_neighbours(item) and isinstance(own, Array) and own.size <= _MOST_STEPS):
        return False
    sides = (
        {
            name: leaf.values().tolist()
            for name, leaf in side.items()
            if isinstance(leaf, Array) and leaf.shape == own.shape == (own.size,)
        }
        for side in (actual, expected)
    )
    return item in clocks_in_lists(*sides)


def _compare_readable(
    place: ItemLocation, actual: Leaf, expected: Leaf, book: RuleBook
) -> Iterator[Difference]:
    """An item that turns out unreadable fails by itself; the others are compared all the same."""
    try:
        yield from _compare(place, actual, expected, book)
    except UnreadableError as error:
        yield Difference(place.output, place.item, Verdict.FAILED, note=str(error))


def array_of_leaf(leaf: Leaf) -> Array:
    """The value as an array: text and bytes as objects, other scalars by their Python type."""
    if isinstance(leaf, Array):
        return leaf
    if isinstance(leaf, (str, bytes)) or leaf is None:
        return array_of(np.array(leaf, object))
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        whole = integers([leaf])
        return array_of(np.array(str(leaf), object) if whole is None else whole.reshape(()))
    return array_of(np.asarray(leaf))


def _compare(
    place: ItemLocation, actual: Leaf, expected: Leaf, book: RuleBook
) -> Iterator[Difference]:
    left, right = array_of_leaf(actual), array_of_leaf(expected)
    kinds = kind_of(left.dtype), kind_of(right.dtype)
    scalars = not isinstance(actual, Array) and not isinstance(expected, Array)
    if scalars and set(kinds) == {DtypeKind.INTEGER, DtypeKind.FLOAT}:
        # 1 and 1.0 are the same number wherever no dtype was written.
        left, right = (array_of(side.values().astype(np.float64)) for side in (left, right))
    elif kinds[0] is not kinds[1] and DtypeKind.LABEL in kinds:
        note = f"{_describe(actual)}, expected {_describe(expected)}"
        yield from drift(place.output, place.item, note, book)
        return
    for found in compare_arrays(place, left, right, book):
        yield excused_array(found, left, right, place, book)


def _describe(leaf: Leaf) -> str:
    if isinstance(leaf, Array):
        return f"an array of {'objects' if leaf.dtype.hasobject else leaf.dtype} {leaf.shape}"
    return truncate(repr(leaf), _SHOWN)
