"""`read-only`: whether anything but outputs and /tmp can be written (`docker run --read-only`)."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container


def choose(situation: Situation) -> Choice:
    """A root file system that cannot be written to."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    if situation.facts.get("files.root_read_only") is True:
        return NotExercised("the root file system is read-only anyway")
    return Variation("read-only", "root", Knobs(read_only=True), ("files.root_read_only",))


FAMILY: Final = Family(
    "read-only",
    "whether its root file system can be written to",
    choose,
    hints=(
        r"\bos\.access\(|\bW_OK\b",
        r"\bexcept\b[^\n]*\b(?:OSError|PermissionError|IOError)\b",
        r"\bsuppress\([^\n]*\b(?:OSError|PermissionError|IOError)\b",
        r"\b(?:EROFS|EACCES)\b",
        r"\bcache_?(?:dir|path|file|folder)\b|\bCACHE(?:_DIR|_PATH|_FILE)?\b",
        r"\bMemory\(|\bcache\s*=\s*True|\bnumba\b",
        r"[\"']/(?:var|opt|srv|cache|data)/",
    ),
    weight=1.0,
    demanding=True,
)
