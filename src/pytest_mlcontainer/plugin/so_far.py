"""The report of a session that goes on, so that one which is killed leaves one, too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import pytest

_LEAST_S: Final = 2.0
_SHARE: Final = 50  # one part in so many of the time goes into writing


class ReportSoFar:
    """Says when to write it, and what it says of itself.

    It is written again as soon as there is more to say, but so that writing takes a small share of
    the time; what comes in between waits for that, also while a long test runs.

    Args:
        write: writes the report; it is given why that is not the whole of it. It may be called in
            another thread.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: threading.Timer | None = None
        self._due = 0.0
        self._is_over = False
        self._tests = 0

    def count(self, report: pytest.TestReport) -> None:
        """Take notice of a test that has come to its end."""
        self._tests += report.when == "teardown"

    def changed(self) -> None:
        """Write the report as it is now, or later, where that was done a moment ago."""
        wait_s = self._due - time.monotonic()
        if wait_s <= 0:
            self._write_now()
        elif self._waiting is None:
            self._waiting = threading.Timer(wait_s, self._write_now)
            self._waiting.daemon = True
            self._waiting.start()

    def end(self) -> None:
        """Write nothing more: what comes now is the whole."""
        waiting = self._waiting
        if waiting is not None:
            waiting.cancel()
        with self._lock:
            self._is_over = True

    def _write_now(self) -> None:
        with self._lock:
            if self._is_over:
                return
            self._waiting = None
            started = time.monotonic()
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            self._write(
                f"The session had not ended when this was written, at {at} after {self._said()}: "
                "if it is not running any more, it was killed, and what came later is not here."
            )
            ended = time.monotonic()
            self._due = ended + max(_LEAST_S, (ended - started) * _SHARE)

    def why_unfinished(self, session: pytest.Session) -> str:
        """Why a session ended before its last test; "" where it did not."""
        if session.shouldfail:
            return f"The session ended early, after {self._said()}: {session.shouldfail}."
        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            why = f": {session.shouldstop}" if session.shouldstop else ""
            return f"The session was interrupted after {self._said()}{why}."
        if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            return f"The session ended in an internal error after {self._said()}."
        return ""

    def _said(self) -> str:
        return "1 test" if self._tests == 1 else f"{self._tests:,} tests"
