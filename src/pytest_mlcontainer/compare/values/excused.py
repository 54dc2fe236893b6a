"""Text that drifts: without what would it be the same? Times, durations, ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.text.excuses import QUARTER_S, excuse_all, offset_s
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import join_notes
from pytest_mlcontainer.compare.values.numbers_in_text import agree_by_numbers
from pytest_mlcontainer.model import Difference, Tolerance
from pytest_mlcontainer.model.clock_names import is_date_of_run, is_digest

_MOST_TEXTS: Final = 1_000_000
_MOST_CHARACTERS: Final = 500_000
_DAY: Final = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}[-/.][0-9]{2}[-/.][0-9]{2}(?![0-9])")
_MANY_DAYS: Final = 3
_WRITTEN: Final = re.compile(
    r"(?<![0-9])(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4})(?![0-9])"
)
_OTHERWISE: Final = (
    "the dates hold the same numbers, written in another form: another locale, or other data"
)
_MOMENT: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[T ][0-9]{2}.*)?")


def excused(
    found: Difference, pairs: Iterable[tuple[str, str]], place: ItemLocation, book: RuleBook
) -> Difference:
    """The difference, with what the texts would need to be without, and a rule that leaves it out.

    Args:
        pairs: all texts of the item, those that differ among them.
    """
    left = book.characters[place.output]
    if found.verdict.passes or not found.beyond or left <= 0:
        return found
    rule = book.peek(place.output, place.item, place.above).rule
    most = min(left, _MOST_CHARACTERS)
    pairs = list(pairs)
    excuses = excuse_all(pairs, most)
    book.characters[place.output] -= most - excuses.characters_left
    if excuses.names() == ("hex",) and is_digest(place.item):
        said = "by its name a digest: what it was made of is not the same"
        return replace(found, note=join_notes(found.note, said))
    data = ""
    if "time" in excuses.names() and _are_of_many_days(pairs):
        data = "the dates are of several days: data"
    elif not (len(pairs) == 1 and is_date_of_run(place.item)):
        data = says_moved(*(pair for pair in pairs if pair[0] != pair[1]))
    if data:
        return replace(found, note=join_notes(found.note, data))
    said = excuses.say(book.key(place.output, place.item), rule)
    return replace(found, note=join_notes(found.note, said), excuses=excuses.names())


def _are_of_many_days(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether the dates are no stamps, which a run makes within a day, or around midnight."""
    days: set[str] = set()
    for actual, expected in pairs:
        if actual != expected:
            days.update(_DAY.findall(expected))
            if len(days) >= _MANY_DAYS:
                return True
    return False


def says_moved(*pairs: tuple[str, str]) -> str:
    """What is said where each time moved by whole days or quarters of an hour, as other data or
    another time zone move them, and no clock that is read twice does; "" else.

    Args:
        pairs: texts that differ.
    """
    if pairs and all(_same_date(*pair) for pair in pairs):
        return _OTHERWISE
    if not all(_MOMENT.fullmatch(text) for pair in pairs for text in pair):
        return ""
    offsets = {offset_s(*pair) for pair in pairs}
    if None in offsets or any(offset % QUARTER_S for offset in offsets if offset is not None):
        return ""
    if not any(offsets):
        return "the moments are the same, written for another time zone"
    whole = not any(offset % 86_400 for offset in offsets if offset is not None)
    how = "days: other data" if whole else "hours: another time zone, or other data"
    return f"the dates moved by whole {how}"


def _same_date(actual: str, expected: str) -> bool:
    """Whether the dates have the same numbers, in another order or with other marks, as another
    locale writes them; of ISO in both, they are of other days.
    """
    mine, theirs = _WRITTEN.search(actual), _WRITTEN.search(expected)
    if mine is None or theirs is None or (_DAY.match(mine[0]) and _DAY.match(theirs[0])):
        return False
    numbers = [sorted(map(int, re.findall("[0-9]+", each[0]))) for each in (mine, theirs)]
    rest = [actual.replace(mine[0], ""), expected.replace(theirs[0], "")]
    return numbers[0] == numbers[1] and rest[0] == rest[1]


def excused_array(
    found: Difference, actual: Array, expected: Array, place: ItemLocation, book: RuleBook
) -> Difference:
    """The same of two arrays; as it is where they are not text, or of several shapes."""
    if found.verdict.passes or not (_is_text(actual) and _is_text(expected)):
        return found
    if actual.shape != expected.shape or expected.size > _MOST_TEXTS:
        return found
    tolerance = book.peek(place.output, place.item, place.above).tolerance
    if tolerance.free or (tolerance.unordered and not place.met):
        return found
    left, right = (side.values().reshape(-1).tolist() for side in (actual, expected))
    pairs = zip(left, right, strict=True)
    differing = [(mine, its) for mine, its in pairs if not _agree(mine, its, tolerance)]
    if not all(isinstance(text, str) for pair in differing for text in pair):
        return found
    return excused(found, differing, place, book)


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OU"


def _agree(actual: Any, expected: Any, tolerance: Tolerance) -> bool:
    """Whether two cells are no difference: equal, or nearly so by the numbers in them."""
    if actual is expected or (type(actual) is type(expected) and actual == expected):
        return True
    texts = isinstance(actual, str) and isinstance(expected, str)
    near = texts and not (tolerance.exact or tolerance.patterns)
    return near and agree_by_numbers(actual, expected, tolerance)
