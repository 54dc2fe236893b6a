"""What a run said at its end, and what it failed with."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_mlcontainer.model import Failure, Run

_EXITED = re.compile(r"exit(?:ed with)? code \d+.*", re.DOTALL)
_PRINTED_BYTES = 200_000


def printed(run: Run) -> str:
    """The end of what a run printed: that is where programs say how it went."""
    return f"{_text(run.stdout)}\n{_text(run.stderr)}"


def failure_line(failure: Failure) -> str:
    """What a run failed with, and the last thing that it said, in one line."""
    lines = [line.strip() for line in failure.value.splitlines() if line.strip()]
    exited = _EXITED.search(failure.what)
    what = exited[0] if exited else failure.what
    return f"{what}: {lines[-1]}" if lines else what


def _text(file: Path) -> str:
    with file.open("rb") as source:
        source.seek(0, 2)
        source.seek(max(0, source.tell() - _PRINTED_BYTES))
        return source.read().decode("utf-8", "replace")
