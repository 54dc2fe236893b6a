"""Recognises texts that differ in times, durations or ids alone, and proposes a rule for them.

The proposal is a line of configuration that leaves these out. It was tried: with it, the texts that
were looked at are equal.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import PurePosixPath

from pytest_mlcontainer.model import NAMED_PATTERNS, Rule

_MOST_SEARCHES = 500
_SEARCHED_FIRST = 100  # each for what suits it best; past them for what others needed
_MOST_CHARACTERS = 500_000
_LONGEST = 20_000
_CUE = re.compile(r"[0-9] --> +[0-9]")  # of a subtitle, or of what Whisper prints
# Digests of contents, which no generator of ids draws: by their name, or as `sha256sum` lists them.
_DIGEST = re.compile(
    r"(?<![A-Za-z])(?:(?:sha-?[0-9]{1,3}|md5)(?:sums?)?|digest|checksum|(?<!commit )(?<!git )hash)"
    r"(?![A-Za-z])[^\n]{0,40}\Z",
    re.IGNORECASE,
)
_LISTED = re.compile(r"(?:[0-9a-fA-F]{8}){4,16} [ *]\S")
_BEFORE = 60
# Versions 3, 5 and 8 of RFC 9562.
_OF_CONTENTS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[358]", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ENDING = re.compile(r"\.[A-Za-z][0-9A-Za-z]{0,11}")
_DATE = re.compile(r"[0-9]{4}|[A-Za-z]{3}")
_MOMENT = re.compile(
    r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
QUARTER_S, _DAY_S = 15 * 60, 86_400
# Those that claim most come last: a path may hold a time, and an id look like one.
_ORDER = ("uuid", "address", "id", "hex", "time", "duration", "memory", "path")
NOUNS = {
    "uuid": "UUIDs",
    "address": "addresses",
    "hex": "ids of hexadecimal digits",
    "time": "dates and times",
    "duration": "durations and rates",
    "memory": "amounts of memory",
    "path": "paths",
    "id": "ids of runs and processes",
}


class Excuses:
    """Collects the kinds of text (time, id, …) without which pairs of texts would be equal.

    Args:
        near: whether texts that are not equal agree all the same, by their numbers; None where
            texts have to be equal.
        characters: how many may be looked at.
    """

    def __init__(
        self,
        near: Callable[[str, str], bool] | None = None,
        characters: int = _MOST_CHARACTERS,
    ) -> None:
        self._near = near
        self._names: set[str] = set()
        self._searches = _MOST_SEARCHES
        self._characters = characters
        self._beyond = False
        self._why = ""
        self.hopeless: bool = False

    def add(self, actual: str, expected: str) -> None:
        """Two texts that differ."""
        if self.hopeless or self._is_full:
            return
        self._characters -= len(actual) + len(expected)
        if self._searches <= _MOST_SEARCHES - _SEARCHED_FIRST and self._are_known(actual, expected):
            return
        self._searches -= 1
        found = _needed(actual, expected, operator.eq)
        if found is None and self._near is not None:
            found = _needed(actual, expected, self._near)
            self._beyond = True
        if found is None:
            self.hopeless = True
            self._why = _say_result(actual, expected)
        else:
            self._names |= found

    @property
    def characters_left(self) -> int:
        return self._characters

    def _are_known(self, actual: str, expected: str) -> bool:
        """Whether what was found of others is enough: cheaper than to look for what is needed."""
        names = tuple(name for name in _ORDER if name in self._names)
        if max(len(actual), len(expected)) > _LONGEST or _are_results(actual, expected, names):
            return False
        return _masked(actual, names) == _masked(expected, names)

    @property
    def _is_full(self) -> bool:
        return self._searches <= 0 or self._characters <= 0

    def names(self) -> tuple[str, ...]:
        """The patterns without which nothing differs; empty where something else does, or may."""
        return () if self._is_full else self._found()

    def _found(self) -> tuple[str, ...]:
        if self.hopeless:
            return ()
        return tuple(name for name in NAMED_PATTERNS if name in self._names)

    def say(self, key: str, rule: Rule | None) -> str:
        """What to know and to write; "" where something else differs.

        Args:
            key: what a rule for the texts is called.
            rule: the one that they are compared by.
        """
        names = self._found()
        if not names:
            return self._why
        nouns = " and ".join(NOUNS[name] for name in names)
        listed = ", ".join(f'"{name}"' for name in names)
        beyond = " beyond the tolerance" * self._beyond
        what = f"only {nouns} differ{beyond}{', as far as was looked' * self._is_full}"
        if rule is not None:
            return f"{what}: rule {rule} could leave them out with ignore = [{listed}]"
        return f'{what}, which a rule leaves out: "{key}" = {{ ignore = [{listed}] }}'


def excuse_all(pairs: Iterable[tuple[str, str]], characters: int = _MOST_CHARACTERS) -> Excuses:
    """The excuses of all texts that differ; so many characters are looked at."""
    found = Excuses(characters=characters)
    for actual, expected in pairs:
        if actual != expected:
            found.add(actual, expected)
    return found


def bare(text: str) -> str:
    """The text without all that may be a time, an id or a path; as it is where it is very long."""
    return text if len(text) > _LONGEST else _masked(text, _ORDER)


def _needed(actual: str, expected: str, agree: Callable[[str, str], bool]) -> frozenset[str] | None:
    """A smallest set of patterns without which both agree; None where there is none."""
    if max(len(actual), len(expected)) > _LONGEST:
        return None

    def enough(names: tuple[str, ...]) -> bool:
        return agree(_masked(actual, names), _masked(expected, names))

    for name in _ORDER:
        if enough((name,)):
            return None if _are_results(actual, expected, (name,)) else frozenset({name})
    names: tuple[str, ...] = _ORDER
    if not enough(names):
        return None
    for name in reversed(_ORDER):
        fewer = tuple(each for each in names if each != name)
        if enough(fewer) and not (name == "time" and _have_other_dates(actual, expected)):
            names = fewer
    return None if _are_results(actual, expected, names) else frozenset(names)


def _are_results(actual: str, expected: str, names: tuple[str, ...]) -> bool:
    """Whether what these patterns match says what a program found, not when and where it ran."""
    if "time" in names and (
        any(_CUE.search(text) for text in (actual, expected)) or _have_moved(actual, expected)
    ):
        return True
    if not {"hex", "uuid", "duration"}.isdisjoint(names) and _say_result(actual, expected):
        return True
    return "path" in names and _lead_to_others(actual, expected)


def _say_result(actual: str, expected: str) -> str:
    """What says that what differs is no clock's and no generator's; "" where nothing does."""
    if _are_digests(actual, expected):
        return "a digest is another: what it was made of is not the same"
    sides = [_NUMBER.findall(text) for text in (actual, expected)]
    if sides[0] == sides[1] and any(
        _compiled("duration").findall(text) for text in (actual, expected)
    ):
        without = [_masked(text, ("duration",)) for text in (actual, expected)]
        if without[0] == without[1]:
            return "the numbers are the same, in another unit"
    return ""


def _are_digests(actual: str, expected: str) -> bool:
    """Whether an id of hexadecimal digits that differs is a digest of contents, or a UUID that is
    made of them.
    """
    uuids = [_compiled("uuid").findall(text) for text in (actual, expected)]
    if any(
        mine != theirs and _OF_CONTENTS.match(mine) and _OF_CONTENTS.match(theirs)
        for mine, theirs in zip(*uuids, strict=False)
    ):
        return True
    found = [list(_compiled("hex").finditer(text)) for text in (actual, expected)]
    pairs = list(zip(*found, strict=False))
    return any(
        _DIGEST.search(text[max(0, one.start() - _BEFORE) : one.start()])
        or _LISTED.match(text[one.start() : one.end() + 3])
        for mine, theirs in pairs
        if mine[0] != theirs[0]
        for text, one in ((actual, mine), (expected, theirs))
    )


def _have_moved(actual: str, expected: str) -> bool:
    """Whether times to the second all moved by whole quarters of an hour, but not by days, as data
    or another time zone move them, and no clock that is read twice does.
    """
    mine, theirs = (_MOMENT.findall(text) for text in (actual, expected))
    if mine == theirs or len(mine) != len(theirs):
        return False
    offsets = [offset_s(*pair) for pair in zip(mine, theirs, strict=True)]
    known = [offset for offset in offsets if offset is not None]
    if len(known) < len(offsets) or any(offset % QUARTER_S for offset in known):
        return False
    # What a run prints that starts at the same time every day is no data.
    return not any(known) or any(offset % _DAY_S for offset in known)


def offset_s(actual: str, expected: str) -> float | None:
    """Seconds from one to the other; None where they are no dates or times of ISO."""
    try:
        left, right = (datetime.fromisoformat(text) for text in (actual, expected))
        return (left - right).total_seconds()
    except (ValueError, TypeError):  # no such day; or one of them alone names a zone
        return None


def _lead_to_others(actual: str, expected: str) -> bool:
    """Whether paths lead to files of other names (ckpt_3.pt, ckpt_7.pt), which is a choice; folders
    that they are in depend on the machine.
    """
    names = tuple(name for name in _ORDER if name != "path")
    found = [_compiled("path").findall(_masked(text, names)) for text in (actual, expected)]
    return any(_is_other_file(*pair) for pair in zip(*found, strict=False))


def _is_other_file(actual: str, expected: str) -> bool:
    mine, theirs = (PurePosixPath(path.replace("\\", "/")) for path in (actual, expected))
    files = all(_ENDING.fullmatch(each.suffix) for each in (mine, theirs))
    return mine.name != theirs.name and (files or mine.parent == theirs.parent)


def _have_other_dates(actual: str, expected: str) -> bool:
    """Whether times with a date differ, though a pattern of durations may take the clock alone:
    what passes today would fail tomorrow.
    """
    found = [_compiled("time").findall(text) for text in (actual, expected)]
    return found[0] != found[1] and any(_DATE.search(time) for side in found for time in side)


def _masked(text: str, names: tuple[str, ...]) -> str:
    for name in names:
        text = _compiled(name).sub("\0", text)
    return text


@functools.lru_cache(maxsize=len(_ORDER))
def _compiled(name: str) -> re.Pattern[str]:
    return re.compile(NAMED_PATTERNS[name])
