"""Walks a folder of this machine from the top down, to any depth, without following links."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

_DEEPEST = 256
_MOST_NAMES = 1_000_000  # of one folder
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Between the look and the opening a file may have become a link, or a pipe that blocks.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True)
class FolderEntry:
    """A file, folder or link that a walk came to; `folder` is the open descriptor of its parent.

    Args:
        path: absolute.
    """

    path: Path
    folder: int
    status: os.stat_result

    def open(self) -> IO[bytes]:
        return os.fdopen(os.open(self.path.name, _FILE, dir_fd=self.folder), "rb")

    def readlink(self) -> str:
        return os.readlink(self.path.name, dir_fd=self.folder)


def walk(base: Path, refuse: Callable[[str], None]) -> Iterator[FolderEntry]:
    """`base` itself, if it is there, and everything in it, folders before what is in them."""
    try:
        above = os.open(base.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        status = os.stat(base.name, dir_fd=above, follow_symlinks=False)
        yield FolderEntry(base, above, status)
        if stat.S_ISDIR(status.st_mode):
            top = os.open(base.name, _FOLDER, dir_fd=above)
            try:
                yield from _walk_below(base, top, refuse)
            finally:
                os.close(top)
    except PermissionError as error:
        refuse(f"{base}: cannot be read ({error.strerror})")
    except (FileNotFoundError, NotADirectoryError):
        return
    finally:
        os.close(above)


def _walk_below(base: Path, top: int, refuse: Callable[[str], None]) -> Iterator[FolderEntry]:
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        folder = base.joinpath(*parts)
        if len(parts) > _DEEPEST:
            refuse(f"{folder}: lies in more than {_DEEPEST} folders")
            continue
        try:
            with _opened(top, parts) as number:
                inner = []
                for found in _entries(folder, number):
                    if stat.S_ISDIR(found.status.st_mode):
                        inner.append((*parts, found.path.name))
                    yield found
        except PermissionError as error:
            refuse(f"{folder}: cannot be read ({error.strerror})")
        except (FileNotFoundError, NotADirectoryError):
            continue
        else:
            waiting += reversed(inner)


def _entries(folder: Path, number: int) -> Iterator[FolderEntry]:
    with os.scandir(number) as entries:
        names = sorted(entry.name for entry in islice(entries, _MOST_NAMES))
    for name in names:
        try:
            status = os.stat(name, dir_fd=number, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield FolderEntry(folder / name, number, status)


@contextmanager
def _opened(top: int, parts: tuple[str, ...]) -> Iterator[int]:
    """A folder below another, reached through folders alone: no link on the way is followed."""
    number = os.dup(top)
    try:
        for part in parts:
            inner = os.open(part, _FOLDER, dir_fd=number)
            os.close(number)
            number = inner
        yield number
    finally:
        os.close(number)
