"""Two sets of named values of which some could not be read: those fail, the rest is compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference, Verdict


class PartlyRead(Protocol):
    """What was read of one side."""

    @property
    def leaves(self) -> dict[str, Leaf]:
        """Values by item."""

    @property
    def unreadable(self) -> dict[str, str]:
        """Why an item cannot be read."""


def compare_readable(
    output: str, actual: PartlyRead, expected: PartlyRead, book: RuleBook
) -> Iterator[Difference]:
    """Differences as of `compare_items`, after one for each item that a side cannot read."""
    failed = dict.fromkeys((*expected.unreadable, *actual.unreadable))
    sides = actual, expected
    for item in failed:
        if not book.find(output, item).tolerance.ignore:
            reasons = (side.unreadable[item] for side in sides if item in side.unreadable)
            yield Difference(output, item, Verdict.FAILED, note="; ".join(reasons))
    left, right = (
        {item: leaf for item, leaf in side.leaves.items() if item not in failed} for side in sides
    )
    yield from compare_items(output, left, right, book)
