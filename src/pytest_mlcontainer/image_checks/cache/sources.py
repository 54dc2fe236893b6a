"""A copy of a build context, in which one source file can be changed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.globs import covers
from pytest_mlcontainer.model import Settings

# Files of which a comment changes nothing but their bytes; to all others white space is added.
_COMMENTED: Final = (".py", ".sh", ".r", ".jl", ".toml", ".yaml", ".yml", ".cfg")
_NO_SOURCES: Final = ("setup.py", "conftest.py", "noxfile.py", "__init__.py")
_WORD_BYTES: Final = 32


def copy_context(context: Path, names: Iterable[str], folder: Path) -> tuple[str, ...]:
    """Put the files of a context into a folder; large ones as links to the same bytes.

    Args:
        names: of its files, with slashes.

    Raises:
        OSError: a file cannot be read.
    """
    copied = tuple(names)
    for name in copied:
        source, target = context / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_symlink():
            with suppress(OSError):
                os.link(source, target)
                continue
        shutil.copy2(source, target, follow_symlinks=False)
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            shutil.copymode(context / path.relative_to(folder), path)
    return copied


def make_named_folders(context: Path, instructions: Iterable[Instruction], folder: Path) -> None:
    """Make the folders that COPY names and that have no file in the copy."""
    for each in instructions:
        for source in each.copied[0]:
            if (context / source).is_dir() and ".." not in PurePosixPath(source).parts:
                (folder / source).mkdir(parents=True, exist_ok=True)


def sources(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Files that are changed every day, the likeliest first: scripts of entrypoints, then others.

    Args:
        names: of the context's files.
    """
    there = {name for name in names if name.endswith(".py")}
    root = settings.root
    prefix = ""
    if root != settings.build.context and root.is_relative_to(settings.build.context):
        prefix = root.relative_to(settings.build.context).as_posix() + "/"
    for entry in settings.entrypoints:
        for word in entry.command:
            name = PurePosixPath(word).as_posix().lstrip("/")
            yield from (each for each in (f"{prefix}{name}", name) if each in there)
    others = (name for name in there if PurePosixPath(name).name not in _NO_SOURCES)
    yield from sorted(others, key=lambda name: (_is_test(name), name.count("/"), name))


def _is_test(name: str) -> bool:
    return any(part.startswith("test") for part in PurePosixPath(name).parts)


def is_copied(name: str, instructions: Iterable[Instruction]) -> bool:
    """Whether a COPY or ADD takes a file of the context."""
    return any(takes(each, name) for each in instructions)


def takes(instruction: Instruction, name: str) -> bool:
    """Whether it takes a file of the context along: COPY, ADD, or RUN with a bind mount of it."""
    sources = [*instruction.copied[0], *_mounted(instruction)]
    for source in sources:
        source = source.strip("/") or "."
        if source == "." or name == source or name.startswith(f"{source}/"):
            return not _is_excluded(instruction, name)
        if set("*?[") & set(source) and covers(source, name):
            return not _is_excluded(instruction, name)
    return False


def _is_excluded(instruction: Instruction, name: str) -> bool:
    patterns = (value for flag, value in instruction.flags if flag == "exclude")
    return any(covers(each, name) for each in patterns)


def _mounted(instruction: Instruction) -> Iterator[str]:
    """What RUN mounts of the context."""
    for flag, value in instruction.flags:
        fields = dict(part.partition("=")[::2] for part in value.split(","))
        if flag == "mount" and fields.get("type", "bind") == "bind" and "from" not in fields:
            yield fields.get("source") or fields.get("src") or "."


def touch(file: Path) -> None:
    """Change the bytes of a file and nothing that it means, as never before.

    Raises:
        OSError: it cannot be written.
    """
    mark = uuid.uuid4()
    if file.suffix.lower() in _COMMENTED:
        added = f"\n# {mark}\n".encode()
    else:  # white space in a pattern of its own
        bits = bin(mark.int)[2:].zfill(128)[: _WORD_BYTES * 4]
        added = b"\n" + "".join(" " if bit == "0" else "\n" for bit in bits).encode() + b"\n"
    content, mode = file.read_bytes(), file.stat().st_mode
    file.unlink()  # its bytes may be those of the project's own file
    file.write_bytes(content + added)
    file.chmod(mode)
