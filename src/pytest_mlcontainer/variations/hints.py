"""Hints in a project's sources at the families to try first.

This only orders a search: a family that no line hints at is tried as well, later.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pytest_mlcontainer.model import Family

# A first use makes a family five times as likely as it is where nothing is known, and each further
# one adds half of what the one before did. An import alone is no use yet. Numeric code is in every
# project of this kind, so that it says less; and where there are sources that say nothing of a
# family, only a dependency could ask for what it changes.
_FIRST: Final = 4.0
_FIRST_NUMERIC: Final = 2.0
_OF_AN_IMPORT: Final = 0.25
_UNSAID: Final = 0.3
_COUNTED: Final = 6
_IMPORT: Final = re.compile(r"\s*(?:import|from\s+[\w.]+\s+import)\b")
_PLAIN_COMMENT: Final = re.compile(r"\s*(?:#|//|--(?!\w))")
_LARGEST: Final = 1 << 20
_IGNORED: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


@dataclass(frozen=True)
class _Code:
    """What a project's sources do, one statement a line."""

    uses: str
    imports: str


def suspect(sources: Iterable[str], families: Sequence[Family]) -> dict[str, float]:
    """How likely each family is to be a cause, by name: its weight, and what sources make of it.

    That there is a hint counts more than how many there are. Comments and docstrings say nothing;
    text that is not Python is read line by line.
    """
    code = _read(sources)
    return {family.name: family.weight * _factor(family, code) for family in families}


def _factor(family: Family, code: _Code) -> float:
    if not family.hints or not (code.uses or code.imports):
        return 1.0
    pattern = re.compile("|".join(f"(?:{hint})" for hint in _local(family.hints)), re.MULTILINE)
    first = _FIRST_NUMERIC if family.numeric else _FIRST
    uses = _lines_matching(pattern, code.uses)
    if uses:
        return 1.0 + sum(first * 0.5**number for number in range(uses))
    if pattern.search(code.imports):
        return 1.0 + first * _OF_AN_IMPORT
    return 1.0 if family.numeric else _UNSAID


def _local(hints: Iterable[str]) -> Iterator[str]:
    """Flags at the start of an expression cannot stand inside another; they hold for it alone."""
    for hint in hints:
        flags = re.match(r"\(\?([aiLmsux]+)\)", hint)
        yield f"(?{flags[1]}:{hint[flags.end() :]})" if flags else hint


def _lines_matching(pattern: re.Pattern[str], text: str) -> int:
    found = islice(pattern.finditer(text), 4 * _COUNTED)
    return min(len({text.count("\n", 0, match.start()) for match in found}), _COUNTED)


def _read(sources: Iterable[str]) -> _Code:
    uses: list[str] = []
    imports: list[str] = []
    for source in sources:
        for statement in _statements(source):
            (imports if _IMPORT.match(statement) else uses).append(statement)
    return _Code("\n".join(uses), "\n".join(imports))


def _statements(source: str) -> list[str]:
    """Statements of Python, each in one line; lines of anything else."""
    if len(source) <= _LARGEST:
        try:
            return list(_python_statements(source))
        except (tokenize.TokenError, SyntaxError, ValueError):
            pass
    return [line for line in source.splitlines() if not _PLAIN_COMMENT.match(line)]


def _python_statements(source: str) -> Iterator[str]:
    tokens: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if any(each.type != tokenize.STRING for each in tokens):
                yield _joined(tokens)
            tokens = []
        elif token.type not in _IGNORED:
            tokens.append(token)


def _joined(tokens: Sequence[tokenize.TokenInfo]) -> str:
    """The statement as it was written, but in one line."""
    parts: list[str] = []
    end = tokens[0].start
    for token in tokens:
        if token.start[0] != end[0]:
            # Behind a bracket a line was broken for its length only.
            parts.append("" if parts[-1] in ("(", "[", "{") or token.string in ")]}" else " ")
        elif token.start[1] > end[1]:
            parts.append(" ")
        parts.append(token.string.replace("\n", " "))
        end = token.end
    return "".join(parts)
