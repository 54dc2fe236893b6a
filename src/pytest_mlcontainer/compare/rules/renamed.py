"""Outputs that have a counterpart under another name: after a time, a run id, a host.

Names are laid over one another by what stands between their words. A word that both sides have is
kept, one that each run makes anew becomes a pattern, and the pattern is proposed only after it was
tried: with it, each of the outputs meets one of the other side and no other output is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_mlcontainer.compare.rules.names import NameMatch
from pytest_mlcontainer.model import Pairs

# What is one word though it has other characters in it: uuids and times.
_WORD = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z]))"
    r"|(?P<time>(?<![0-9])(?:19|20)[0-9]{2}[-_.]?[01][0-9][-_.]?[0-3][0-9]"
    r"(?:[-_T ./][0-9]{2}(?:[-_:.h]?[0-9]{2}){1,2}(?:[-_.][0-9]{1,9})?Z?|[0-9]{6})?(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])[0-2][0-9](?P<between>[-_:.])[0-5][0-9](?P=between)[0-5][0-9]"
    r"(?![0-9A-Za-z])|(?<![A-Za-z])[A-Z][a-z]{2}[0-9]{2}[-_][0-9]{2}(?:[-_:][0-9]{2}){2}(?![0-9A-Za-z]))"
    r"|(?P<word>[0-9A-Za-z]+)"
)
_CALLED = {"uuid": "UUID", "time": "TIME", "hex": "ID", "digits": "N", "word": "ID"}
_MOST_NAMES = 20_000
_LONGEST_NAME = 1000
_MOST_PROPOSALS = 5
_EVENTS = "tfevents"  # in the names of TensorBoard's files
_SURE_DIGITS = 6
_SURE_LETTERS = 8
_SHARED = 0.5


@dataclass(frozen=True)
class Proposal:
    """A pattern and replacement for `names` under which renamed outputs match.

    Args:
        is_sure: whether what it replaces looks made anew by each run. If not (`ckpt_499` and
            `ckpt_500`), only equal bytes show that it means nothing.
        words: how many words it replaces.
    """

    pattern: str
    replacement: str
    is_sure: bool
    words: int


@dataclass(frozen=True)
class _Word:
    kind: str
    text: str


@dataclass(frozen=True)
class _Name:
    """A name as words, and what stands before, between and after them: one more than words."""

    words: tuple[_Word, ...]
    rest: tuple[str, ...]

    def shape(self) -> tuple[object, ...]:
        """What names have in common that may be the same output's."""
        kinds = tuple(word.kind for word in self.words if word.kind != "word")
        return (*self.rest, "\0", *kinds)


def propose(actual: Sequence[str], expected: Sequence[str]) -> tuple[Proposal, ...]:
    """Patterns for names that only one side has; not yet tried.

    Args:
        actual, expected: those of each side.
    """
    if max(len(actual), len(expected)) > _MOST_NAMES:
        return ()
    sides = _by_shape(actual), _by_shape(expected)
    found: dict[str, Proposal] = {}
    for shape, theirs in sides[1].items():
        mine = sides[0].get(shape)
        if mine is not None:
            proposal = _proposal(mine, theirs)
            if proposal is not None:
                found.setdefault(proposal.pattern, proposal)
    kept: list[Proposal] = []
    for each in sorted(found.values(), key=lambda proposal: len(proposal.pattern)):
        if not any(_covers(other, each) for other in kept):
            kept.append(each)
    # They are applied one after the other: a run's folder before that of its experiment.
    return tuple(kept[:_MOST_PROPOSALS][::-1])


def _covers(shorter: Proposal, longer: Proposal) -> bool:
    """Whether one does all that another does, which goes on to words that both sides have."""
    return longer.pattern.startswith(shorter.pattern) and shorter.words == longer.words


def paired_by(
    meetings: Iterable[NameMatch], actual: Sequence[str], expected: Sequence[str]
) -> Mapping[str, str] | None:
    """Which of the lonely names meet, theirs → mine; None where anything is left undecided.

    Args:
        meetings: of all names of both sides, with a proposal.
        actual, expected: the lonely names.
    """
    lonely = {*actual}, {*expected}
    found: dict[str, str] = {}
    for met in meetings:
        one, other = met.actual, met.expected
        were_lonely = one in lonely[0], other in lonely[1]
        if one is not None and other is not None and all(were_lonely) and not met.note:
            found[other] = one
        elif any(were_lonely) == (None not in (one, other)):
            # Undecided, met by one that had a counterpart, or one that lost its own.
            return None
    return found


def say_names(pairs: Pairs) -> str:
    """The pairs as they are written in the configuration."""
    parts = [f"{_quoted(pattern)} = {json.dumps(text)}" for pattern, text in pairs]
    return f"names = {{ {', '.join(parts)} }}"


def _quoted(pattern: str) -> str:
    """TOML's literal strings take backslashes as they are."""
    plain = "'" not in pattern and pattern.isprintable()
    return f"'{pattern}'" if plain else json.dumps(pattern)


def _by_shape(names: Iterable[str]) -> dict[tuple[object, ...], list[_Name]]:
    found: dict[tuple[object, ...], list[_Name]] = {}
    for text in names:
        if len(text) <= _LONGEST_NAME:
            name = _parse(text)
            found.setdefault(name.shape(), []).append(name)
    return found


def _parse(text: str) -> _Name:
    words, rest, end = [], [], 0
    for match in _WORD.finditer(text):
        kind = next(name for name in ("uuid", "time", "word") if match[name] is not None)
        words.append(_Word(kind, match[0]))
        rest.append(text[end : match.start()])
        end = match.end()
    return _Name(tuple(words), (*rest, text[end:]))


def _proposal(actual: list[_Name], expected: list[_Name]) -> Proposal | None:
    """A pattern for the beginning of names of one shape, up to the last word made anew."""
    columns = [
        ([name.words[place] for name in actual], [name.words[place] for name in expected])
        for place in range(len(expected[0].words))
    ]
    anew = [place for place, column in enumerate(columns) if _is_anew(*column)]
    if not anew:
        return None
    rest = expected[0].rest
    pattern, replacement, groups, is_sure = "^", "", 0, True
    in_events = False  # behind it stand a time, a host, a process and the number of its writer
    for place in range(anew[-1] + 1):
        pattern += re.escape(rest[place]).replace(r"\-", "-").replace(r"\ ", " ")
        replacement += rest[place].replace("\\", r"\\")
        words = [*columns[place][0], *columns[place][1]]
        texts = [word.text for word in words]
        in_events = in_events or {*texts} == {_EVENTS}
        expression, kind = _expression(words)
        if place in anew:
            pattern += expression
            replacement += _CALLED[kind]
            is_sure = is_sure and (in_events or _is_made_up(kind, texts))
        elif len({*texts}) == 1:
            pattern += texts[0]
            replacement += texts[0]
        else:
            groups += 1
            pattern += f"({expression})"
            replacement += rf"\g<{groups}>"
    if not rest[anew[-1] + 1]:
        pattern += "$"
    return Proposal(pattern, replacement, is_sure, len(anew))


def _is_anew(actual: list[_Word], expected: list[_Word]) -> bool:
    """Whether the two sides have other words at a place, most of them at least."""
    left, right = ({word.text for word in side} for side in (actual, expected))
    return len(left & right) < _SHARED * min(len(left), len(right))


def _expression(words: list[_Word]) -> tuple[str, str]:
    """What matches all of them, and what they are."""
    texts = [word.text for word in words]
    lengths = {len(text) for text in texts}
    if words[0].kind != "word":
        return _class_of(words[0].kind, texts), words[0].kind
    times = f"{{{lengths.pop()}}}" if len(lengths) == 1 and min(map(len, texts)) >= 8 else "+"
    if all(text.isdecimal() for text in texts):
        return f"[0-9]{times if times != '+' and len(texts[0]) > 16 else '+'}", "digits"
    if all(re.fullmatch("[0-9a-f]{6,}", text) for text in texts):
        return f"[0-9a-f]{times}", "hex"
    if all(re.fullmatch("[0-9a-z]+", text) for text in texts):
        return f"[0-9a-z]{times}", "word"
    return f"[0-9A-Za-z]{times}", "word"


def _class_of(kind: str, texts: list[str]) -> str:
    """Digits as digits, whatever their number; letters and what stands between as one class."""
    if kind == "uuid":
        return "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    shapes = {re.sub("[A-Za-z]", "a", re.sub("[0-9]", "0", text)) for text in texts}
    if len(shapes) == 1:
        parts = re.findall("0+|a+|[^0a]", shapes.pop())
        return "".join(_repeated(part) for part in parts)
    return "[-0-9A-Za-z_.:]+"


def _repeated(part: str) -> str:
    if part[0] == "0":
        return f"[0-9]{{{len(part)}}}"
    return f"[A-Za-z]{{{len(part)}}}" if part[0] == "a" else re.escape(part).replace(r"\-", "-")


def _is_made_up(kind: str, texts: list[str]) -> bool:
    """Whether words look as if a program had made them anew, and counted nothing with them."""
    if kind in ("uuid", "time"):
        return True
    if kind == "digits":
        return min(map(len, texts)) >= _SURE_DIGITS
    with_digits = sum(any(char.isdecimal() for char in text) for text in texts)
    return min(map(len, texts)) >= _SURE_LETTERS and with_digits >= len(texts) / 2
