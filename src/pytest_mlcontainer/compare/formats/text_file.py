"""Text, line by line: numbers by tolerance, each its own scale, and all else exactly.

Without a rule that is the default tolerance for decimals; whole numbers, and two spellings of one
number as in 3.1 and 3.10, have to be the same. A rule with a bound (`rtol`, `atol`, `scale`, `ulp`,
`margin`) holds for every number, and `exact` for none. Dates, times, versions and numbers with
leading zeros are no numbers. A rule's `patterns` take times, ids and paths out of the lines.
"""

from __future__ import annotations

import difflib
import io
import itertools
import re
from array import array
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.text_encodings import family, find_encoding
from pytest_mlcontainer.compare.formats.text_lines import AROUND, WINDOW, differing_lines
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.text.excuses import Excuses, bare
from pytest_mlcontainer.compare.text.patterns import ONLY_MASKED, Masks, shown
from pytest_mlcontainer.compare.values.numbers_in_text import (
    compare_numbers,
)
from pytest_mlcontainer.model import Difference, Element, Plots, TextLines, Tolerance, Verdict

_SHOWN = 160
_BEFORE = 40
_BLOCK_LINES = 4096
_NO_LINES: list[str] = []
_ELEMENTS_KEPT = 20
_MOST_WEIGHED = 200
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_BY_MORE = "line {} is the first that differs by more than times, ids and paths"
_BY_A_NUMBER = "in line {} a number moved"
_HASHED_LINES = 20_000_000
_ALIGNED_LINES = 2000


def compare(pair: Pair, book: RuleBook, why: str = "") -> Iterator[Difference]:
    """Compare two texts, in blocks of lines, so that a size costs time and no memory.

    Args:
        why: what might be more than text is compared as such.
    """
    applied = book.find(pair.name)
    if applied.tolerance.ignore:
        return
    encodings = read_both(pair, find_encoding)
    tally = _Tally(applied.tolerance, not applied.tolerance.exact)
    with _open(pair.actual, encodings[0]) as left, _open(pair.expected, encodings[1]) as right:
        blocks = itertools.zip_longest(_blocks(left), _blocks(right), fillvalue=_NO_LINES)
        for mine, theirs in blocks:
            tally.add(mine, theirs)
    if tally.counts[0] != tally.counts[1]:
        tally.align(
            _hash_lines(pair.actual, encodings[0], applied.tolerance, tally.first),
            _hash_lines(pair.expected, encodings[1], applied.tolerance, tally.first),
        )
    excuses: tuple[str, ...] = ()
    if tally.beyond and tally.counts[0] == tally.counts[1]:
        notes = [why, tally.excuses.say(book.key(pair.name), applied.rule)]
        why = "; ".join(note for note in notes if note)
        excuses = tally.excuses.names()
    families = family(encodings[0]), family(encodings[1])
    found = replace(_difference(pair.name, tally, applied, families, why), excuses=excuses)
    if tally.beyond and book.may_draw(found):
        found = replace(found, plots=Plots(text=_lines(pair, encodings, tally, applied.tolerance)))
        book.drew(found)
    yield found


def _open(side: ComparedFile, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(side.open(), encoding=encoding, newline="\n")


def _blocks(stream: io.TextIOWrapper) -> Iterator[list[str]]:
    """Lines with their ends, so that a missing last newline or CR LF is seen."""
    while block := list(itertools.islice(stream, _BLOCK_LINES)):
        yield block


class _Tally:
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
        if len(self.elements) < _ELEMENTS_KEPT:
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
        if max(self.counts) > _HASHED_LINES:
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


def _hash_lines(side: ComparedFile, encoding: str, tolerance: Tolerance, first: int) -> array[int]:
    """The lines from the one numbered `first` on, masked; as many as memory is spent on."""
    masks = Masks()
    found: array[int] = array("q")
    with _open(side, encoding) as stream:
        lines = itertools.islice(stream, first, _HASHED_LINES)
        while block := list(itertools.islice(lines, _BLOCK_LINES)):
            found.extend(map(hash, masks.mask_all(block, tolerance.patterns)))
    return found


def _difference(
    output: str, tally: _Tally, applied: AppliedTolerance, encodings: tuple[str, str], why: str
) -> Difference:
    verdict = Verdict.DRIFT
    if not tally.beyond and encodings[0] == encodings[1]:
        verdict = Verdict.EQUIVALENT if tally.differing or tally.masked else Verdict.IDENTICAL
    elements = tally.elements
    if tally.telling is not None and tally.counts[0] == tally.counts[1]:
        first = tally.telling[1]
        elements = [first, *(each for each in elements if each.index != first.index)]
    worst = elements[0] if elements else None
    return Difference(
        output,
        "",
        verdict,
        # Beside other words, or other lines, how far numbers are apart says nothing.
        max_abs=tally.max_abs or None if tally.only_numbers else None,
        worst_index=worst.index if worst else None,
        worst_actual=worst.actual if worst else "",
        worst_expected=worst.expected if worst else "",
        differing=tally.differing,
        beyond=tally.beyond,
        size=max(tally.counts),
        rule=_rule(tally, applied),
        unit="lines",
        note="; ".join(text for text in (why, _note(tally, encodings)) if text),
        elements=tuple(elements[:_ELEMENTS_KEPT]),
    )


def _lines(
    pair: Pair, encodings: tuple[str, str], tally: _Tally, tolerance: Tolerance
) -> TextLines:
    """The first places that differ, as a report shows them."""
    start = max(0, tally.first - AROUND)
    masks = Masks()
    sides: list[list[str]] = []
    for side, encoding in zip((pair.actual, pair.expected), encodings, strict=True):
        with _open(side, encoding) as stream:
            found = list(itertools.islice(stream, start, start + WINDOW))
        sides.append(masks.mask_all(found, tolerance.patterns))

    def same(actual: str, expected: str) -> bool:
        return tally.by_numbers and compare_numbers(actual, expected, tolerance)[0]

    one_by_one = tally.counts[0] == tally.counts[1]
    ends = start + WINDOW >= max(tally.counts)
    return differing_lines(sides[0], sides[1], start, same if one_by_one else None, ends)


def _rule(tally: _Tally, applied: AppliedTolerance) -> str:
    if tally.by_numbers:
        return f"numbers by tolerance, the rest exact ({applied.origin('text')})"
    return f"exact, line by line ({applied.origin('text')})"


def _note(tally: _Tally, encodings: tuple[str, str]) -> str:
    notes = []
    if encodings[0] != encodings[1]:
        same = "" if tally.beyond else "; the lines are the same"
        notes.append(f"written in {encodings[0]}, expected {encodings[1]}{same}")
    if tally.counts[0] != tally.counts[1]:
        notes.append(f"{tally.counts[0]} lines, expected {tally.counts[1]}")
    if tally.beyond:
        notes.append(f"line {tally.first + 1} is the first that differs")
        if tally.telling is not None and tally.counts[0] == tally.counts[1]:
            why, line = tally.telling
            notes += [why.format(line.index[0] + 1)] * (line.index[0] != tally.first)
        if tally.only_ends:
            notes.append("only line ends differ")
        elif tally.only_blanks:
            notes.append("only blanks differ")
        if tally.only_order:
            notes.append("the same lines stand in another order")
    if tally.masked:
        lines = "1 line" if tally.masked == 1 else f"{tally.masked} lines"
        notes.append(f"{lines} {'differs' if tally.masked == 1 else 'differ'}{_MASKED_REST}")
    return "; ".join(notes)


_MASKED_REST = ONLY_MASKED.removeprefix("differs")


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


FORMAT = Format("text", compare, textual=True)
