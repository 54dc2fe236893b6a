"""`file-order`: in which order a folder lists its files.

The order is a file system's own (POSIX.1-2017, `readdir`): another on overlayfs than on tmpfs, on
another storage driver, or after a copy. A preloaded library turns it round, which is an order that
some file system could have.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_preload
from pytest_mlcontainer.variations.preload import FILE_ORDER


def choose(situation: Situation) -> Choice:
    """The other way round."""
    missing = no_preload(situation)
    if missing is not None:
        return missing
    knobs = Knobs(env=((FILE_ORDER, "reverse"),), preload=True)
    return Variation("file-order", "reverse", knobs, ("files.listing",))


# Where a line sorts what it lists, the order is lost.
_UNSORTED: Final = r"^(?![^\n]*sorted\()[^\n]*"

FAMILY: Final = Family(
    "file-order",
    "the order in which folders list their files",
    choose,
    hints=(
        _UNSORTED + r"\b(?:listdir|scandir|list_files|listfiles)\(",
        _UNSORTED + r"(?<![\w])i?glob\(",
        _UNSORTED + r"\.(?:iterdir|rglob|walk|iterfiles)\(",
        _UNSORTED + r"\bload_files\(",
        _UNSORTED + r"\b(?:run|Popen|check_output|system)\([^\n]*\bfind\b",
        r"\b(?:TextLineDataset|FileDataset|DirectoryLoader)\(",
    ),
    weight=3.0,
)
