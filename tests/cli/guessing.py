"""Projects that are written down in a test, and what `init` guesses of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_mlcontainer.cli.guessed_entrypoint import Guess
from pytest_mlcontainer.cli.guesses import Guesses, guess_entrypoints
from pytest_mlcontainer.dockerfile import parse_dockerfile

ALL = "FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\n"


def guesses(
    root: Path, dockerfile: str, files: dict[str, str], document: dict[str, Any] | None = None
) -> Guesses:
    """All that is guessed of a project with these files; `document` is its pyproject.toml."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return guess_entrypoints(root, document or {}, parse_dockerfile(dockerfile))


def guessed(
    root: Path, dockerfile: str, files: dict[str, str], document: dict[str, Any] | None = None
) -> dict[str, Guess]:
    """The entrypoints by their names."""
    found = guesses(root, dockerfile, files, document)
    return {guess.name: guess for guess in found.entrypoints}
