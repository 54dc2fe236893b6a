"""Two runs' outputs and the rules for them → differences. The only input is what the files hold.

`formats` recognises a file, the module of that format reads both sides, `items` and `arrays`
compare them, `tolerance` says what is close enough, and `collect` keeps the result short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_mlcontainer.compare.collect import worst_first
from pytest_mlcontainer.compare.formats import Formats
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    Pair,
    UnreadableError,
    make_pair,
    same_bytes,
)
from pytest_mlcontainer.model import Comparator, Difference, Output, Rule, Verdict

__all__ = ["compare_outputs", "verdict_of"]


def compare_outputs(
    actual: tuple[Output, ...],
    expected: tuple[Output, ...],
    rules: tuple[Rule, ...],
    comparators: tuple[Comparator, ...] = (),
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Compare what two runs wrote, output by output.

    Args:
        actual: of the run to be judged; `expected`: of the reference.
        rules: the first that matches an item wins.
        comparators: formats that plugins add.

    Returns:
        One difference for each item, worst first (at most 50 that differ for each output), and
        notes: what was not compared, rules that matched nothing, how many items are not listed.
    """
    book = RuleBook(rules)
    formats = Formats(comparators)
    mine = {output.name: output for output in actual}
    theirs = {output.name: output for output in expected}
    found: list[Difference] = []
    notes: list[str] = []
    for name in sorted(mine.keys() | theirs.keys()):
        if name in mine and name in theirs:
            pair = make_pair(name, mine[name], theirs[name])
            differences, more = _compare_pair(pair, book, formats)
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


def _compare_pair(
    pair: Pair, book: RuleBook, formats: Formats
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    try:
        whole = _whole_answer(pair, book)
    except UnreadableError as error:
        return (Difference(pair.name, "", Verdict.FAILED, note=str(error)),), ()
    return formats.compare(pair, book) if whole is None else (whole, ())


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


def _one_sided(name: str, in_actual: bool, book: RuleBook) -> Iterator[Difference]:
    if book.find(name).tolerance.ignore:
        return
    book.leave_unread(name)
    note = "only in the actual run" if in_actual else "missing in the actual run"
    yield Difference(name, "", Verdict.DRIFT, note=note)
