"""The programs of a project, as text: what a search reads to know what to suspect."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_SKIPPED: Final = {
    ".git", ".hg", ".venv", "venv", ".tox", ".nox", "__pycache__", "node_modules", "build", "dist",
    "tests", "test", "docs", "site-packages",
}  # fmt: skip
_SUFFIXES: Final = (".py", ".sh", ".r", ".R", ".jl", ".pyx")
_MOST_FILES = 400
_LARGEST_FILE_BYTES = 400_000

_FILE_TIMES = re.compile(r"\bos\.path\.get[mc]time\(|\bst_[mc]time(?:_ns)?\b")


def reads_file_times(root: Path) -> bool:
    """Whether a program of the project asks when a file was changed."""
    return any(_FILE_TIMES.search(text) for _name, text in read_sources(root))


def read_sources(root: Path) -> tuple[tuple[str, str], ...]:
    """Names and texts of a project's programs, as far as that is a moderate amount."""
    found = []
    for path in _programs(root):
        with suppress(OSError):
            if path.stat().st_size <= _LARGEST_FILE_BYTES:
                text = path.read_text(encoding="utf-8", errors="replace")
                found.append((path.relative_to(root).as_posix(), text))
        if len(found) == _MOST_FILES:
            break
    return tuple(found)


def _programs(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in _SKIPPED and name[0] != ".")
        for name in sorted(files):
            if name.endswith(_SUFFIXES):
                yield Path(folder, name)
