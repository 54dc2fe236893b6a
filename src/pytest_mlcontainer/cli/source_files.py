"""The source files of a project, as text, for whoever guesses from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = (".", "src", "scripts", "app", "bin")
_NOT_OURS = ("venv", "env", "node_modules", "__pycache__", "site-packages", "build", "dist")
_DEEPEST, _MOST_SOURCES = 6, 2000
_LARGEST_SOURCE_BYTES = 1_000_000


def read_source(file: Path) -> str:
    """Its text; "" for one that is too large, or cannot be read."""
    try:
        if file.stat().st_size > _LARGEST_SOURCE_BYTES:
            return ""
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def code_of(root: Path, target: str) -> str:
    """The source of `package.module:function`."""
    path = target.partition(":")[0].replace(".", "/")
    places = (f"{base}{path}{end}" for base in ("src/", "") for end in (".py", "/__init__.py"))
    return next((read_source(root / place) for place in places if (root / place).is_file()), "")


def script_files(root: Path) -> Iterator[Path]:
    """Files that may be started: Python ones, and ones without a suffix that begin with `#!`."""
    for folder in _FOLDERS:
        for file in sorted((root / folder).glob("*")):
            if file.is_file() and (
                file.suffix == ".py" or (not file.suffix and read_source(file).startswith("#!"))
            ):
                yield file


def python_files(root: Path) -> Iterator[Path]:
    """The project's Python files, the uppermost first; tests last, which name what they ask for."""
    found: list[Path] = []
    for name, folders, files in os.walk(root):
        folder = Path(name)
        depth = len(folder.relative_to(root).parts)
        folders[:] = sorted(
            each
            for each in folders
            if depth < _DEEPEST and not each.startswith(".") and each not in _NOT_OURS
        )
        found += (folder / file for file in sorted(files) if file.endswith(".py"))
        if len(found) > _MOST_SOURCES:
            break
    yield from sorted(found, key=lambda file: (_is_test(file.relative_to(root)), len(file.parts)))


def _is_test(file: Path) -> bool:
    return file.name.startswith("test_") or any(part in ("test", "tests") for part in file.parts)
