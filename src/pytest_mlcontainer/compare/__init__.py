"""Two runs' outputs and the rules for them → differences. The only input is what the files hold.

`formats` recognises a file, the module of that format reads both sides and compares item by item,
`tolerance` says what is close enough, and `collect` keeps the result short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_mlcontainer.compare.collect import collect_items, worst_first
from pytest_mlcontainer.compare.formats import find_format
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    Pair,
    UnreadableError,
    make_pair,
    same_bytes,
)
from pytest_mlcontainer.model import Difference, Output, Rule, Verdict

__all__ = ["compare_outputs", "verdict_of"]


def compare_outputs(
    actual: tuple[Output, ...], expected: tuple[Output, ...], rules: tuple[Rule, ...]
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Compare what two runs wrote, output by output.

    Args:
        actual: of the run to be judged; `expected`: of the reference.
        rules: the first that matches an item wins.

    Returns:
        One difference for each item, worst first (at most 50 that differ for each output), and
        notes: what was not compared, rules that matched nothing, how many items are not listed.
    """
    book = RuleBook(rules)
    mine = {output.name: output for output in actual}
    theirs = {output.name: output for output in expected}
    found: list[Difference] = []
    notes: list[str] = []
    for name in sorted(mine.keys() | theirs.keys()):
        if name in mine and name in theirs:
            pair = make_pair(name, mine[name].path, theirs[name].path)
            differences, more = _compare_pair(pair, book)
            found += differences
            notes += more
        else:
            found += _one_sided(name, name in mine, book)
    if not mine and not theirs:
        notes.append("nothing was compared: neither run wrote a declared output")
    return tuple(sorted(found, key=worst_first)), (*notes, *book.notes())


def verdict_of(differences: Iterable[Difference]) -> Verdict:
    """The worst verdict among them; of none, identical."""
    verdicts = (difference.verdict for difference in differences)
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.IDENTICAL)


def _compare_pair(pair: Pair, book: RuleBook) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    try:
        whole = _whole_answer(pair, book)
        if whole is not None:
            return whole, ()
        format = find_format(pair)
    except UnreadableError as error:
        return (_failed(pair, error),), ()
    if isinstance(format, Difference):
        return (format,), ()
    return collect_items(pair.name, _guarded(pair, format.compare(pair, book)), format.folds)


def _whole_answer(pair: Pair, book: RuleBook) -> tuple[Difference, ...] | None:
    """What can be said without a look inside: ignored, or the same bytes. Else None."""
    rules = book.for_output(pair.name)
    if rules and rules[0].item is None and rules[0].tolerance.ignore:
        book.find(pair.name)
        return ()
    if any(not rule.tolerance.equal_nan for rule in rules) or not same_bytes(pair):
        return None
    book.find(pair.name)
    book.leave_unread(pair.name)
    size = pair.expected.size_bytes()
    note = "the files are the same, byte for byte"
    return (Difference(pair.name, "", Verdict.IDENTICAL, size=size, note=note, unit="bytes"),)


def _guarded(pair: Pair, differences: Iterator[Difference]) -> Iterator[Difference]:
    """The same; a side that turns out unreadable becomes a difference too."""
    try:
        yield from differences
    except UnreadableError as error:
        yield _failed(pair, error)


def _failed(pair: Pair, error: UnreadableError) -> Difference:
    return Difference(pair.name, "", Verdict.FAILED, note=str(error))


def _one_sided(name: str, in_actual: bool, book: RuleBook) -> Iterator[Difference]:
    if book.find(name).tolerance.ignore:
        return
    book.leave_unread(name)
    note = "only in the actual run" if in_actual else "missing in the actual run"
    yield Difference(name, "", Verdict.DRIFT, note=note)
