"""Commands that install packages: which tool, and what it leaves behind."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.shell import CONDA, ShellCommand, shell_commands

_PIP: Final = re.compile(r"pip[\d.]*$")
# Options of pip's own that a value follows.
_PIP_VALUES: Final = frozenset(
    ("--timeout", "--retries", "--proxy", "--cert", "--log", "--python", "--trusted-host")
)
_PYTHON: Final = re.compile(r"python[\d.]*$")
_VALUE: Final = re.compile(r"-[a-zA-Z]*[rcifteptn]$")
_FLAG: Final = re.compile(
    r"--(upgrade|update-all|user|system|no-[\w-]+|pre|force|force-reinstall|reinstall|exact|all"
    r"|ignore-installed|quiet|verbose|yes|break-system-packages|use-[\w-]+|isolated|compile"
    r"|compile-bytecode|freeze-installed|override-channels|prefer-binary|require-hashes)$"
)
_NO_FLAG: Final = re.compile(r"--no-(binary|build-package|binary-package)$")


@dataclass(frozen=True)
class PackageCache:
    """Where a tool keeps what it downloads, and how that is switched off.

    Args:
        tool: as messages call it.
        folder: below the user's home.
        options: any of these switches it off, and so does any of the variables.
        places: variables that move it.
        cleaning: a command that empties it.
    """

    tool: str
    folder: str
    options: tuple[str, ...]
    variables: tuple[str, ...]
    places: tuple[str, ...]
    cleaning: tuple[str, ...]


PIP: Final = PackageCache(
    "pip", ".cache/pip", ("--no-cache-dir", "--no-cache"), ("PIP_NO_CACHE_DIR",),
    ("PIP_CACHE_DIR",), ("pip", "cache"),
)  # fmt: skip
UV: Final = PackageCache(
    "uv", ".cache/uv", ("--no-cache", "--no-cache-dir", "-n"), ("UV_NO_CACHE",), ("UV_CACHE_DIR",),
    ("uv", "cache"),
)  # fmt: skip
POETRY: Final = PackageCache(
    "Poetry", ".cache/pypoetry", ("--no-cache",), (), ("POETRY_CACHE_DIR",), ("poetry", "cache")
)
NPM: Final = PackageCache(
    "npm", ".npm", (), (), ("npm_config_cache", "NPM_CONFIG_CACHE"), ("npm", "cache")
)


def pip_arguments(command: ShellCommand) -> tuple[str, ...] | None:
    """What follows `pip install`; None for any other command. uv's is not this one."""
    rest = _after_pip(command)
    return rest[1:] if rest[:1] == ("install",) else None


def _after_pip(command: ShellCommand) -> tuple[str, ...]:
    """A command of pip and its arguments; () where it is not pip's."""
    words = command.words
    if _PYTHON.match(command.program) and words[1:3] == ("-m", "pip"):
        words = words[2:]
    elif not _PIP.match(command.program):
        return ()
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        takes_a_value = rest.pop(0) in _PIP_VALUES
        rest = rest[takes_a_value:]
    return tuple(rest)


def cache_of(command: ShellCommand) -> PackageCache | None:
    """The cache that a command fills; None where it installs nothing."""
    words = command.words
    if _after_pip(command)[:1] in (("install",), ("wheel",), ("download",)):
        return PIP
    if command.program == "uv":
        verbs = tuple(word for word in words[1:] if not word.startswith("-"))
        if verbs[:1] in (("sync",), ("add",)) or verbs[:2] in (("pip", "install"), ("pip", "sync")):
            return UV
    if command.program == "poetry" and any(word in ("install", "add") for word in words[1:3]):
        return POETRY
    if command.program == "npm" and words[1:2] in (("install",), ("i",), ("ci",)):
        return NPM
    return None


def is_conda_install(command: ShellCommand) -> bool:
    """Whether conda, or one of its like, installs packages."""
    if command.program not in CONDA:
        return False
    verbs = tuple(word for word in command.words[1:] if not word.startswith("-"))
    return verbs[:1] in (("install",), ("create",), ("update",)) or verbs[:2] in (
        ("env", "create"),
        ("env", "update"),
    )


def installs_paths_alone(each: Instruction) -> bool:
    """Whether all that pip installs in a RUN lies in the build, whose version nothing can name."""
    installs = [pip_arguments(command) for command in shell_commands(each)]
    named = [word for arguments in installs for word in named_words(arguments or ())]
    return bool(named) and all(re.match(r"\.{0,2}/|\.(\[|$)", word) for word in named)


def named_words(arguments: tuple[str, ...]) -> Iterator[str]:
    """Those that are neither options nor their values, up to a redirection."""
    before = ""
    for word in arguments:
        if re.fullmatch(r"\d?[<>]+.*", word):
            return
        if not word.startswith("-") and not _takes_a_value(before):
            yield word
        before = word


def _takes_a_value(option: str) -> bool:
    if option.startswith("--") and "=" not in option:
        return _FLAG.match(option) is None or _NO_FLAG.match(option) is not None
    return _VALUE.match(option) is not None


def installs_project(command: ShellCommand) -> bool:
    """Whether it installs all that a file of the project lists."""
    arguments = pip_arguments(command)
    if arguments is None and command.program == "uv" and cache_of(command) is UV:
        arguments = command.words[1:]
        if "sync" in arguments:
            return "--no-deps" not in arguments
    if arguments is not None:
        if "--no-deps" in arguments:
            return False
        listed = any(word in ("-r", "--requirement", "-e", "--editable") for word in arguments)
        return listed or any(re.match(r"-r\S|--requirement=|\.($|\[|/$)", w) for w in arguments)
    if command.program in CONDA:
        return is_conda_install(command) and command.has("-f", "--file")
    return command.program in ("poetry", "pdm", "pipenv") and any(
        word in ("install", "sync") for word in command.words[1:3]
    )


def lists(command: ShellCommand) -> bool:
    """Whether a file that a command names lists all that it installs."""
    listed = any(re.match(r"-r|--requirement", word) for word in command.words)
    return (not listed and is_conda_install(command)) or (
        listed and not any(re.match(r"\.($|\[|/)", word) for word in command.words[1:])
    )


def installs_folder_alone(command: ShellCommand) -> bool:
    """Whether what it installs is `.`, and no file that lists more."""
    arguments = pip_arguments(command) or ()
    named = [word for word in arguments if not word.startswith("-")]
    lists = any(re.match(r"-r|--requirement", word) for word in arguments)
    return not lists and bool(named) and all(word in (".", "./") for word in named)


def keeps_no_cache(
    command: ShellCommand,
    cache: PackageCache,
    instruction: Instruction,
    all_commands: tuple[ShellCommand, ...],
    known: dict[str, str],
) -> bool:
    """Whether nothing of a tool's cache is in the layer.

    Args:
        all_commands: of the same instruction, which may empty the cache.
        known: variables that are set there.
    """
    if command.has(*cache.options) or _only_local(command):
        return True
    if any(name in known or name in command.settings for name in cache.variables):
        return True
    place = next((known[name] for name in cache.places if name in known), "")
    above, _, last = cache.folder.rpartition("/")
    last = last.lstrip(".")
    names = (above or cache.folder, cache.folder, f"{last}-cache", f"cache/{last}")
    for mount in cache_mounts(instruction):
        if mount.endswith(names) or (place and place.startswith(mount)):
            return True
    return any(
        each.words[: len(cache.cleaning)] == cache.cleaning
        or (each.program == "rm" and any(_is_cache(word, cache, place) for word in each.words[1:]))
        for each in all_commands
    )


def _only_local(command: ShellCommand) -> bool:
    """Whether pip installs files of the build alone, also for what they depend on."""
    arguments = pip_arguments(command) or ()
    if "--no-index" in arguments:  # pip keeps what comes from a page of links, too
        return not any(re.search(r"(?<!file)://", word) for word in arguments)
    named = [word for word in arguments if not word.startswith("-")]
    local = all(word.startswith((".", "/")) or word.endswith(".whl") for word in named)
    return "--no-deps" in arguments and bool(named) and local and "://" not in " ".join(named)


def _is_cache(word: str, cache: PackageCache, place: str) -> bool:
    known = "cache" in word.lower() or word in ("/root/*", "~/*")
    return known or word.rstrip("/*").endswith(cache.folder) or bool(place and word == place)


def requires_something(folder: Path) -> bool | None:
    """Whether the project in a folder declares dependencies; None where there is no project."""
    texts = {}
    for name in ("pyproject.toml", "setup.py", "setup.cfg"):
        with suppress(OSError):
            texts[name] = (folder / name).read_text(encoding="utf-8", errors="replace")
    words = (
        r"(?m)^\s*dependencies\s*=|['\"]dependencies['\"]|^\s*\[tool\.poetry|install_requires|\*\*"
    )
    return any(re.search(words, text) for text in texts.values()) if texts else None


def is_mounted(instruction: Instruction, caches: tuple[str, ...]) -> bool:
    """Whether one of these folders lies in a cache mount of the instruction."""
    return any(
        posixpath.join(cache, "").startswith(posixpath.join(mount, ""))
        for cache in caches
        for mount in cache_mounts(instruction)
    )


def cache_mounts(instruction: Instruction) -> Iterator[str]:
    """Where the instruction has cache mounts."""
    for name, value in instruction.flags:
        if name != "mount":
            continue
        fields = dict(part.partition("=")[::2] for part in value.split(","))
        target = fields.get("target") or fields.get("dst") or fields.get("destination")
        if fields.get("type") == "cache" and target:
            yield target.rstrip("/") or "/"
