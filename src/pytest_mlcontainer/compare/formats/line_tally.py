"""What differs between two texts, line by line: how many lines, the first, the most telling."""

from __future__ import annotations

import difflib
import re
from array import array

import numpy as np

from pytest_mlcontainer.compare.text.excuses import Excuses, bare
from pytest_mlcontainer.compare.text.patterns import Masks, shown
from pytest_mlcontainer.compare.values.numbers_in_text import compare_numbers
from pytest_mlcontainer.model import Element, Tolerance

_SHOWN = 160
_BEFORE = 40
ELEMENTS_KEPT = 20
_MOST_WEIGHED = 200
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_BY_MORE = "line {} is the first that differs by more than times, ids and paths"
_BY_A_NUMBER = "in line {} a number moved"
HASHED_LINES = 20_000_000
_ALIGNED_LINES = 2000


class LineTally:
    """Counts what differs, place by place; keeps the first few."""

    def __init__(self, tolerance: Tolerance, by_numbers: bool) -> None:
        self._tolerance = tolerance
        self._masks = Masks()
        self.by_numbers = by_numbers
        self.counts = [0, 0]
        self.differing = self.beyond = self.masked = 0
        self.first = -1
        self.max_abs = 0.0
        self.only_ends = self.only_blanks = True
        self._moved = 0  # hashes of the lines of one side less those of the other
        self.only_numbers = by_numbers
        self.excuses = Excuses(self._near if by_numbers else None)
        self.elements: list[Element] = []
        self.telling: tuple[str, Element] | None = None
        self._weighed = 0

    def add(self, actual: list[str], expected: list[str]) -> None:
        start = max(self.counts)
        self.counts[0] += len(actual)
        self.counts[1] += len(expected)
        if actual == expected:
            return
        pairs = enumerate(zip(actual, expected, strict=False))
        places = [place for place, (left, right) in pairs if left != right]
        patterns = self._tolerance.patterns
        left = self._masks.mask_all([actual[place] for place in places], patterns)
        right = self._masks.mask_all([expected[place] for place in places], patterns)
        for place, mine, theirs in zip(places, left, right, strict=True):
            if mine == theirs:
                self.masked += 1
            else:
                self._add_line(start + place, mine, theirs)
        shared = min(len(actual), len(expected))
        for extra, line in enumerate(actual[shared:] or expected[shared:]):
            self.only_numbers = False
            sides = (line, None) if len(actual) > shared else (None, line)
            self._differ(start + shared + extra, *sides)

    def _add_line(self, place: int, actual: str, expected: str) -> None:
        if self.by_numbers:
            within, error = compare_numbers(actual, expected, self._tolerance)
            self.max_abs = max(self.max_abs, error)
            if within:
                self.differing += 1
                return
            self.only_numbers = self.only_numbers and error > 0
        self.excuses.add(actual, expected)
        self._weigh(place, actual, expected)
        self._differ(place, actual, expected)

    def _weigh(self, place: int, actual: str, expected: str) -> None:
        """Remember the line that says most: a number that moved, else other words than ids."""
        known = "" if self.telling is None else self.telling[0]
        if known == _BY_A_NUMBER or self._weighed == _MOST_WEIGHED:
            return
        self._weighed += 1
        left, right = bare(actual), bare(expected)
        if left == right:
            return
        within = self.by_numbers and self._near(left, right)
        moved = not within and _DECIMAL.sub("", left) == _DECIMAL.sub("", right)
        if moved or not (known or within):
            if max(len(actual), len(expected)) > _SHOWN:  # then ids would be all that is seen
                actual, expected = (side.replace("\0", "…") for side in (left, right))
            excerpts = _excerpt(actual, expected), _excerpt(expected, actual)
            self.telling = _BY_A_NUMBER if moved else _BY_MORE, Element((place,), *excerpts)

    def _near(self, actual: str, expected: str) -> bool:
        return compare_numbers(actual, expected, self._tolerance)[0]

    def _differ(self, place: int, actual: str | None, expected: str | None) -> None:
        if self.first < 0:
            self.first = place
        self.differing += 1
        self.beyond += 1
        self._moved += hash(actual) - hash(expected)
        if (actual or "").rstrip("\r\n") != (expected or "").rstrip("\r\n"):
            self.only_ends = False
        if self.only_blanks and (actual or "").split() != (expected or "").split():
            self.only_blanks = False
        if len(self.elements) < ELEMENTS_KEPT:
            excerpts = _excerpt(actual, expected), _excerpt(expected, actual)
            self.elements.append(Element((place,), *excerpts))

    @property
    def only_order(self) -> bool:
        """Whether the lines that differ are the same on both sides, at other places."""
        return self.beyond > 1 and self._moved == 0

    def align(self, actual: array[int], expected: array[int]) -> None:
        """For texts of other lengths: count without the lines that follow an insertion.

        Args:
            actual, expected: hashes of the lines from the first that differs.
        """
        if max(self.counts) > HASHED_LINES:
            return
        left, right = (np.frombuffer(side, np.int64) for side in (actual, expected))
        shared = min(len(left), len(right))
        same = left[::-1][:shared] == right[::-1][:shared]
        tail = shared if same.all() else int(np.argmin(same))
        mine, theirs = (side[: len(side) - tail].tolist() for side in (left, right))
        count = max(len(mine), len(theirs))
        if count <= _ALIGNED_LINES:
            matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=False)
            count = sum(
                max(ends[1] - ends[0], ends[3] - ends[2])
                for word, *ends in matcher.get_opcodes()
                if word != "equal"
            )
        self.differing, self.beyond = count, count
        self.elements = self.elements[:1]


def _excerpt(line: str | None, other: str | None) -> str:
    """The part of a line around its first difference; "(no such line)" past the end."""
    if line is None:
        return "(no such line)"
    line, other = shown(line), shown(other or "")
    if line.rstrip("\r\n") != other.rstrip("\r\n"):
        line = line.rstrip("\r\n")
    if len(line) <= _SHOWN:
        return line
    pairs = enumerate(zip(line, other, strict=False))
    at = next((index for index, (left, right) in pairs if left != right), 0)
    start = max(0, at - _BEFORE)
    end = start + _SHOWN
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")
