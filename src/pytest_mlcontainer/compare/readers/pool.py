"""As many readers as there are cores: started when they are needed, kept, and shared by threads."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from pytest_mlcontainer.compare.readers.limits import ReaderLimits, machine_limits
from pytest_mlcontainer.compare.readers.process import ReaderDiedError, ReaderProcess


class Pool:
    """Readers, lent to one job at a time.

    Args:
        limits: of each, and how many there are.
    """

    def __init__(self, limits: ReaderLimits) -> None:
        self.limits: ReaderLimits = limits
        self._owner = os.getpid()
        self._free = threading.Condition()
        self._idle: list[ReaderProcess] = []
        self._lent: set[ReaderProcess] = set()
        self._count = 0
        # A reader dies with the thread that started it (the system knows no other parent), so that
        # is one which lives as long as the process.
        self._starter = ThreadPoolExecutor(1, "mlcontainer-readers")

    def divide(self, processes: int) -> None:
        """Leave their share to so many processes that compare on this machine; before the first."""
        with self._free:
            if not self._count and processes > 1:
                self.limits = machine_limits(processes)

    def take(self) -> ReaderProcess:
        """A reader for one job, to be given back; waits until one is free.

        Raises:
            ReaderDiedError: none can be started.
        """
        with self._free:
            while not self._idle and self._count >= self.limits.readers:
                self._free.wait()
            if self._idle:
                reader = self._idle.pop()
                self._lent.add(reader)
                return reader
            self._count += 1
        return self._start()

    def replace(self, reader: ReaderProcess) -> ReaderProcess:
        """Another one for a reader that died, without waiting.

        Raises:
            ReaderDiedError: none can be started; this one counts as given back.
        """
        reader.close()
        with self._free:
            self._lent.discard(reader)
        return self._start()

    def give_back(self, reader: ReaderProcess) -> None:
        """Let others have it; one that is dead goes, and one that keeps too much memory."""
        alive = reader.is_alive() and not reader.is_spent()
        if not alive:
            reader.close()
        with self._free:
            self._lent.discard(reader)
            if alive:
                self._idle.append(reader)
            else:
                self._count -= 1
            self._free.notify()

    def _start(self) -> ReaderProcess:
        try:
            reader = self._starter.submit(ReaderProcess, self.limits).result()
        except BaseException as error:
            with self._free:
                self._count -= 1
                self._free.notify()
            if isinstance(error, RuntimeError):
                raise ReaderDiedError(f"could not be started ({error})") from error
            raise
        with self._free:
            self._lent.add(reader)
        return reader

    def close(self) -> None:
        """End all of them; those at work are taken from who uses them.

        Not in a process that was forked from the one whose they are.
        """
        if os.getpid() != self._owner:
            return
        with self._free:
            idle, lent = tuple(self._idle), tuple(self._lent)
            self._idle.clear()
            self._count -= len(idle)
        for reader in idle:
            reader.close()
        for reader in lent:
            reader.kill()
        self._starter.shutdown(wait=False)


def shared_pool() -> Pool:
    """The readers of this process, which end with it.

    How many there are is a matter of the machine and not of who compares, so all that compare here
    share them; a process that was forked has its own.
    """
    return _pool_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _pool_of(_pid: int) -> Pool:
    pool = Pool(machine_limits())
    atexit.register(pool.close)
    return pool
