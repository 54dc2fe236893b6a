"""Work in threads: each thing once, and whoever waits for it can be interrupted at any moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_JOIN_S = 15.0


class Background:
    """Results by key; a key's work is begun by whoever asks first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[Hashable, Future[Any]] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, key: Hashable, make: Callable[[], T]) -> Future[T]:
        """Start the work for a key, unless it was started before."""
        with self._lock:
            if key in self._results:
                return self._results[key]
            future: Future[T] = Future()
            self._results[key] = future
            thread = threading.Thread(
                target=_work, args=(future, make), daemon=True, name=f"mlcontainer {key}"[:80]
            )
            self._threads.append(thread)
            thread.start()
            return future

    def result(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for a key, or what its work raised."""
        return self.begin(key, make).result()

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
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait for all that was begun, but not for ever."""
        for thread in self._threads:
            thread.join(_JOIN_S)


def _work(future: Future[T], make: Callable[[], T]) -> None:
    try:
        future.set_result(make())
    except BaseException as error:
        future.set_exception(error)
