"""`mlcontainer init`: a first `[tool.mlcontainer]`, for the Dockerfile that is meant, written."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.init_table import propose
from pytest_mlcontainer.cli.project_commands import kind_of
from pytest_mlcontainer.config import load, parse_settings
from pytest_mlcontainer.dockerfile import parse_dockerfile, read_dockerfile
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.hooks import load_engines, schemes_of

_FOLDERS = ("docker", "dockerfiles")  # of a project with several
_OF_FOLDERS = ("Dockerfile", "*.Dockerfile", "Dockerfile.*", "*.dockerfile")
_PATTERNS = (
    "Dockerfile", "Containerfile", "*.Dockerfile", "Dockerfile.*",
    *(f"{folder}/{name}" for folder in _FOLDERS for name in _OF_FOLDERS[:3]), "*.dockerfile",
    *(f"{folder}/{_OF_FOLDERS[3]}" for folder in _FOLDERS),
)  # fmt: skip
_USUAL = ("Dockerfile", "Containerfile", "dockerfile")
_ANYWHERE = re.compile(r"(?i)(?:docker|container)file(?:[._-].+)?|.+\.dockerfile")
_NOT_OURS = ("venv", "env", "node_modules", "site-packages")
_DEEPEST, _MOST_SHOWN = 4, 5
_FILE = "pyproject.toml"


def init(folder: Path, *, only_print: bool, dockerfile: Path | None = None) -> int:
    """Write the table into the folder's `pyproject.toml`, or print it.

    Args:
        dockerfile: the one that is meant; None takes the one that is found.

    Raises:
        ConfigError: the file cannot be read, or has a table already that is wrong.
        MlContainerError: there is a table already, there is no Dockerfile, or the file cannot be
            written.
    """
    root = folder.resolve()
    file = root / _FILE
    before = _read(file)
    dockerfiles = _dockerfiles(root) if dockerfile is None else [_named(root, dockerfile)]
    table = propose(root, tomllib.loads(before.decode("utf-8-sig")), dockerfiles)
    text = _appended(before, table)
    _check(text, file)
    if only_print:
        print(table, end="")
        return 0
    try:
        file.write_bytes(text)
    except OSError as error:
        raise MlContainerError(
            f"{_FILE} cannot be written", f"{file} ({error.strerror})", "use --print and paste it"
        ) from error
    print(f"wrote [tool.mlcontainer] into {file}")
    for line in _next_steps(table):
        print(f"  {line}")
    return 0


def _next_steps(table: str) -> Iterator[str]:
    """What there is to do with a table that was just written."""
    unread = re.search(r"^# (\S+ is not read without (\S+\]))\.$", table, re.MULTILINE)
    if unread is not None:
        yield f"{unread[1]}: `pip install '{unread[2]}'`, remove the table, and write it again"
    if re.search(r"^\[tool\.mlcontainer\.entrypoints\.", table, re.MULTILINE):
        yield "read its comments; then `mlcontainer doctor`, and `pytest --container`"
    else:
        yield "no entrypoint is in it yet: its comments say why, and how to write one"


def _read(file: Path) -> bytes:
    """The file as it is; empty when there is none."""
    if not file.parent.is_dir():
        raise MlContainerError("there is no such folder", str(file.parent), "check the path")
    if not file.exists():
        return b""
    if load(file, machine(), schemes_of(load_engines)) is not None:
        raise MlContainerError(
            "there is a [tool.mlcontainer] already", str(file), "`mlcontainer doctor` checks it"
        )
    before = file.read_bytes()
    try:
        tomllib.loads(before.decode("utf-8-sig"))
    except ValueError as error:  # load parses only what speaks of us
        problem = MlContainerError(f"{_FILE}: not valid TOML", str(error), "correct the file")
        raise ConfigError(str(file), [problem]) from error
    return before


def _appended(before: bytes, table: str) -> bytes:
    """The file with the table at its end and everything before it untouched."""
    newline = "\r\n" if b"\r\n" in before else "\n"
    gap = b""
    if before:
        ends = before.endswith(b"\n")
        gap = (newline if ends else 2 * newline).encode()
    return before + gap + table.replace("\n", newline).encode()


def _check(text: bytes, file: Path) -> None:
    """Hold what would be written against the rules that a run reads it by."""
    try:
        document = tomllib.loads(text.decode("utf-8-sig"))
    except ValueError as error:
        raise MlContainerError(
            f"a table cannot be appended to {_FILE}",
            f"{file}: {error}",
            "use --print and put its keys where [tool] is",
        ) from error
    project = document.get("project", {})
    name = project.get("name", "") if isinstance(project, Mapping) else ""
    parse_settings(document["tool"]["mlcontainer"], file, machine(), str(name))


def _named(root: Path, dockerfile: Path) -> Path:
    """A Dockerfile that the user names, from here or from the project's folder."""
    for file in (root / dockerfile, dockerfile.absolute()):
        if file.is_file() and file.resolve().is_relative_to(root):
            return file.resolve()
    raise MlContainerError(
        "there is no such Dockerfile in the project", f"{dockerfile} in {root}", "check the path"
    )


def _dockerfiles(root: Path) -> list[Path]:
    found = [path for pattern in _PATTERNS for path in sorted(root.glob(pattern)) if path.is_file()]
    found = [path for path in dict.fromkeys(found) if path.suffix != ".dockerignore"]
    if not found or found[0].name not in _USUAL:
        # Docker itself looks for this one where there is no other.
        found = [path for path in (root / "dockerfile",) if path.is_file()] + found
    if not found:
        raise _no_dockerfile(root)
    if found[0].name in _USUAL:
        return found
    return sorted(found, key=_likely)


def _likely(dockerfile: Path) -> tuple[bool, bool]:
    """Of many, first one that runs, and rather the one that trains."""
    names = (dockerfile.name, dockerfile.parent.name)
    return not _starts_something(dockerfile), "train" not in map(kind_of, names)


def _starts_something(dockerfile: Path) -> bool:
    recipe = parse_dockerfile(read_dockerfile(dockerfile))
    return bool(recipe.entrypoint or recipe.command)


def _no_dockerfile(root: Path) -> MlContainerError:
    """With those that are elsewhere in the project: which of them is meant, nobody can guess."""
    where = f"in {root} and its folders docker/ and dockerfiles/"
    others = _elsewhere(root)
    if not others:
        remedy = "write one first: what is tested is the image that it makes"
        return MlContainerError("there is no Dockerfile", where, remedy)
    shown = ", ".join(others[:_MOST_SHOWN]) + (", …" if len(others) > _MOST_SHOWN else "")
    first = min((root / each for each in others), key=_likely).relative_to(root)
    there = f"cd {shlex.quote(first.parent.as_posix())} && mlcontainer init"
    here = f"mlcontainer init --dockerfile {shlex.quote(first.as_posix())}"
    if _is_of_its_folder(root, first):
        remedy = f"`{there}`, because it copies what lies beside it; or the same for another one"
    else:
        remedy = f"`{here}`, or `{there}` where that is a project of its own"
    return MlContainerError("there is no Dockerfile", f"{where}; elsewhere: {shown}", remedy)


def _is_of_its_folder(root: Path, dockerfile: Path) -> bool:
    """Whether a build of it needs its own folder as context: what it copies is there alone."""
    copied = parse_dockerfile(read_dockerfile(root / dockerfile)).copied
    named = [each for each in copied if each != "." and not set("*?[$:") & set(each)]
    beside = all((root / dockerfile.parent / each).exists() for each in named)
    return beside and not all((root / each).exists() for each in named)


def _elsewhere(root: Path) -> list[str]:
    """Dockerfiles further down, as paths from here, the uppermost first."""
    found: list[Path] = []
    for name, folders, files in os.walk(root):
        folder = Path(name).relative_to(root)
        deep = len(folder.parts) >= _DEEPEST
        folders[:] = [
            each
            for each in sorted(folders)
            if not (deep or each.startswith(".") or each in _NOT_OURS)
        ]
        found += (folder / file for file in sorted(files) if _ANYWHERE.fullmatch(file))
    return [each.as_posix() for each in sorted(found, key=lambda each: (len(each.parts), each))]
