"""The program of a reader process: it receives jobs, compares files, and sends what it found.

A library may crash it, hang it or print anything: the session only reads frames from a separate
descriptor, limits memory and time from outside, and starts another reader.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

from pytest_mlcontainer.compare.formats.opened import notes_on
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.formats.unpacking import limit_for
from pytest_mlcontainer.compare.numeric.tolerance import Calibration
from pytest_mlcontainer.compare.readers.coding import encode, read_frame, write_frame
from pytest_mlcontainer.compare.readers.messages import (
    PART_CHARACTERS,
    AddedComparator,
    Calibrate,
    ComparatorCall,
    ComparedItem,
    FunctionReference,
    Job,
    Message,
    PairCompared,
    ReaderOutOfMemory,
    ReaderReady,
    SummaryChunk,
    Work,
    offered,
)
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.rules.study import Item, Metric, Study
from pytest_mlcontainer.compare.sources import UnreadableError
from pytest_mlcontainer.compare.summary.holding import compare_summary
from pytest_mlcontainer.compare.summary.items import summarise
from pytest_mlcontainer.compare.summary.stored import summary_to_json
from pytest_mlcontainer.model import Comparator, Difference, Output, Verdict

try:
    import resource
except ImportError:  # where there is none, a reader has the session's limits of time alone
    resource = None  # type: ignore[assignment]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_SIGKILL: Final = 9


class Channel:
    """Frames to and from the session, out of reach of what libraries print."""

    def __init__(self) -> None:
        self._incoming: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._outgoing: BinaryIO = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def tell(self, message: Message) -> None:
        write_frame(self._outgoing, encode(message))

    def receive(self) -> Any:
        """What the session says next; it is trusted, so it may be a pickle.

        Raises:
            SystemExit: the session is over.
        """
        frame = read_frame(self._incoming)
        if frame is None:
            raise SystemExit(0)
        return pickle.loads(frame)

    def ask(self, message: Message) -> Any:
        self.tell(message)
        return self.receive()


def main(memory_bytes: int, parent: int) -> None:
    """Serve until the session is over.

    Args:
        memory_bytes: what may be allocated from now on, this process included.
        parent: the session's process.
    """
    _limit(memory_bytes)
    _die_with_the_session(parent)
    channel = Channel()
    channel.tell(ReaderReady())
    while True:
        job = channel.receive()
        assert isinstance(job, Job)
        _limit_files(job)
        try:
            answer: PairCompared | ReaderOutOfMemory = _done(job, channel)
        except MemoryError:
            answer = ReaderOutOfMemory()
        channel.tell(answer)


def _limit(memory_bytes: int) -> None:
    """No more memory, no core dumps. What a system cannot limit it leaves as it is."""
    if resource is None:
        return
    # Not RLIMIT_AS: files of any size are mapped, which takes addresses and no memory.
    for which, most in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def _limit_files(job: Job) -> None:
    """Only what is unpacked is written, and no file of it is larger than what may be unpacked."""
    if resource is None:
        return
    size = 0
    for side in (job.pair.actual, job.pair.expected):
        with suppress(UnreadableError):
            size = max(size, side.size_bytes())
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_for(size), hard))


def _die_with_the_session(parent: int) -> None:
    """Also where it is killed while a library here is at work, and nobody reads the end of it."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(0)


def _done(job: Job, channel: Channel) -> PairCompared:
    study = Study(
        partial(_calibration, channel) if job.calibrated else None,
        partial(_tell, channel) if job.told else _pass_over,
        partial(_offer, channel) if job.metrics else None,
    )
    name = job.pair.name
    book = RuleBook(job.rules, job.names, study)
    book.know_spellings(name, job.spellings)
    try:
        comparators = tuple(
            _comparator(each, number, channel) for number, each in enumerate(job.comparators)
        )
        differences, notes = _work(job, book, comparators, channel)
    except UnreadableError as error:
        differences, notes = (Difference(name, "", Verdict.FAILED, note=str(error)),), ()
    return PairCompared(differences, notes, book.memory_of(name))


def _work(
    job: Job, book: RuleBook, comparators: tuple[Comparator, ...], channel: Channel
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    pair = job.pair
    if job.work is Work.COMPARE:
        differences, notes = Formats(comparators).compare(pair, book)
        return differences, (*notes, *notes_on(pair))
    sides = [Output(each.name, each.path, 0) for each in (pair.actual, pair.expected)]
    if job.work is Work.HOLD:
        return compare_summary(pair.name, sides[0], sides[1], book, Formats(comparators))
    text = summary_to_json(summarise(sides[0], comparators))
    for start in range(0, len(text), PART_CHARACTERS):
        channel.tell(SummaryChunk(text[start : start + PART_CHARACTERS]))
    return (), ()


def _pass_over(_difference: Difference) -> None:
    return None


def _tell(channel: Channel, difference: Difference) -> None:
    channel.tell(ComparedItem(difference))


def _calibration(channel: Channel, item: Item) -> Calibration:
    found: Calibration = channel.ask(Calibrate(item))
    return found


def _offer(channel: Channel, metric: Metric) -> bool:
    return bool(channel.ask(offered(metric)))


def _comparator(added: AddedComparator, number: int, channel: Channel) -> Comparator:
    """A comparator with the functions of its package, or such as ask the session."""
    read = partial(_call, channel, number, "read")
    recognises = partial(_call, channel, number, "recognises")
    return Comparator(
        added.name,
        _imported(added.read) or read,
        added.suffixes,
        (_imported(added.recognises) or recognises) if added.recognising else None,
    )


def _imported(place: FunctionReference | None) -> Callable[..., Any] | None:
    """The function that is there; None where it is not the session's, which is asked then."""
    if place is None:
        return None
    module, file, qualified = place
    try:
        found = importlib.import_module(module)
        if getattr(found, "__file__", None) != file:
            return None
        function: Callable[..., Any] = attrgetter(qualified)(found)
    except (Exception, SystemExit):
        return None
    return function


def _call(channel: Channel, number: int, function: str, path: Path, *_head: bytes) -> Any:
    """A function that only the session has; it reads the head of the file itself.

    Raises:
        Exception: what it raised there, by the same name.
    """
    given, raised = channel.ask(ComparatorCall(number, function, str(path)))
    if raised is not None:
        name, text = raised
        raise type(name, (Exception,), {})(text)
    return given
