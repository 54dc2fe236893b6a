"""Two runs' outputs and the rules for them → differences. The only input is what the files hold.

`readers.apart` decides whether a pair of files is compared in this process or by a reader process.
`formats` recognises a file, the module of that format reads both sides, `trees`, `tables` and
`values` compare them, `numeric.tolerance` says what is close enough, and `collect` keeps the result
short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pytest_mlcontainer.compare.collect import worst_first
from pytest_mlcontainer.compare.datasets import with_datasets
from pytest_mlcontainer.compare.formats import pytorch
from pytest_mlcontainer.compare.formats.opened import notes_on
from pytest_mlcontainer.compare.formats.pickles import needs_opening
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.formats.torch_archive import is_archive, is_legacy
from pytest_mlcontainer.compare.readers.apart import (
    DifferencesAndNotes,
    ReaderDispatch,
    format_here,
)
from pytest_mlcontainer.compare.readers.messages import Job, Work
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.compare.rules.lonely import OutputsBySide, compare_lonely
from pytest_mlcontainer.compare.rules.names import NameMatch
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.rules.study import ALONE, Study
from pytest_mlcontainer.compare.sources import (
    Pair,
    UnreadableError,
    make_pair,
    same_bytes,
    same_folders,
)
from pytest_mlcontainer.compare.summary.holding import compare_summary
from pytest_mlcontainer.model import Comparator, Difference, Output, Pairs, Rule, Verdict

__all__ = ["compare_outputs", "has_to_be_opened", "unopened", "verdict_of"]


def compare_outputs(
    actual: tuple[Output, ...],
    expected: tuple[Output, ...],
    rules: tuple[Rule, ...],
    comparators: tuple[Comparator, ...] = (),
    names: Pairs = (),
    study: Study = ALONE,
    pool: Pool | None = None,
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Compare what two runs wrote, output by output.

    Args:
        actual: of the run to be judged; `expected`: of the reference.
        rules: the first that matches an item wins.
        comparators: formats that plugins add.
        names: regular expression → replacement, for names of outputs and items before they meet.
        study: how this comparison belongs to others.
        pool: readers of what C libraries parse; None for those that all comparisons here share.

    Returns:
        One difference for each item, worst first (at most 50 that differ for each output), one for
        each rule that has to match something and did not; and notes: what was not compared, other
        rules that matched nothing, how many items are not listed.
    """
    book = RuleBook(rules, names, study)
    actual, expected = with_datasets(actual, expected, rules)
    mine = {output.name: output for output in actual}
    theirs = {output.name: output for output in expected}
    try:
        meetings = book.meet(sorted(mine), sorted(theirs))
    except UnreadableError as error:
        return (Difference("outputs", "", Verdict.FAILED, note=str(error)),), ()
    comparison = _Comparison(book, ReaderDispatch(rules, names, comparators, pool))
    found: list[Difference] = []
    notes: list[str] = []
    for met, (differences, more) in comparison.of(
        (met for met in meetings if not met.is_lonely), mine, theirs
    ):
        found += differences
        if any(each.verdict is Verdict.FAILED and not each.item for each in differences):
            book.leave_unread(met.name)  # what could not be read may hold what rules are for
        notes += (*more, *((met.note,) if met.note and met.actual and met.expected else ()))
    lonely = tuple(met for met in sorted(meetings, key=_name) if met.is_lonely)
    found += compare_lonely(lonely, OutputsBySide(mine, theirs), book)
    if not mine and not theirs:
        notes.append("nothing was compared: neither run wrote a declared output")
    idle = book.idle()
    for each in idle:
        study.on_difference(each)
    found += idle
    return tuple(sorted(found, key=worst_first)), (*notes, *book.notes())


@dataclass(frozen=True)
class _Step:
    """An output, and one of three ways to compare it.

    Args:
        known: the result, where the files need not be opened for it; else None.
        here: compares it in this process; None where a reader does.
        job: the job for a reader; None where this process compares it.
    """

    met: NameMatch
    known: tuple[Difference, ...] | None = None
    here: Callable[[], DifferencesAndNotes] | None = None
    job: Job | None = None


class _Comparison:
    def __init__(self, book: RuleBook, apart: ReaderDispatch) -> None:
        self._book = book
        self._apart = apart
        self._formats = Formats(apart.comparators)

    def of(
        self,
        meetings: Iterable[NameMatch],
        mine: Mapping[str, Output],
        theirs: Mapping[str, Output],
    ) -> Iterator[tuple[NameMatch, DifferencesAndNotes]]:
        """What is found in each output, by name. Readers begin with all of theirs at once."""
        steps = []
        for met in sorted(meetings, key=_name):
            if met.actual is None or met.expected is None:
                steps.append(_Step(met, _undecided(met, self._book)))
            else:
                steps.append(self._step(met, mine[met.actual], theirs[met.expected]))
        jobs = tuple(step.job for step in steps if step.job is not None)
        with self._apart.asked(jobs, self._book.study) as asked:
            for step in steps:
                if step.known is not None:
                    for each in step.known:
                        self._book.study.on_difference(each)
                    yield step.met, (step.known, ())
                elif step.here is not None:
                    yield step.met, _within_memory(step.met.name, step.here)
                else:
                    yield step.met, self._apart.result(next(asked), self._book)

    def _step(self, met: NameMatch, actual: Output, expected: Output) -> _Step:
        pair = make_pair(met.name, actual, expected)
        try:
            if expected.summary is not None:
                return self._hold(met, actual, expected)
            whole = _whole_answer(pair, self._book)
            if whole is not None:
                return _Step(met, whole)
            if expected.path.is_dir():
                return _Step(met, job=self._apart.job(Work.COMPARE, pair, self._book))
            format = format_here(pair, self._formats, self._apart.comparators, self._book)
        except UnreadableError as error:
            return _Step(met, (Difference(pair.name, "", Verdict.FAILED, note=str(error)),))
        if format is None:
            return _Step(met, job=self._apart.job(Work.COMPARE, pair, self._book))

        def compare() -> DifferencesAndNotes:
            differences, notes = self._formats.compare_as(format, pair, self._book)
            return differences, (*notes, *notes_on(pair))

        return _Step(met, here=compare)

    def _hold(self, met: NameMatch, actual: Output, expected: Output) -> _Step:
        """Against a summary. Whether the readers are needed is known by the one file there is."""
        side = make_pair(met.name, actual, actual)
        if format_here(side, self._formats, self._apart.comparators, self._book) is None:
            pair = make_pair(met.name, actual, expected)
            return _Step(met, job=self._apart.job(Work.HOLD, pair, self._book))
        return _Step(
            met,
            here=lambda: compare_summary(met.name, actual, expected, self._book, self._formats),
        )


def _name(met: NameMatch) -> str:
    return met.name


def _within_memory(name: str, compare: Callable[[], DifferencesAndNotes]) -> DifferencesAndNotes:
    try:
        return compare()
    except MemoryError:
        note = "unreadable: it takes more memory than there is; ignore it by a rule, or split it"
        return (Difference(name, "", Verdict.FAILED, note=note),), ()


def unopened(
    actual: tuple[Output, ...],
    expected: tuple[Output, ...],
    rules: tuple[Rule, ...],
    names: Pairs = (),
) -> tuple[frozenset[str], frozenset[str]]:
    """Outputs of each side that have to be opened in the image before the two can be compared.

    Those are the pickles that both have, whose bytes differ, and that no rule ignores as a whole.
    """
    book = RuleBook(rules, names)
    mine = {output.name: output for output in actual}
    theirs = {output.name: output for output in expected}
    waiting: tuple[set[str], set[str]] = set(), set()
    meetings: tuple[NameMatch, ...] = ()
    with suppress(UnreadableError):  # which is said when they are compared
        meetings = book.meet(sorted(mine), sorted(theirs))
    for met in meetings:
        if met.actual is None or met.expected is None:
            continue
        sides = mine[met.actual], theirs[met.expected]
        if sides[1].summary is not None:
            continue  # a baseline's, which is all that there is of it
        closed = [side.opened is None for side in sides]
        if not any(closed) or not any(has_to_be_opened(side) for side in sides):
            continue
        with suppress(UnreadableError):
            if _whole_answer(make_pair(met.name, *sides), book) is None:
                for names_, side, is_closed in zip(waiting, sides, closed, strict=True):
                    names_ |= {side.name} if is_closed else set()
    return frozenset(waiting[0]), frozenset(waiting[1])


def has_to_be_opened(output: Output) -> bool:
    """Whether an output can only be read by unpickling it, which only the image may do."""
    side = make_pair(output.name, output, output).actual
    with suppress(UnreadableError):
        if is_archive(side) or is_legacy(side):
            return pytorch.holds_objects(side)
        return needs_opening(side)
    return False


def verdict_of(differences: Iterable[Difference]) -> Verdict:
    """The worst verdict among them; of none, identical."""
    verdicts = (difference.verdict for difference in differences)
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.IDENTICAL)


def _whole_answer(pair: Pair, book: RuleBook) -> tuple[Difference, ...] | None:
    """What can be said without a look inside: ignored, or the same bytes. Else None."""
    rules = book.for_output(pair.name)
    if rules and rules[0].item is None and rules[0].tolerance.ignore:
        book.find(pair.name)
        book.leave_unread(pair.name)
        return ()
    if any(not rule.tolerance.equal_nan for rule in rules):
        return None
    if book.study.on_metric and any(rule.tolerance.equivalence is not None for rule in rules):
        return None  # its values count, also where both runs have the same
    size = same_folders(pair) if pair.expected.path.is_dir() else same_bytes(pair)
    if size is None:
        return None
    book.find(pair.name)
    book.leave_unread(pair.name)
    note = "the files are the same, byte for byte"
    return (Difference(pair.name, "", Verdict.IDENTICAL, size=size, note=note, unit="bytes"),)


def _undecided(met: NameMatch, book: RuleBook) -> tuple[Difference, ...]:
    """A name of which it cannot be told who meets whom."""
    ignored = book.find(met.name).tolerance.ignore
    book.leave_unread(met.name)
    if ignored:
        return ()
    return (Difference(met.name, "", Verdict.FAILED, note=met.note),)
