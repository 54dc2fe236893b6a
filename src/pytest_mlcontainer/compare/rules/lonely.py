"""Outputs that only one of two runs wrote, and those that were only renamed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pytest_mlcontainer.compare.rules.names import NameMatch
from pytest_mlcontainer.compare.rules.renamed import Proposal, paired_by, propose, say_names
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import UnreadableError, make_pair, same_bytes
from pytest_mlcontainer.model import Difference, Output, Pairs, Verdict
from pytest_mlcontainer.wording import first_of

_READ_BYTES = 1 << 31
_LISTED = 10
_SHOWN = 2
MISSING, EXTRA = "missing in the actual run", "only in the actual run"


@dataclass(frozen=True)
class OutputsBySide:
    """All outputs of both runs, by their own names."""

    actual: Mapping[str, Output]
    expected: Mapping[str, Output]


class _Bytes:
    """Compares outputs byte by byte, until a limit of bytes read is reached."""

    def __init__(self, sides: OutputsBySide) -> None:
        self._sides = sides
        self._left = _READ_BYTES
        self._known: dict[tuple[str, str], bool] = {}

    def are_equal(self, actual: str, expected: str) -> bool:
        """Whether both hold the same; False where that was not looked into."""
        key = actual, expected
        if key not in self._known:
            self._known[key] = self._look(*key)
        return self._known[key]

    def _look(self, actual: str, expected: str) -> bool:
        mine, theirs = self._sides.actual[actual], self._sides.expected[expected]
        if mine.size_bytes != theirs.size_bytes or theirs.summary is not None:
            return False
        self._left -= mine.size_bytes
        if self._left < 0:
            return False
        with suppress(UnreadableError):
            return same_bytes(make_pair(expected, mine, theirs)) is not None
        return False


def compare_lonely(
    meetings: tuple[NameMatch, ...], sides: OutputsBySide, book: RuleBook
) -> Iterator[Difference]:
    """The differences that outputs without a counterpart make; many of a kind are one.

    Args:
        meetings: those with one side alone.
    """
    for difference in _differences(meetings, sides, book):
        book.study.on_difference(difference)
        yield difference


def _differences(
    meetings: tuple[NameMatch, ...], sides: OutputsBySide, book: RuleBook
) -> Iterator[Difference]:
    lonely = [met for met in meetings if not book.find(met.name).tolerance.ignore]
    for met in meetings:
        book.leave_unread(met.name)
    called = {
        raw: met.name for met in lonely for raw in (met.actual, met.expected) if raw is not None
    }
    mine = [met.actual for met in lonely if met.actual is not None]
    theirs = [met.expected for met in lonely if met.expected is not None]
    content = _Bytes(sides)
    pairs, names = _paired(mine, theirs, sides, book, content)
    if pairs:
        yield _renamed(pairs, names, content)
    mine = [name for name in mine if name not in pairs.values()]
    theirs = [name for name in theirs if name not in pairs]
    same = _same_content(mine, theirs, sides, content)
    theirs_alone = [name for name in theirs if name not in same]
    mine_alone = [name for name in mine if name not in same.values()]
    yield from _listed([(name, called[name], same[name]) for name in same], MISSING)
    yield from _listed([(name, called[name], "") for name in theirs_alone], MISSING)
    yield from _listed([(name, called[name], "") for name in mine_alone], EXTRA)


def _paired(
    actual: list[str], expected: list[str], sides: OutputsBySide, book: RuleBook, content: _Bytes
) -> tuple[Mapping[str, str], Pairs]:
    """Who meets whom, theirs → mine, if `names` were as given; nothing where that is not sure."""
    if not actual or not expected:
        return {}, ()
    proposals = propose(actual, expected)
    tried = [proposals, *((each,) for each in proposals if len(proposals) > 1)]
    for some in tried:
        found = _try(some, actual, expected, sides, book, content)
        if found:
            return found, tuple((each.pattern, each.replacement) for each in some)
    return {}, ()


def _try(
    proposals: tuple[Proposal, ...],
    actual: list[str],
    expected: list[str],
    sides: OutputsBySide,
    book: RuleBook,
    content: _Bytes,
) -> Mapping[str, str]:
    if not proposals:
        return {}
    names = tuple((each.pattern, each.replacement) for each in proposals)
    try:
        meetings = book.would_meet(names, sorted(sides.actual), sorted(sides.expected))
    except UnreadableError:  # it takes too long, and is no advice then
        return {}
    found = paired_by(meetings, actual, expected) or {}
    is_sure = all(each.is_sure for each in proposals)
    if is_sure or all(content.are_equal(one, other) for other, one in found.items()):
        return found
    return {}


def _renamed(pairs: Mapping[str, str], names: Pairs, content: _Bytes) -> Difference:
    """One difference for all outputs that other `names` would bring together."""
    equal = sum(content.are_equal(mine, theirs) for theirs, mine in pairs.items())
    shown = [f"{mine} here is {theirs} there" for theirs, mine in pairs.items()]
    count = "1 output has" if len(pairs) == 1 else f"{len(pairs)} outputs have"
    which = "equal bytes" if equal == len(pairs) else f"equal bytes in {equal} of them"
    only = next(iter(pairs))
    return Difference(
        only if len(pairs) == 1 else re.sub(r"\\g<[0-9]+>", "*", names[0][1]),
        "",
        Verdict.DRIFT,
        differing=len(pairs),
        beyond=len(pairs),
        size=len(pairs),
        unit="outputs",
        note=(
            f"{count} another name in either run, and {which if equal else 'other bytes'}; "
            f"{say_names(names)} brings them together; {first_of(shown, _SHOWN, '; ')}"
        ),
        renames=names,
    )


def _same_content(
    actual: list[str], expected: list[str], sides: OutputsBySide, content: _Bytes
) -> dict[str, str]:
    """Outputs whose bytes one output of the other side has, and no second one: theirs → mine."""
    by_size: dict[int, list[str]] = {}
    for name in actual:
        by_size.setdefault(sides.actual[name].size_bytes, []).append(name)
    found: dict[str, str] = {}
    for theirs in expected:
        size = sides.expected[theirs].size_bytes
        rivals = by_size.get(size, ())
        if not size or len(rivals) > _LISTED:
            continue
        same = [mine for mine in rivals if content.are_equal(mine, theirs)]
        if len(same) == 1 and same[0] not in found.values():
            found[theirs] = same[0]
    return found


def _listed(lonely: list[tuple[str, str, str]], what: str) -> Iterator[Difference]:
    """One difference each of the first few, and one for the others.

    Args:
        lonely: an output's own name, its name here, and whose bytes it has on the other side.
    """
    many = len(lonely) > _LISTED + 1
    for raw, name, twin in lonely[:_LISTED] if many else lonely:
        called = f" (there called {raw})" if raw != name else ""
        equal = f"; equal bytes as {twin}, which the reference does not have" if twin else ""
        yield Difference(name, "", Verdict.DRIFT, note=f"{what}{called}{equal}")
    if many:
        rest = [name for _raw, name, _twin in lonely[_LISTED:]]
        shown = f"{', '.join(rest[:_SHOWN])}, …"
        count = len(rest)
        note = f"{count} more outputs {what}: {shown}"
        yield Difference(
            rest[0],
            "",
            Verdict.DRIFT,
            differing=count,
            beyond=count,
            size=count,
            unit="outputs",
            note=note,
        )
