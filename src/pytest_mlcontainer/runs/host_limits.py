"""What can be limited of a run on this machine: what it prints, and what it writes to its copy."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.breaches import DISK, LOG_LIMIT, Breach
from pytest_mlcontainer.runs.watching import next_look_s

_BLOCK = 512
_SHARE = 20  # of the time at least, nobody adds up sizes


class HostLimits:
    """Looks at files that grow.

    Args:
        logs: the files that it prints to; they need not exist yet.
        folder: what it writes to.
    """

    def __init__(self, limits: Limits, logs: tuple[Path, Path], folder: Path) -> None:
        self.breach: Breach | None = None
        self._limits = limits
        self._logs = logs
        self._folder = folder
        self._at_first = _on_disk(folder)
        self._started = time.monotonic()
        self._due = self._started + next_look_s(0)

    def passed(self) -> bool:
        """Whether it is past a limit; to be asked again and again."""
        self._look_at_logs()
        now = time.monotonic()
        if self.breach is None and now >= self._due:
            limit = self._limits.disk_bytes
            used = _on_disk(self._folder) - self._at_first
            if used > limit:
                self.breach = Breach(DISK, limit, used, now - self._started)
            cost_s = time.monotonic() - now
            self._due = time.monotonic() + max(next_look_s(limit - used), _SHARE * cost_s)
        return self.breach is not None

    def cut_logs(self) -> None:
        """Keep no more than may be printed, once it has ended; stderr as far as half of that."""
        self._look_at_logs()
        most = self._limits.log_bytes
        stdout, stderr = self._logs
        kept = min(_size(stderr), max(most - _size(stdout), most // 2))
        for file, size in ((stderr, kept), (stdout, most - kept)):
            if _size(file) > size:
                os.truncate(file, size)

    def _look_at_logs(self) -> None:
        printed = sum(map(_size, self._logs))
        if printed > self._limits.log_bytes and self.breach is None:
            after_s = time.monotonic() - self._started
            self.breach = Breach(LOG_LIMIT, self._limits.log_bytes, printed, after_s)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _on_disk(folder: Path) -> int:
    """Bytes on disk below the folder; what goes or cannot be looked at counts as nothing."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - many files
            except OSError:
                continue
            # Windows does not count blocks.
            total += getattr(status, "st_blocks", status.st_size // _BLOCK) * _BLOCK
    return total
