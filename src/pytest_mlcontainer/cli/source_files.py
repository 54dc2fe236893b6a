"""The source files of a project, as text, for whoever guesses from them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = (".", "src", "scripts", "app", "bin")
_NO_PROGRAMS = ("test", "tests", "doc", "docs", "example", "examples", "notebooks")
_DEEPEST_SCRIPT = 2
_OF_JUPYTER = re.compile(r"^\s*[%!].*$", re.MULTILINE)
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


def read_program(file: Path) -> str:
    """Its Python source, of a notebook that of all its cells; "" for what cannot be read."""
    text = read_source(file)
    if file.suffix != ".ipynb":
        return text
    try:
        cells = json.loads(text)["cells"]
        found = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return _OF_JUPYTER.sub("", "\n".join(found))


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


def scripts_elsewhere(root: Path) -> Iterator[Path]:
    """Python files in other folders, where none of the usual ones has a program."""
    usual = [Path(folder) for folder in _FOLDERS]
    for file in python_files(root):
        folder = file.relative_to(root).parent
        near = folder not in usual and len(folder.parts) <= _DEEPEST_SCRIPT
        if near and not set(folder.parts) & set(_NO_PROGRAMS):
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
