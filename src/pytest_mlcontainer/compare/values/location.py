"""The item that is compared: its name, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_mlcontainer.compare.numeric.tolerance import Precision
from pytest_mlcontainer.model import Difference


def _always(_found: Difference) -> bool:
    return True


@dataclass(frozen=True)
class ItemLocation:
    """The item that two arrays are, and what is known about it.

    Args:
        item: "" for an output that is one array.
        above: items that hold this one.
        text: whether the values were read from text, which has no dtype of its own.
        judged_as: the precision to judge by, where it is not the dtype's.
        note: goes into every difference made here.
        is_drawn: whether a difference found there is worth to be drawn.
        met: rows have met already, by a key or in any order; here only their values count.
        is_part: only some of the item's values, or in another shape than a rule would see them in.
        is_column: of a table, whose rows a rule may let meet, not what one column holds.
    """

    output: str
    item: str = ""
    above: tuple[str, ...] = ()
    judged_as: Precision | None = None
    note: str = ""
    met: bool = False
    is_drawn: Callable[[Difference], bool] = _always
    is_part: bool = False
    is_column: bool = False

    def field(self, name: str) -> ItemLocation:
        above = (self.item, *self.above) if self.item else self.above
        item = f"{self.item}.{name}" if self.item else name
        return ItemLocation(self.output, item, above, met=self.met)
