"""Looking at a run while it runs, and ending it when it is past one of its limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from pytest_mlcontainer.engines import Container, Usage
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.breaches import DISK, LOG_LIMIT, Breach

_FIRST_S, _LEAST_S, _MOST_S = 0.5, 0.5, 2.0
_FASTEST_BYTES = 4 << 30  # that anything writes in a second
_SHARE = 20  # of the time at least, nobody looks
# For a program that handles SIGTERM; one that does not, as process 1, ignores it.
GRACE_S = 3.0
_GRACES_S = {LOG_LIMIT: GRACE_S, DISK: 0.0}  # in which a disk would go on to be filled


class RunWatch(AbstractContextManager["RunWatch"]):
    """Looks now and then, from a thread of its own; what it has seen is complete after the block.

    Args:
        look: what the run uses at present; raises nothing.
        end: ends the run for the limit that it is past.
    """

    def __init__(
        self, limits: Limits, look: Callable[[], Usage], end: Callable[[Breach], None]
    ) -> None:
        self.breach: Breach | None = None
        self.peak: Usage = Usage()
        self._limits = limits
        self._look = look
        self._end = end
        self._full = False
        self._over = False
        self._wake = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> RunWatch:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._wake.set()
        if error is None:
            # A look that is under way is waited for; the engine answers it within its own limit.
            self._thread.join()

    def log_is_full(self) -> None:
        """To be called when the run has printed more than it may."""
        self._full = True
        self._wake.set()

    def _watch(self) -> None:
        pause_s = _FIRST_S
        while not self._wake.wait(pause_s):
            looked = time.monotonic()
            self._note(self._look())
            used = self.peak.disk_bytes or 0
            if used > self._limits.disk_bytes:
                self._stop(Breach(DISK, self._limits.disk_bytes, used, looked - self._started))
                return
            cost_s = time.monotonic() - looked
            pause_s = max(next_look_s(self._limits.disk_bytes - used), _SHARE * cost_s)
        if self._full and not self._over:
            limit = self._limits.log_bytes
            self._stop(Breach(LOG_LIMIT, limit, None, time.monotonic() - self._started))

    def _stop(self, breach: Breach) -> None:
        self.breach = breach
        self._end(breach)

    def _note(self, seen: Usage) -> None:
        peak = self.peak
        self.peak = Usage(
            disk_bytes=_larger(peak.disk_bytes, seen.disk_bytes),
            memory_bytes=_larger(peak.memory_bytes, seen.memory_bytes),
            processes=_larger(peak.processes, seen.processes),
        )


def watch_container(container: Container, limits: Limits) -> RunWatch:
    """A watch that ends the container past its limits."""

    def end(breach: Breach) -> None:
        with suppress(EngineError):  # which whoever waits for its end is told as well
            container.kill(_GRACES_S[breach.setting])

    return RunWatch(limits, container.usage, end)


def next_look_s(left_bytes: int) -> float:
    """How long not to look at a run that may write so much more."""
    return min(max(left_bytes / _FASTEST_BYTES, _LEAST_S), _MOST_S)


def _larger(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)
