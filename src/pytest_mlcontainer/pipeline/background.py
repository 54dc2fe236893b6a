"""Work in threads: each thing once, and whoever waits for it can be interrupted at any moment.

There are only so many threads, whatever is begun, and what one thing waits for may itself not have
been begun yet. So nobody waits in one of these threads for what nobody works on: it is done there
and then.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, TypeVar

from pytest_mlcontainer.errors import EngineError

T = TypeVar("T")

_WORKERS = 64
_JOIN_S = 15.0
_LISTEN_S = 0.5


class Background:
    """Results by key; a key's work is begun by whoever asks first.

    Args:
        workers: threads, at most. Most of them wait for an engine, which says itself how much it
            does at once.
    """

    def __init__(self, workers: int = _WORKERS) -> None:
        self._most = workers
        self._lock = threading.Lock()
        self._results: dict[Hashable, Future[Any]] = {}
        self._waiting: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def begin(self, key: Hashable, make: Callable[[], T]) -> Future[T]:
        """Start the work for a key, unless it was started before."""
        with self._lock:
            return self._begin(key, make)

    def result(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for a key, or what its work raised."""
        with self._lock:
            future = self._begin(key, make)
            work = None
            if threading.current_thread() in self._threads:
                work = self._waiting.pop(key, None)
            elif key in self._waiting:
                # Somebody waits for it: it comes before all that is only likely to be needed.
                self._waiting.move_to_end(key, last=False)
        if work is not None:
            work()
        return awaited(future)

    def known(self, key: Hashable) -> object:
        """The result for a key if there is one already; else None."""
        with self._lock:
            future = self._results.get(key)
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    @property
    def busy(self) -> bool:
        """Whether anything is still being worked on."""
        with self._lock:
            return bool(self._threads)

    def join(self, timeout_s: float = _JOIN_S) -> bool:
        """Begin nothing more, and wait for all that was begun, together for so long at most.

        Returns:
            Whether all of it has ended.
        """
        with self._lock:
            self._closed = True
            for key in self._waiting:
                self._results[key].set_exception(_ending())
            self._waiting.clear()
            threads = tuple(self._threads)
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self.busy

    def _begin(self, key: Hashable, make: Callable[[], T]) -> Future[T]:
        """The same, by one who has the lock."""
        known = self._results.get(key)
        if known is not None:
            return known
        future: Future[T] = Future()
        self._results[key] = future
        if self._closed:
            future.set_exception(_ending())
            return future
        self._waiting[key] = lambda: _work(future, make)
        if len(self._threads) < self._most:
            thread = threading.Thread(
                target=self._serve, daemon=True, name=f"mlcontainer {len(self._threads)}"
            )
            self._threads.add(thread)
            thread.start()
        return future

    def _serve(self) -> None:
        """One thread: work on what waits, one thing after another, until nothing does."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads.discard(threading.current_thread())
                    return
                _key, work = self._waiting.popitem(last=False)
            work()


def awaited(future: Future[T]) -> T:
    """What `Future.result` gives, by a wait that Ctrl-C ends at any moment.

    Python's own wait hears a signal only if that comes while the main thread sleeps already: one
    that comes just before, or that the system hands to another thread, is heard when the sleep is
    over, and a run may take hours. So it sleeps for half a second at a time.
    """
    while not future.done():
        with suppress(FutureTimeoutError):
            future.exception(_LISTEN_S)
    return future.result()


def _work(future: Future[T], make: Callable[[], T]) -> None:
    try:
        future.set_result(make())
    except BaseException as error:
        future.set_exception(error)


def _ending() -> EngineError:
    return EngineError("this test session is ending", "", "run it again")
