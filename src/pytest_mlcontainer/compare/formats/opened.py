"""Pickles and joblib files, compared by the values that loading them in the project's image gave.

A pickle is a program, and none is ever run on this machine. `runs.opening` loads it where it was
written, in a container that can do no harm, and what comes back is plain (`opened_tree`).

An item is the path to a value: `steps[0][1].coef_`, `estimators_[3].tree_.nodes.threshold`. The
class of an object is an item of its own, `estimator.__class__`. The order of keys does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.opened_tree import (
    ABOUT,
    OpenedItem,
    OpenedPickle,
    StoredArray,
    UnseenValue,
    array_of_item,
    read_opened,
    texts_in,
)
from pytest_mlcontainer.compare.formats.pickles import is_pickle
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.tree_values import plainly_equal
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.excused import excused_array
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.wording import truncate

_SHOWN = 80
_DEEPEST_RULE = 50
_STEP = re.compile(r"[.\[]")
_PLAIN = frozenset({"dict", "list", "tuple", "set", "frozenset"})


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare what was found in two pickles, value by value."""
    actual, expected = read_both(pair, read_opened)
    yield from _OpenedComparison(pair.name, actual, expected, book).compare()
    if actual.cut or expected.cut:
        most = min(len(each.items) for each in (actual, expected) if each.cut)
        note = f"it holds more than {most} values, and the rest was not looked at"
        yield Difference(pair.name, "", Verdict.FAILED, note=note)


def notes_on(pair: Pair) -> tuple[str, ...]:
    """What to know about the place where a side was opened, if that was not its own image."""
    said = []
    for side in (pair.actual, pair.expected):
        note = None if side.opened is None else texts_in(side.opened / ABOUT, "note")
        if note is not None and note[0]:
            said.append(f"{pair.name} of the {side.label} was {note[0]}")
    return tuple(said)


class _OpenedComparison:
    """One comparison of two opened pickles."""

    def __init__(
        self, output: str, actual: OpenedPickle, expected: OpenedPickle, book: RuleBook
    ) -> None:
        self._output = output
        self._actual = actual
        self._expected = expected
        self._book = book
        self._absent: set[str] = set()

    def compare(self) -> Iterator[Difference]:
        for met in self._book.meet(self._actual.items, self._expected.items):
            place = ItemLocation(self._output, met.name, _above(met.name))
            mine = None if met.actual is None else self._actual.items[met.actual]
            theirs = None if met.expected is None else self._expected.items[met.expected]
            if mine is not None and theirs is not None:
                yield from self._compare(place, mine, theirs)
            elif mine is None and theirs is None:
                yield from self._say(place, Verdict.FAILED, met.note)
            elif self._absent.isdisjoint((*place.above, "") if met.name else ()):
                self._absent.add(met.name)
                where = "missing in the actual run; expected" if mine is None else ""
                shown = _describe(mine or theirs)
                yield from self._say(
                    place, Verdict.DRIFT, f"{where or 'only in the actual run:'} {shown}"
                )

    def _compare(
        self, place: ItemLocation, mine: OpenedItem, theirs: OpenedItem
    ) -> Iterator[Difference]:
        if mine.holds is not None and theirs.holds is not None:
            yield from self._compare_classes(place, mine, theirs)
            return
        loose = self._book.peek(place.output, place.item, place.above).tolerance.any_dtype
        unlike = mine.kind != theirs.kind and not loose
        if unlike or mine.holds is not None or theirs.holds is not None:
            note = f"{_describe(mine)}, expected {_describe(theirs)}"
            yield from self._say(place, Verdict.DRIFT, note)
        elif isinstance(mine.held, UnseenValue) or isinstance(theirs.held, UnseenValue):
            unseen = mine.held if isinstance(mine.held, UnseenValue) else theirs.held
            assert isinstance(unseen, UnseenValue)
            note = f"{theirs.kind} could not be looked into: {unseen.reason}"
            yield from self._say(place, Verdict.FAILED, note)
        else:
            yield from self._compare_values(place, mine, theirs)

    def _compare_classes(
        self, place: ItemLocation, mine: OpenedItem, theirs: OpenedItem
    ) -> Iterator[Difference]:
        """What holds values is compared by those; here only by its class."""
        item = f"{place.item}.__class__" if place.item else "__class__"
        classed = ItemLocation(place.output, item, (place.item, *place.above) if place.item else ())
        if mine.kind != theirs.kind:
            note = f"{mine.kind}, expected {theirs.kind}"
            yield from self._say(classed, Verdict.DRIFT, note)
        elif not mine.holds and not theirs.holds:
            yield from self._say(place, Verdict.IDENTICAL)
        elif theirs.kind not in _PLAIN:
            yield from self._say(classed, Verdict.IDENTICAL)

    def _compare_values(
        self, place: ItemLocation, mine: OpenedItem, theirs: OpenedItem
    ) -> Iterator[Difference]:
        is_array = isinstance(mine.held, (Array, StoredArray))
        if not is_array and plainly_equal(mine.held, theirs.held):
            yield from self._say(place, Verdict.IDENTICAL)
            return
        left, right = array_of_item(self._actual, mine), array_of_item(self._expected, theirs)
        for found in compare_arrays(place, left, right, self._book):
            yield excused_array(found, left, right, place, self._book)

    def _say(self, place: ItemLocation, verdict: Verdict, note: str = "") -> Iterator[Difference]:
        if not self._book.find(place.output, place.item, place.above).tolerance.ignore:
            yield Difference(place.output, place.item, verdict, size=1, note=note)


def _above(item: str) -> tuple[str, ...]:
    """The items that hold this one, the nearest first: `a.b` and `a` for `a.b[0]`."""
    ends = [step.start() for step in _STEP.finditer(item) if step.start()]
    return tuple(item[:end] for end in reversed(ends[-_DEEPEST_RULE:]))


def _describe(item: OpenedItem | None) -> str:
    """A value with its type, in a few words."""
    assert item is not None
    if item.holds is not None:
        return f"{item.kind} of {item.holds}"
    if isinstance(item.held, (Array, StoredArray, UnseenValue)):
        return item.kind
    return f"{item.kind} {truncate(repr(item.held), _SHOWN)}"


def _is_ours(side: ComparedFile) -> bool:
    return side.opened is not None or is_pickle(side)


FORMAT = Format("pickle", compare, _is_ours, folds=True)
