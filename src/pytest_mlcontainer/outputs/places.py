"""Names for outputs on this machine: harmless ones, that every file system takes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

# No `%` in it: names that are not plain get one, so that no two outputs share a file.
_PLAIN_NAME = re.compile(r"[\w.+=@,#~() -]{1,150}\Z")
_NAME_BYTES = 200  # of the 255 that file systems take
_PATH_BYTES = 1000  # of the 1024 that macOS takes
_FOLDERS = 64  # so that programs that hold each folder open on their way down can remove them


def find_place(name: str, into: Path, number: int) -> Path:
    """Where an output goes: under its own name where that is harmless, else under a safe one.

    The folder is made. What one container path after another makes of a name stays apart: a
    file where another output needs a folder, names that differ in case alone, and what a name
    stood for before.

    Args:
        number: another one for each call.

    Raises:
        OSError: the folder cannot be made.
    """
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    if len(parts) <= _FOLDERS:
        top = ["%root"] if name.startswith("/") else []
        place = into.joinpath(*top, *(_safe(part) for part in parts))
        if len(os.fsencode(place)) <= _PATH_BYTES:
            try:
                if not place.parent.is_dir():
                    place.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                pass
            else:
                if not os.path.lexists(place):
                    return place
    place = into / "%other" / f"{_digest(name)}-{number}"
    place.parent.mkdir(exist_ok=True)
    return place


def _safe(part: str) -> str:
    if _PLAIN_NAME.match(part) and (part.isascii() or len(os.fsencode(part)) <= _NAME_BYTES):
        return part
    shown = re.sub(r"[^\w.-]", "_", part)[:40].lstrip(".")
    return f"{shown}%{_digest(part)}"


def _digest(text: str) -> str:
    # Long enough that no two names with the same one can be searched for.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
