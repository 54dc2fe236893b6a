"""Names for outputs on this machine: harmless ones, that every file system takes."""

from __future__ import annotations

import hashlib
import os
import re

# No `%` in it: names that are not plain get one, so that no two outputs share a file.
_PLAIN_NAME = re.compile(r"[\w.+=@,#~() -]{1,150}\Z")
_NAME_BYTES = 200  # of the 255 that file systems take
PATH_BYTES = 1000  # of the 1024 that macOS takes


def safe(part: str) -> str:
    if _PLAIN_NAME.match(part) and len(os.fsencode(part)) <= _NAME_BYTES:
        return part
    shown = re.sub(r"[^\w.-]", "_", part)[:40].lstrip(".")
    return f"{shown}%{digest(part)}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
