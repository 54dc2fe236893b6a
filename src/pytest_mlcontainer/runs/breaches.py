"""Limits that a run has reached, in words: which one, what was used, and what to change."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_mlcontainer.engines import Usage
from pytest_mlcontainer.model import Limits

LOG_LIMIT, DISK = "log-limit", "disk"
_DID = {LOG_LIMIT: "printed more than", DISK: "wrote more to disk than"}
_HOW = {
    LOG_LIMIT: "make it print less: a progress bar that is told to be quiet, a lower log level",
    DISK: "make it write less: fewer checkpoints, no copies of its data",
}
_NO_PROCESS = re.compile(
    "can't start new thread|Resource temporarily unavailable|unable to create (?:new native )?"
    "thread|pthread_create failed|[Cc]annot fork|fork: retry|BlockingIOError: \\[Errno 11\\]"
)
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True)
class Breach:
    """A limit that a run was past, so that it was ended.

    Args:
        setting: what the limit is called in the configuration.
        used: None where all that is known is that it was more.
    """

    setting: str
    limit_bytes: int
    used_bytes: int | None
    after_s: float

    @property
    def did(self) -> str:
        """What the run did, as the end of a sentence about it."""
        return f"{_DID[self.setting]} it may and was ended"

    @property
    def value(self) -> str:
        """The limit and what was used."""
        limit = size_text(self.limit_bytes)
        used = f"more than {limit}" if self.used_bytes is None else size_text(self.used_bytes)
        return f"{used} after {self.after_s:.1f} s; {self.setting} is {limit}"

    def remedy(self, table: str) -> str:
        return f"{_HOW[self.setting]}; or raise `{self.setting}` in {table}"


def memory_ran_out(limits: Limits, peak: Usage, *, child: bool) -> str:
    """What is known of the memory of a run that ran out of it.

    Args:
        child: one of its processes was killed, and not the run as a whole.
    """
    who = "one of its processes was killed when it" if child else "it"
    if limits.memory_bytes:
        return f"{who} used all of its memory, {size_text(limits.memory_bytes)}"
    most = f": {size_text(peak.memory_bytes)} at the most seen" if peak.memory_bytes else ""
    return f"{who} ran out of the memory of the engine's machine, since no limit is set{most}"


def memory_remedy(limits: Limits, table: str) -> str:
    if not limits.memory_bytes:
        return "make it use less, or run it on a machine with more; no `memory` is set"
    now = size_text(limits.memory_bytes)
    return f"raise `memory` ({now} now) in {table}, or make it use less"


def out_of_processes(limits: Limits, peak: Usage, printed: str) -> tuple[str, str] | None:
    """What is known, and what to change, where a run could start no more processes or threads."""
    full = (peak.processes or 0) >= limits.processes
    if not full and not _NO_PROCESS.search(printed):
        return None
    seen = f"{peak.processes} of them were seen at one time; " if peak.processes else ""
    sure = "it was" if full else "it may have been"
    return (
        f"{sure} at its limit of processes and threads: {seen}`processes` is {limits.processes}",
        "start fewer threads and workers (OMP_NUM_THREADS, the workers of a data loader); or raise "
        "`processes`",
    )


def size_text(size_bytes: int) -> str:
    """A size as a person would say it."""
    for factor, unit in _UNITS:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size_bytes} bytes"
