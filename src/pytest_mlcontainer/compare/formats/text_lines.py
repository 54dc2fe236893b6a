"""The lines in which two texts differ, with some around them, for a reader: few, in any text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence

from pytest_mlcontainer.compare.text.patterns import shown
from pytest_mlcontainer.model import TextLine, TextLines

WINDOW = 200  # lines of each side that are looked at; aligning takes their square
AROUND = 2
_LINES = 80
_CHARACTERS = 240
_BEFORE = 60

Change = tuple[int, int, int, int]  # from and to, of the expected side, then of the actual one
Same = Callable[[str, str], bool]


def differing_lines(
    actual: Sequence[str], expected: Sequence[str], start: int, same: Same | None, ends: bool
) -> TextLines:
    """The changes in a window of two texts.

    Args:
        start: how many lines are before the window.
        same: whether two lines that stand at one place agree; None for texts of other lengths.
            Lines are aligned there, and where that leaves fewer of them that differ.
        ends: whether both texts end with their window.
    """
    changes = _aligned(actual, expected)
    if not ends and len(changes) > 1 and changes[-1][1] == len(expected):
        changes.pop()  # what meets it may stand behind the window
    if same is not None:
        changes = min(_by_place(actual, expected, same), changes, key=_size)
    lines: list[TextLine] = []
    shown_to = 0
    for number, change in enumerate(changes):
        following = changes[number + 1][0] if number + 1 < len(changes) else len(expected)
        if change[0] - AROUND > shown_to:
            lines.append(TextLine("gap", 0, ""))
        lines += _lines_of(actual, expected, start, change, (shown_to, following))
        shown_to = min(following, change[1] + AROUND)
    return TextLines(tuple(lines[:_LINES]), not ends or len(lines) > _LINES)


def _size(changes: Sequence[Change]) -> int:
    return sum(
        last - first + mine_last - mine_first for first, last, mine_first, mine_last in changes
    )


def _by_place(actual: Sequence[str], expected: Sequence[str], same: Same) -> list[Change]:
    changes: list[Change] = []
    for at, (mine, theirs) in enumerate(zip(actual, expected, strict=False)):
        if mine == theirs or same(mine, theirs):
            continue
        if changes and changes[-1][1] == at:
            changes[-1] = (changes[-1][0], at + 1, changes[-1][2], at + 1)
        else:
            changes.append((at, at + 1, at, at + 1))
    return changes


def _aligned(actual: Sequence[str], expected: Sequence[str]) -> list[Change]:
    matcher = difflib.SequenceMatcher(None, expected, actual, autojunk=False)
    return [change for word, *change in matcher.get_opcodes() if word != "equal"]  # type: ignore[misc]


def _lines_of(
    actual: Sequence[str],
    expected: Sequence[str],
    start: int,
    change: Change,
    between: tuple[int, int],
) -> Iterator[TextLine]:
    """A change, with lines before it that are not shown yet and lines behind it.

    Args:
        between: the expected lines, from and to, among which those are.
    """
    first, last, mine_first, mine_last = change
    for at in range(max(between[0], first - AROUND), first):
        yield TextLine("same", start + at + mine_first - first + 1, _cut(expected[at], 0))
    removed, added = expected[first:last], actual[mine_first:mine_last]
    cuts = [_start(*pair) for pair in zip(removed, added, strict=False)]
    cuts += [0] * (max(len(removed), len(added)) - len(cuts))
    for kind, block, before in (("removed", removed, first), ("added", added, mine_first)):
        for number, line in enumerate(block):
            yield TextLine(kind, start + before + number + 1, _cut(line, cuts[number]))
    for at in range(last, min(between[1], last + AROUND)):
        yield TextLine("same", start + at + mine_last - last + 1, _cut(expected[at], 0))


def _start(left: str, right: str) -> int:
    """Where two long lines are shown from: somewhat before their first difference."""
    if max(len(left), len(right)) <= _CHARACTERS:
        return 0
    pairs = enumerate(zip(left, right, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))
    return max(0, at - _BEFORE)


def _cut(line: str, start: int) -> str:
    line = shown(line).removesuffix("\n")
    end = start + _CHARACTERS
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")
