"""Text, line by line: numbers by tolerance, each its own scale, and all else exactly.

Without a rule that is the default tolerance for decimals; whole numbers, and two spellings of one
number as in 3.1 and 3.10, have to be the same. A rule with a bound (`rtol`, `atol`, `scale`, `ulp`,
`margin`) holds for every number, and `exact` for none. Dates, times, versions and numbers with
leading zeros are no numbers. A rule's `patterns` take times, ids and paths out of the lines.
"""

from __future__ import annotations

import io
import itertools
from array import array
from collections.abc import Iterator
from dataclasses import replace

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.line_tally import ELEMENTS_KEPT, HASHED_LINES, LineTally
from pytest_mlcontainer.compare.formats.text_encodings import family, find_encoding
from pytest_mlcontainer.compare.formats.text_lines import AROUND, WINDOW, differing_lines
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.text.patterns import ONLY_MASKED, Masks
from pytest_mlcontainer.compare.values.numbers_in_text import (
    compare_numbers,
)
from pytest_mlcontainer.model import Difference, Plots, TextLines, Tolerance, Verdict

_BLOCK_LINES = 4096
_NO_LINES: list[str] = []


def compare(pair: Pair, book: RuleBook, why: str = "") -> Iterator[Difference]:
    """Compare two texts, in blocks of lines, so that a size costs time and no memory.

    Args:
        why: what might be more than text is compared as such.
    """
    applied = book.find(pair.name)
    if applied.tolerance.ignore:
        return
    encodings = read_both(pair, find_encoding)
    tally = LineTally(applied.tolerance, not applied.tolerance.exact)
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


def _hash_lines(side: ComparedFile, encoding: str, tolerance: Tolerance, first: int) -> array[int]:
    """The lines from the one numbered `first` on, masked; as many as memory is spent on."""
    masks = Masks()
    found: array[int] = array("q")
    with _open(side, encoding) as stream:
        lines = itertools.islice(stream, first, HASHED_LINES)
        while block := list(itertools.islice(lines, _BLOCK_LINES)):
            found.extend(map(hash, masks.mask_all(block, tolerance.patterns)))
    return found


def _difference(
    output: str, tally: LineTally, applied: AppliedTolerance, encodings: tuple[str, str], why: str
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
        elements=tuple(elements[:ELEMENTS_KEPT]),
    )


def _lines(
    pair: Pair, encodings: tuple[str, str], tally: LineTally, tolerance: Tolerance
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


def _rule(tally: LineTally, applied: AppliedTolerance) -> str:
    if tally.by_numbers:
        return f"numbers by tolerance, the rest exact ({applied.origin('text')})"
    return f"exact, line by line ({applied.origin('text')})"


def _note(tally: LineTally, encodings: tuple[str, str]) -> str:
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


FORMAT = Format("text", compare, textual=True)
