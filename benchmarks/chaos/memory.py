"""How much memory something takes on top of what its process holds already."""

from __future__ import annotations

from pathlib import Path

_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs: the peak becomes what is resident now
_KIBIBYTE = 1024


class PeakMemory:
    """The highest resident memory since this was made, above what was resident then.

    `getrusage` cannot say it: its peak is that of the process's whole life, and of the process
    that started it; a test's process has read a thousand other tests' outputs before.
    """

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
        self._at_start = _resident("VmRSS")

    def added_mib(self) -> int:
        """In MiB, rounded down."""
        return max(0, _resident("VmHWM") - self._at_start) // _KIBIBYTE


def _resident(field: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields[field].split()[0])
