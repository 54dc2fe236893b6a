"""Text, line by line and exact: a number inside a line gets no tolerance."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from pytest_mlcontainer.compare.format import Format
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import Pair, Side, chunks, read_both
from pytest_mlcontainer.model import Difference, Verdict

LIMIT_BYTES = 1 << 26
_SHOWN = 160
_BEFORE = 40


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two texts; `differing` counts the lines from the first to the last that differ."""
    applied = book.find(pair.name)
    if applied.tolerance.ignore:
        return
    actual, expected = read_both(pair, _lines)
    if actual == expected:
        yield Difference(pair.name, "", Verdict.IDENTICAL, size=len(expected), unit="lines")
        return
    first = _same_lines(actual, expected)
    left = actual[first] if first < len(actual) else None
    right = expected[first] if first < len(expected) else None
    count = _count_differing(actual, expected, first)
    yield Difference(
        pair.name,
        "",
        Verdict.DRIFT,
        worst_index=(first,),
        worst_actual=_excerpt(left, right),
        worst_expected=_excerpt(right, left),
        differing=count,
        beyond=count,
        size=max(len(actual), len(expected)),
        rule="exact (text, line by line)",
        unit="lines",
        note=_note(actual, expected, first),
    )


def _lines(side: Side) -> list[str]:
    """Lines with their ends, so that a missing last newline or CR LF is seen."""
    data = side.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise side.unreadable(f"is not UTF-8 text (byte {error.start})") from error
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


def _same_lines(actual: list[str], expected: list[str]) -> int:
    pairs = enumerate(zip(actual, expected, strict=False))
    shorter = min(len(actual), len(expected))
    return next((index for index, (left, right) in pairs if left != right), shorter)


def _count_differing(actual: list[str], expected: list[str], first: int) -> int:
    if len(actual) == len(expected):
        return sum(left != right for left, right in zip(actual, expected, strict=True))
    longest = min(len(actual), len(expected)) - first
    tail = 0
    while tail < longest and actual[-1 - tail] == expected[-1 - tail]:
        tail += 1
    return max(len(actual), len(expected)) - first - tail


def _note(actual: list[str], expected: list[str], first: int) -> str:
    notes = [f"line {first + 1} is the first that differs"]
    if len(actual) != len(expected):
        notes.insert(0, f"{len(actual)} lines, expected {len(expected)}")
    if _unended(actual) == _unended(expected):
        notes.append("only line ends differ")
    return "; ".join(notes)


def _unended(lines: list[str]) -> list[str]:
    return [line.rstrip("\r\n") for line in lines]


def _excerpt(line: str | None, other: str | None) -> str:
    """The part of a line around its first difference; "(no such line)" past the end."""
    if line is None:
        return "(no such line)"
    if line.rstrip("\r\n") != (other or "").rstrip("\r\n"):
        line = line.rstrip("\r\n")
    if len(line) <= _SHOWN:
        return line
    pairs = enumerate(zip(line, other or "", strict=False))
    at = next((index for index, (left, right) in pairs if left != right), 0)
    start = max(0, at - _BEFORE)
    end = start + _SHOWN
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def is_text(side: Side) -> bool:
    """UTF-8 without NUL, and not too large to be shown line by line."""
    if side.size_bytes() > LIMIT_BYTES:
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with side.open() as stream:
            for chunk in chunks(stream):
                decoder.decode(chunk)
                if b"\0" in chunk:
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


FORMAT = Format("text", compare, textual=True)
