"""Programs that are sent into images, as text, for whatever Python or shell is there.

They import the standard library alone, beside what the image's own program brings, and can be
parsed by Pythons from `OLDEST` on. In this process nothing of them is run but their constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

OLDEST: Final = (3, 6)


RECORDER: Final = "_recorder"  # private by name: it has no types, for old Pythons
_WATCHERS: Final = ("amd64", "arm64")


def recorder_files() -> dict[str, bytes]:
    """The recorder, by the paths in the folder that PYTHONPATH has to name."""
    top = resources.files(__name__).joinpath(RECORDER)
    return dict(sorted(_files_below(top, "")))


def _files_below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_file() and each.name.endswith(".py"):
            yield f"{prefix}{each.name}", each.read_bytes()
        elif each.is_dir() and each.name != "__pycache__":
            yield from _files_below(each, f"{prefix}{each.name}/")


def file_watcher(architecture: str) -> bytes | None:
    """The program that tells which files others open, for an architecture as OCI names it.

    None where there is none for it. `file_watcher/watcher.c` says what it does; it is compiled by
    `scripts/file_watcher.py`.
    """
    if architecture not in _WATCHERS:
        return None
    return resources.files(__name__).joinpath("file_watcher", architecture).read_bytes()


def source(name: str) -> str:
    """The text of a program, by its file's name."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
