"""Which lock of a project an image is held against, and which extras it is to have."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.dockerfile import parse_instructions, read_dockerfile
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.image_checks.environment.installed import normalised
from pytest_mlcontainer.image_checks.environment.lock_files import (
    UnreadableLockError,
    read_lock,
)
from pytest_mlcontainer.image_checks.environment.locks import Lock
from pytest_mlcontainer.image_checks.lint.installs import (
    cache_of,
    installs_project,
    is_conda_install,
    pip_arguments,
)
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands
from pytest_mlcontainer.model import Settings

_USUAL: Final = (
    "uv.lock",
    "poetry.lock",
    "pylock.toml",
    "pdm.lock",
    "Pipfile.lock",
    "requirements.lock",
    "requirements.txt",
)
_OWN: Final = {"poetry": "poetry.lock", "pdm": "pdm.lock", "pipenv": "Pipfile.lock"}
_OF_PROJECTS: Final = ("uv.lock", *_OWN.values())
_FILE_OPTIONS: Final = ("-r", "--requirement", "--requirements", "--file", "-f")
NO_LOCK: Final = (
    "there is no lock (uv.lock, poetry.lock, pylock.toml, pdm.lock, Pipfile.lock, or requirements "
    "with exact pins): only what packages require of one another was looked at"
)


@dataclass(frozen=True)
class ChosenLock:
    """The lock, or why there is none.

    Args:
        extras: those that the Dockerfile installs.
        note: what else there is, or why there is none.
        damaged: what comes before it and cannot be read: the file, and why.
    """

    lock: Lock | None = None
    extras: tuple[str, ...] = ()
    note: str = ""
    damaged: tuple[tuple[str, str], ...] = ()


def choose_lock(settings: Settings, named: str | None, *, built: bool) -> ChosenLock:
    """The lock that is named, else that which the Dockerfile installs, else the first there is.

    Args:
        built: whether the image is built from the Dockerfile.

    Raises:
        MlContainerError: the one that is named is not there, or is no lock.
    """
    commands = _commands(settings) if built else ()
    extras = tuple(dict.fromkeys(each for one in commands for each in _extras(one)))
    project = read_project(settings)
    if named is not None:
        file = settings.root / named
        if not file.is_file():
            what = "[tool.mlcontainer.image] environment.lock: no such file"
            raise MlContainerError(what, str(file), "name a lock, relative to pyproject.toml")
        return ChosenLock(_with_project(read_lock(file, named, project), project), extras)
    folders = dict.fromkeys((settings.root, settings.build.context))
    installed = dict.fromkeys(each for one in commands for each in _named(one))
    # What a project's own tool locks comes before lists, which may be those of that tool.
    installed = dict.fromkeys(sorted(installed, key=lambda name: name not in _OF_PROJECTS))
    files = _there((*installed, *_USUAL), folders)
    lists = _there((name for name in installed if name not in _OF_PROJECTS), folders)
    problems: list[str] = []
    damaged: list[tuple[str, str]] = []
    for file in files:
        place = _shown(file, settings.root)
        try:
            lock = _with_project(read_lock(file, place, project), project)
        except UnreadableLockError as error:
            damaged.append((place, error.value.removeprefix(f"{place}: ")))
            continue
        except MlContainerError as error:
            problems.append(f"{error.what}: {error.value}")
            continue
        if file in lists and len(lists) > 1:
            lock = replace(lock, complete=False)
        others = [_shown(each, settings.root) for each in files if each != file]
        note = f"held against {place}; not against {', '.join(others)}: name it by lock = …"
        return ChosenLock(lock, extras, note if others else "", tuple(damaged))
    note = "" if damaged else "; ".join([NO_LOCK, *problems])
    return ChosenLock(None, extras, note, tuple(damaged))


def _there(names: Iterable[str], folders: Iterable[Path]) -> tuple[Path, ...]:
    """Files of these names that there are, each once."""
    places = [folder / name for name in names for folder in folders]
    return tuple(dict.fromkeys(place for place in places if place.is_file()))


def read_project(settings: Settings) -> Mapping[str, Any]:
    """What the project's `pyproject.toml` holds; nothing where it cannot be read."""
    try:
        return tomllib.loads(settings.file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}


def project_requirements(project: Mapping[str, Any]) -> tuple[str, ...]:
    """What the project depends on, as pyproject.toml says by PEP 621."""
    listed = project.get("project", {}).get("dependencies", ())
    return tuple(str(each) for each in listed) if isinstance(listed, list) else ()


def _with_project(lock: Lock, project: Mapping[str, Any]) -> Lock:
    """The lock, which need not name the project itself."""
    name = project.get("project", {}).get("name")
    return replace(lock, own=lock.own | {normalised(name)}) if isinstance(name, str) else lock


def _commands(settings: Settings) -> tuple[ShellCommand, ...]:
    try:
        text = read_dockerfile(settings.build.dockerfile)
    except OSError:
        return ()
    return tuple(each for one in parse_instructions(text) for each in shell_commands(one))


def _named(command: ShellCommand) -> Iterator[str]:
    """Files that a command installs from, as names in the context."""
    if command.program == "uv" and "sync" in command.words[1:3]:
        yield from _files(command.words) or ("uv.lock",)
    elif command.program in _OWN and installs_project(command):
        yield _OWN[command.program]
    elif (
        is_conda_install(command)
        or pip_arguments(command) is not None
        or cache_of(command) is not None
    ):
        yield from _files(command.words)


def _files(words: Iterable[str]) -> tuple[str, ...]:
    found: list[str] = []
    listed = list(words)
    for at, word in enumerate(listed):
        if word in ("-r", "--requirement", "--requirements", "--file", "-f") and at + 1 < len(
            listed
        ):
            found.append(listed[at + 1])
        elif word.startswith("--requirement="):
            found.append(word.partition("=")[2])
    if listed[1:3] == ["pip", "sync"]:
        found += [word for word in listed[3:] if not word.startswith("-")]
    return tuple(each.removeprefix("./").lstrip("/") for each in found if "$" not in each)


def _extras(command: ShellCommand) -> Iterator[str]:
    if cache_of(command) is None and not installs_project(command):
        return
    if command.program == "pipenv" and command.has("--dev", "-d"):
        yield "develop"
    for at, word in enumerate(command.words[:-1]):
        if word in ("--extra", "--extras", "-E", "-G", "--group", "--with", "--categories"):
            yield from command.words[at + 1].replace(",", " ").split()
    for word in command.words:
        if word.startswith(("--extra=", "--extras=", "--group=", "--with=", "--categories=")):
            yield from word.partition("=")[2].replace(",", " ").split()


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
