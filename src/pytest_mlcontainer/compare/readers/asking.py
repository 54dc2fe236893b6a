"""A comparison's pairs → readers → what they found, in the order of the pairs.

Each pair is handed to the next reader that is free. What a reader says on the way (items compared,
metrics, calls of a conftest's comparator) waits until its pair's turn, and is then taken on the
thread that compares, so that whoever listens hears the same in the same order every time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from contextlib import contextmanager, suppress
from typing import Final

from pytest_mlcontainer.compare.readers.messages import (
    Calibrate,
    ComparedItem,
    Job,
    Message,
    PairCompared,
    SummaryChunk,
)
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.compare.readers.process import (
    NO_ANSWER,
    ReaderDiedError,
    ReaderProcess,
    Serve,
    TooLongError,
    TooMuchError,
)

_WAITING: Final = 64  # messages of a pair whose turn has not come
_LOOK_S: Final = 0.2


class PendingPair:
    """One pair that was handed to the readers."""

    def __init__(self, job: Job, calibrate: Serve) -> None:
        self.job = job
        self._calibrate = calibrate
        self._waiting: queue.Queue[tuple[Message | ReaderDiedError, Future[object] | None]] = (
            queue.Queue(_WAITING)
        )
        self._given_up = threading.Event()
        self._heard = False

    def result(self, serve: Serve) -> PairCompared:
        """What was found; `serve` takes what the reader says before.

        Raises:
            ReaderDiedError: the reader died of it.
        """
        while True:
            said, reply = self._next()
            if isinstance(said, ReaderDiedError):
                raise said
            if isinstance(said, PairCompared):
                return said
            answer = serve(said)
            if reply is not None:
                reply.set_result(answer)

    def _next(self) -> tuple[Message | ReaderDiedError, Future[object] | None]:
        """By short waits: Ctrl-C that comes as a wait begins is heard at its end."""
        while True:
            with suppress(queue.Empty):
                return self._waiting.get(timeout=_LOOK_S)

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        self._given_up.set()

    def fail(self, error: ReaderDiedError) -> None:
        """There is no reader for it."""
        with suppress(_GivenUpError):
            self._put(error, None)

    def work(self, pool: Pool, reader: ReaderProcess) -> None:
        """Have it done by this reader, or by the one that takes its place; it is given back."""
        with suppress(_GivenUpError):
            try:
                found = self._done(pool, reader)
            except ReaderDiedError as error:
                self._put(error, None)
            except _GivenUpError:
                raise
            except Exception as error:  # whatever it is, somebody waits
                self._put(ReaderDiedError(f"failed ({type(error).__name__}: {error!s:.200})"), None)
            else:
                self._put(found, None)

    def _done(self, pool: Pool, reader: ReaderProcess) -> PairCompared:
        served = reader.served
        holder: ReaderProcess | None = reader
        try:
            try:
                return reader.run(self.job, self._serve, self._given_up.is_set)
            except (TooLongError, TooMuchError):
                raise
            except ReaderDiedError:
                # It may have died of what an earlier pair did to its memory. Its place is kept:
                # pairs whose turn comes later would take it, and wait for this one.
                if not served or self._heard or self._given_up.is_set():
                    raise
            holder = None
            holder = pool.replace(reader)
            return holder.run(self.job, self._serve, self._given_up.is_set)
        finally:
            if holder is not None:
                pool.give_back(holder)

    def _serve(self, message: Message) -> object:
        if isinstance(message, Calibrate):
            return self._calibrate(message)
        self._heard = True
        reply: Future[object] | None = (
            None if isinstance(message, (ComparedItem, SummaryChunk)) else Future()
        )
        self._put(message, reply)
        if reply is None:
            return NO_ANSWER
        while not self._given_up.is_set():
            with suppress(LateError):
                return reply.result(_LOOK_S)
        raise _GivenUpError

    def _put(self, said: Message | ReaderDiedError, reply: Future[object] | None) -> None:
        while not self._given_up.is_set():
            with suppress(queue.Full):
                self._waiting.put((said, reply), timeout=_LOOK_S)
                return
        raise _GivenUpError


class _GivenUpError(Exception):
    """Nobody waits for what is found."""


@contextmanager
def asked(pool: Pool, jobs: Sequence[Job], calibrate: Serve) -> Iterator[tuple[PendingPair, ...]]:
    """Hand pairs to the readers, the first one first. At the end what is not done is given up.

    Args:
        calibrate: answers `Calibrate`, at any time and on any thread.
    """
    every = tuple(PendingPair(job, calibrate) for job in jobs)
    left = iter(every)
    order = threading.Lock()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            # Under the lock, so that a pair never has a reader before the pairs ahead of it do:
            # the one whose turn it is has to be at work, or the others wait for it without end.
            with order:
                each = next(left, None)
                if each is None or stop.is_set():
                    return
                reader = _take(pool, each)
            if reader is not None:
                each.work(pool, reader)

    threads = [
        threading.Thread(target=work, name="mlcontainer-reading", daemon=True)
        for _ in range(min(len(every), pool.limits.readers))
    ]
    for thread in threads:
        thread.start()
    try:
        yield every
    finally:
        stop.set()
        for each in every:
            each.give_up()
        for thread in threads:
            thread.join()


def _take(pool: Pool, each: PendingPair) -> ReaderProcess | None:
    try:
        return pool.take()
    except ReaderDiedError as error:
        each.fail(error)
    except Exception as error:  # whatever it is, somebody waits
        each.fail(ReaderDiedError(f"could not be started ({type(error).__name__}: {error!s:.200})"))
    return None
