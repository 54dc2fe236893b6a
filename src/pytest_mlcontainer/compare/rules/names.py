"""Matches names of two runs that differ in times, hosts or ids, by the rules in `names`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_mlcontainer.compare.text.patterns import Clock
from pytest_mlcontainer.model import Pairs
from pytest_mlcontainer.wording import first_of

_SHOWN = 3
LIMIT_S = 10.0  # of computing: a hundred thousand names take less than one


@dataclass(frozen=True)
class NameMatch:
    """An output or item with its names on both sides.

    Args:
        name: what it is called here; the side's own names are in `actual` and `expected`.
        actual, expected: None where that side has none; both None where the match is ambiguous,
            and `note` says why.
        note: what a report has to say about the match.
    """

    name: str
    actual: str | None
    expected: str | None
    note: str = ""

    @property
    def is_lonely(self) -> bool:
        """Whether only one side has it."""
        return (self.actual is None) is not (self.expected is None)


class Names:
    """Regular expressions and replacements, applied one after the other; `re.sub` has the rules."""

    def __init__(self, pairs: Pairs = (), limit_s: float = LIMIT_S) -> None:
        self._pairs = tuple((re.compile(pattern), text) for pattern, text in pairs)
        self._clock = Clock("in `names`", limit_s)
        self._used: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._pairs)

    @property
    def idle(self) -> tuple[str, ...]:
        """Patterns that matched none of the names so far."""
        patterns = (pattern.pattern for pattern, _text in self._pairs)
        return tuple(pattern for pattern in patterns if pattern not in self._used)

    def normalise(self, name: str) -> str:
        """What the name is called on both sides; errors as of `meet`."""
        return self._all([name])[0]

    def meet(self, actual: Iterable[str], expected: Iterable[str]) -> Iterator[NameMatch]:
        """Every name of both sides once, those of the reference first, in its order.

        Raises:
            UnreadableError: matching all names of this comparison takes too long.
        """
        mine, theirs = list(dict.fromkeys(actual)), list(dict.fromkeys(expected))
        if not self._pairs:
            known = {*mine}, {*theirs}
            for name in dict.fromkeys((*theirs, *mine)):
                left, right = (name if name in side else None for side in known)
                yield NameMatch(name, left, right)
            return
        left_groups, right_groups = self._groups(mine), self._groups(theirs)
        for name in dict.fromkeys((*right_groups, *left_groups)):
            yield from _meet_group(name, left_groups.get(name, []), right_groups.get(name, []))

    def _groups(self, names: list[str]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name, common in zip(names, self._all(names), strict=True):
            groups.setdefault(common, []).append(name)
        return groups

    def _all(self, names: list[str]) -> list[str]:
        for pattern, replacement in self._pairs:
            with self._clock.running(pattern.pattern):
                renamed = [pattern.subn(replacement, name) for name in names]
            names = [name for name, _count in renamed]
            if any(count for _name, count in renamed):
                self._used.add(pattern.pattern)
        return names


def _meet_group(name: str, actual: list[str], expected: list[str]) -> Iterator[NameMatch]:
    """Those with one name from here on: first who is called the same, then in sorted order."""
    if len(actual) <= 1 and len(expected) <= 1:
        mine, theirs = (side[0] if side else None for side in (actual, expected))
        yield NameMatch(name, mine, theirs)
        return
    same = {*actual} & {*expected}
    yield from (NameMatch(each, each, each) for each in expected if each in same)
    left, right = (sorted(each for each in side if each not in same) for side in (actual, expected))
    if left and right and len(left) != len(right):
        note = (
            f"by `names` {_count(left)} of the actual run and {_count(right)} of the reference are "
            f"called {name}, so it cannot be told who meets whom: {first_of(left, _SHOWN)} and "
            f"{first_of(right, _SHOWN)}; make the patterns in `names` keep what tells them apart"
        )
        yield NameMatch(name, None, None, note)
    elif not left or not right:
        yield from (NameMatch(each, each, None) for each in left)
        yield from (NameMatch(each, None, each) for each in right)
    else:
        pairs = zip(left, right, strict=True)
        for number, (one, other) in enumerate(pairs, 1):
            note = f"{one} and {other} met in sorted order, of {len(left)} called {name}"
            if len(left) == 1:
                yield NameMatch(name, one, other)
            else:
                yield NameMatch(f"{name}#{number}", one, other, note)


def _count(names: list[str]) -> str:
    return "1 name" if len(names) == 1 else f"{len(names)} names"
