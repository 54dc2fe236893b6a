"""Decides which files are compared in this process, and hands the others to reader processes.

In this process: arrays whose files this package reads itself, block by block, with Python and NumPy
alone (npy, npz, safetensors, PyTorch); and small files that the standard library reads. All else,
whatever a library in C has to parse, is read in processes that may crash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.compare.formats import (
    binary,
    jsonl,
    npy,
    npz,
    number_table,
    opened,
    pytorch,
    safetensors,
    toml_file,
)
from pytest_mlcontainer.compare.formats import csv_file as csv
from pytest_mlcontainer.compare.formats import json_file as json
from pytest_mlcontainer.compare.formats import text_file as text
from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.opened_tree import TREE
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.readers.asking import PendingPair, asked
from pytest_mlcontainer.compare.readers.carrying import added_of, call
from pytest_mlcontainer.compare.readers.messages import (
    Calibrate,
    ComparatorCall,
    ComparedItem,
    Job,
    Message,
    MetricOffer,
    SummaryChunk,
    Work,
)
from pytest_mlcontainer.compare.readers.pool import Pool, shared_pool
from pytest_mlcontainer.compare.readers.process import NO_ANSWER, ReaderDiedError
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.rules.study import ALONE, Study
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, chunks, make_pair
from pytest_mlcontainer.compare.summary.items import Summary, summarise
from pytest_mlcontainer.compare.summary.stored import write_summary
from pytest_mlcontainer.model import Comparator, Difference, Output, Pairs, Rule, Verdict

# Comparing so much takes less time than starting a process.
SMALL_BYTES: Final = 1 << 20
_ARRAYS: Final = (pytorch.FORMAT, npy.FORMAT, npz.FORMAT, safetensors.FORMAT)
_TEXTS: Final = frozenset(
    format.name
    for format in (
        opened.FORMAT,
        json.FORMAT,
        jsonl.FORMAT,
        csv.FORMAT,
        toml_file.FORMAT,
        number_table.FORMAT,
        text.FORMAT,
        binary.FORMAT,
    )
)

DifferencesAndNotes = tuple[tuple[Difference, ...], tuple[str, ...]]


def format_here(
    pair: Pair, formats: Formats, comparators: tuple[Comparator, ...], book: RuleBook
) -> Format | Difference | None:
    """The format of a pair that is compared in this process; None for one that is not.

    As of `Formats.find_for`.

    Raises:
        UnreadableError: a file is gone, or not permitted.
    """
    if any(each.recognises is not None for each in comparators):
        return None
    suffixes = tuple(suffix.lower() for each in comparators for suffix in each.suffixes)
    sides = (pair.actual, pair.expected)
    if any(side.name.lower().endswith(suffixes) for side in sides if suffixes):
        return None
    for format in _ARRAYS if all(side.opened is None for side in sides) else ():
        if format.has_content is not None and all(format.has_content(side) for side in sides):
            return format
    if any(_size_bytes(side) > SMALL_BYTES for side in sides):
        return None
    found = formats.find_for(pair, book)
    if isinstance(found, Difference) or found.name in _TEXTS:
        return found
    return None


def _size_bytes(side: ComparedFile) -> int:
    """The file's size; of a pickle that was opened also that of what was found in it."""
    size = side.size_bytes()
    if side.opened is not None:
        tree = side.opened / TREE
        size += tree.stat().st_size if tree.is_file() else 0
    return size


@dataclass(frozen=True)
class ReaderDispatch:
    """Hands the pairs of one comparison to readers, and gives back what they found.

    Args:
        pool: of the readers; None for those of this process.
    """

    rules: tuple[Rule, ...]
    names: Pairs
    comparators: tuple[Comparator, ...]
    pool: Pool | None = None

    def job(self, work: Work, pair: Pair, book: RuleBook) -> Job:
        """A pair as it is handed over."""
        study = book.study
        return Job(
            work,
            Pair(pair.name, _absolute(pair.actual), _absolute(pair.expected)),
            self.rules,
            self.names,
            book.spellings(pair.name),
            tuple(added_of(each) for each in self.comparators),
            study.listens,
            study.on_metric is not None,
            study.calibrate is not None,
        )

    @contextmanager
    def asked(self, jobs: tuple[Job, ...], study: Study) -> Iterator[Iterator[PendingPair]]:
        """Hand them over; gives what will come of each, in their order."""

        def calibrate(message: Message) -> object:
            assert isinstance(message, Calibrate)
            assert study.calibrate is not None
            return study.calibrate(message.item)

        if not jobs:
            yield iter(())
            return
        with asked(self.pool or shared_pool(), jobs, calibrate) as every:
            yield iter(every)

    def result(self, each: PendingPair, book: RuleBook) -> DifferencesAndNotes:
        """What came of one of them; `book` and its study hear of it as if it were done here."""
        study = book.study

        def serve(message: Message) -> object:
            if isinstance(message, ComparedItem):
                study.on_difference(message.difference)
                return NO_ANSWER
            if isinstance(message, MetricOffer):
                return study.on_metric is not None and study.on_metric(message.metric())
            assert isinstance(message, ComparatorCall)
            return call(self.comparators, message)

        name = each.job.pair.name
        try:
            done = each.result(serve)
        except ReaderDiedError as error:
            failed = died(name, error)
            book.find(name)
            book.leave_unread(name)
            study.on_difference(failed)
            return (failed,), ()
        book.recall(name, done.memory)
        return done.differences, done.notes


def write_summary_of(
    output: Output, path: Path, comparators: tuple[Comparator, ...] = (), pool: Pool | None = None
) -> None:
    """Write what a baseline keeps of a file that is too large to keep.

    Of a file whose reader died that is what is known without a look inside.
    """
    pair = make_pair(output.name, output, output)
    if format_here(pair, Formats(comparators), comparators, RuleBook(())) is not None:
        write_summary(path, summarise(output, comparators))
        return
    apart = ReaderDispatch((), (), comparators, pool)
    parts: list[str] = []

    def serve(message: Message) -> object:
        if isinstance(message, SummaryChunk):
            parts.append(message.text)
            return NO_ANSWER
        assert isinstance(message, ComparatorCall)
        return call(comparators, message)

    with apart.asked((apart.job(Work.SUMMARISE, pair, RuleBook(())),), ALONE) as asked_:
        try:
            next(asked_).result(serve)
        except ReaderDiedError:
            write_summary(path, _without_items(pair.actual))
        else:
            path.write_text("".join(parts), encoding="utf-8")


def _without_items(side: ComparedFile) -> Summary:
    digest = hashlib.sha256()
    with side.open() as stream:
        for chunk in chunks(stream):
            digest.update(chunk)
    return Summary(side.size_bytes(), digest.hexdigest(), None)


def died(name: str, error: ReaderDiedError) -> Difference:
    """The verdict on an output whose reader died."""
    note = (
        f"unreadable: the reader {error}; it ran apart, so nothing else is harmed. One of the two "
        "files may be damaged, or be made to do harm: write it again, or in another format, or "
        "ignore it by a rule"
    )
    return Difference(name, "", Verdict.FAILED, note=note)


def _absolute(side: ComparedFile) -> ComparedFile:
    opened_in = None if side.opened is None else side.opened.absolute()
    return ComparedFile(side.label, side.name, side.path.absolute(), opened_in)
