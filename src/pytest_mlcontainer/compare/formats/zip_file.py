"""Zip archives, wheels and jars among them, as members."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO

from pytest_mlcontainer.compare.formats import archives
from pytest_mlcontainer.compare.formats.archives import (
    ArchiveMember,
    ArchiveMemberKind,
    Members,
    without_filled_folders,
)
from pytest_mlcontainer.compare.formats.kind import Format, begins
from pytest_mlcontainer.compare.formats.unpacking import CompareInside, Open, UnpackingBudget
from pytest_mlcontainer.compare.formats.zips import BAD_ZIP, has_directory, open_zip
from pytest_mlcontainer.compare.sources import CHUNK_BYTES, ComparedFile, UnreadableError

_ENCRYPTED = 0x1
_LONGEST_TARGET_BYTES = 4096
# zipfile unpacks all that it reads of these at once, so little of it is read at a time.
_SMALL_STEP_BYTES = 4096
_UNIX = 3


def format_of(inside: CompareInside, allowance: UnpackingBudget | None) -> Format:
    return Format(
        "zip",
        partial(archives.compare, open_members, inside, allowance),
        lambda side: begins(side, b"PK\x03\x04", b"PK\x05\x06") and has_directory(side),
        (".zip", ".whl", ".jar"),
        folds=True,
    )


@contextmanager
def open_members(side: ComparedFile, most_members: int) -> Iterator[Members]:
    """What is in the archive, by name; `most_members` at most."""
    with open_zip(side, "zip", most_members) as file:
        members: Members = {}
        for info in file.infolist():
            if info.filename in members:
                raise side.unreadable(
                    f"holds {info.filename!r} more than once, and readers disagree which one counts"
                )
            members[info.filename] = _member(file, info)
        yield without_filled_folders(members)


def _member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArchiveMember:
    open_member = partial(_open_member, file, info)
    bounded = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    step = CHUNK_BYTES if bounded else _SMALL_STEP_BYTES
    if info.filename.endswith("/"):  # `is_dir` fails for an empty name
        return ArchiveMember(ArchiveMemberKind.FOLDER, open_member, step)
    if info.create_system == _UNIX and stat.S_ISLNK(info.external_attr >> 16):
        return ArchiveMember(ArchiveMemberKind.LINK, open_member, step, _target(open_member, step))
    return ArchiveMember(ArchiveMemberKind.FILE, open_member, step)


def _target(open_member: Open, step: int) -> str:
    try:
        with open_member() as stream:
            return f"to {stream.read(min(step, _LONGEST_TARGET_BYTES))!r}"
    except UnreadableError as error:
        return f"that {error}"


@contextmanager
def _open_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    if info.flag_bits & _ENCRYPTED:
        raise UnreadableError("is encrypted, so nothing can be said of it; write it without")
    try:
        with file.open(info) as stream:
            yield stream
    except BAD_ZIP as error:
        raise UnreadableError(f"is damaged ({error or type(error).__name__})") from error
