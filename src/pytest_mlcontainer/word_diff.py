"""Which words of two lines differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_MOST = 160
_LEAST_ALIKE = 0.3

Parts = tuple[tuple[bool, str], ...]


def word_diff(left: str, right: str) -> tuple[Parts, Parts]:
    """Both lines in parts: whether it differs, and its text.

    Lines that have little in common, and those of very many words, are one part that differs.
    """
    sides = _TOKEN.findall(left), _TOKEN.findall(right)
    if left == right:
        return _whole(left, differs=False), _whole(right, differs=False)
    if max(map(len, sides)) > _MOST:
        return _whole(left), _whole(right)
    matcher = difflib.SequenceMatcher(None, *sides, autojunk=False)
    if matcher.ratio() < _LEAST_ALIKE:
        return _whole(left), _whole(right)
    changes = matcher.get_opcodes()
    return (
        _parts(sides[0], [(word != "equal", first, last) for word, first, last, *_ in changes]),
        _parts(sides[1], [(word != "equal", first, last) for word, _, _, first, last in changes]),
    )


def _whole(text: str, differs: bool = True) -> Parts:
    return ((differs, text),) if text else ()


def _parts(tokens: Sequence[str], pieces: Sequence[tuple[bool, int, int]]) -> Parts:
    return tuple(
        (differs, "".join(tokens[first:last])) for differs, first, last in pieces if last > first
    )
