"""What only one of two runs printed of an exception or a warning.

A program that catches an exception, logs it and goes on with something else succeeds, and drifts:
what it logged says why.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pytest_mlcontainer.model import Run
from pytest_mlcontainer.wording import truncate

_TAIL_BYTES: Final = 1 << 18
_SHOWN: Final = 160
_RAISED: Final = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt|Exit): .+")
_WARNED: Final = re.compile(r"^\S.{0,300}?:[0-9]+: (?=(?:\w+\.)*\w*Warning: )")
_VARYING: Final = re.compile(r"0x[0-9a-f]+|[0-9]+|/tmp/\S+")


def logged_by_one(actual: Run, expected: Run) -> tuple[str, ...]:
    """A note for each side whose last exception, or else warning, the other did not print."""
    sides = tuple(_raised(run) for run in (actual, expected))
    found = []
    for name, mine, theirs in zip(_names(actual, expected), sides, sides[::-1], strict=True):
        alone = [line for kind, line in mine.items() if kind not in theirs]
        worst = [line for line in alone if "Warning: " not in line] or alone
        if worst:
            said = truncate(worst[-1], _SHOWN)
            found.append(f"only {name} printed, and went on: {said}")
    return tuple(found)


def _names(actual: Run, expected: Run) -> tuple[str, str]:
    if actual.target.variations:
        return "the varied run", "the run with nothing varied"
    platforms = str(actual.target.platform), str(expected.target.platform)
    return platforms if platforms[0] != platforms[1] else ("this run", "the other one")


def _raised(run: Run) -> dict[str, str]:
    """Exceptions and warnings as they were printed, by what is the same of them in every run."""
    found: dict[str, str] = {}
    for file in (run.stdout, run.stderr):
        for line in _last_lines(file):
            line = _WARNED.sub("", line)
            if _RAISED.match(line):
                found[_VARYING.sub("", line)] = line
    return found


def _last_lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        return stream.read().decode("utf-8", "replace").splitlines()
