"""What a reader may take: memory, time, and how many of them there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 1 << 30
_LEAST_BYTES: Final = 2 * GIB
_SHARE: Final = 2  # half of the machine's memory is for readers
_UNKNOWN_BYTES: Final = 8 * GIB
_CGROUP: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class ReaderLimits:
    """The limits of reader processes.

    Args:
        readers: how many of them work at one time.
        memory_bytes: what each may allocate; files that it maps do not count.
        base_s, bytes_per_s: wall clock for a pair: `base_s`, and its bytes at that pace. A pace of
            5 MB/s is a tenth of what the slowest reader, that of JSON, does on an old core.
        start_s: wall clock for a process to start.
    """

    readers: int = 1
    memory_bytes: int = _LEAST_BYTES
    base_s: float = 60.0
    bytes_per_s: float = 5e6
    start_s: float = 60.0

    def seconds_for(self, size_bytes: int) -> float:
        """How long a pair of so many bytes may take."""
        return self.base_s + size_bytes / self.bytes_per_s


def limits_of(cores: int, memory_bytes: int, processes: int = 1) -> ReaderLimits:
    """The limits on a machine: a reader a core, and half of the memory for all of them together.

    A reader gets 2 GiB at least, so that where memory is short there are fewer of them.

    Args:
        processes: of pytest that share the machine, as with pytest-xdist.
    """
    room = memory_bytes // _SHARE // max(1, processes)
    readers = max(1, min(cores // max(1, processes), room // _LEAST_BYTES))
    return ReaderLimits(readers, max(_LEAST_BYTES, room // readers))


def machine_limits(processes: int = 1) -> ReaderLimits:
    """The limits on this machine."""
    return limits_of(_cores(), _memory_bytes(), processes)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    """What the machine has, or the container around this process lets it have."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        found = _UNKNOWN_BYTES
    for file in _CGROUP:
        try:
            found = min(found, int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # "max", or another version of cgroups
    return found
