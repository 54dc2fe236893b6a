"""Says of items that drift which other item of the same file holds their values: columns of a table
or arrays of a file that were exchanged, or stand under the name of the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.values.notes import join_notes
from pytest_mlcontainer.model import Difference

# Gives the values of an item; None where they cannot be had in one array.
ItemReader = Callable[[str], Values | None]

_MOST_ITEMS: Final = 20
_MOST_ELEMENTS: Final = 1 << 22
_NEARLY: Final = 1e-5  # what two platforms may make of the same numbers


def with_exchanged(
    differences: Iterable[Difference], actual: ItemReader, expected: ItemReader
) -> tuple[Difference, ...]:
    """The differences of one file, those that fail with a note on whose values an item holds.

    Args:
        actual, expected: read items of either side.
    """
    found = tuple(differences)
    names = _candidates(found)
    if len(names) < 2:
        return found
    mine, theirs = ({name: read(name) for name in names} for read in (actual, expected))
    holds = {name: other for name in names if (other := _held(name, mine, theirs))}
    return tuple(
        replace(each, note=join_notes(each.note, _say(each.item, holds)))
        if each.item in holds and not each.verdict.passes
        else each
        for each in found
    )


def _candidates(found: tuple[Difference, ...]) -> list[str]:
    """Items that differ in more than one element, and are as large as another such item."""
    failing = {
        each.item: each.size
        for each in found
        if each.item and not each.verdict.passes and each.differing > 1
    }
    sizes = Counter(failing.values())
    names = [name for name, size in failing.items() if sizes[size] > 1][:_MOST_ITEMS]
    return names if sum(failing[name] for name in names) <= _MOST_ELEMENTS else []


def _held(
    name: str, actual: Mapping[str, Values | None], expected: Mapping[str, Values | None]
) -> str:
    """The one other item whose expected values are the actual ones of `name`; "" for none."""
    own = actual[name]
    if own is None or not own.size or _alike(own, np.full_like(own, own.flat[0])):
        return ""  # of zeros it means nothing that others are zero, too
    alike = [
        other
        for other, values in expected.items()
        if other != name and values is not None and _alike(own, values)
    ]
    return alike[0] if len(alike) == 1 else ""


def _alike(one: Values, other: Values) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape or one.dtype.kind == "V":
        return False
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=_NEARLY, atol=0, equal_nan=True))
    return bool(np.array_equal(one, other))


def _say(item: str, holds: Mapping[str, str]) -> str:
    other = holds[item]
    if holds.get(other) == item:
        return f"exchanged with {other}: each holds what the other holds in the reference"
    return f"holds what {other} holds in the reference"
