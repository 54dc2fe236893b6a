"""`workdir`: in which folder it works, with a copy there of all that was in the old one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container

_ELSEWHERE: Final = "/mlcontainer-elsewhere"
# They say where programs are found, and those stay where they were as well.
_PROGRAMS: Final = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT")


def choose(situation: Situation) -> Choice:
    """A folder that no project would be in, where nothing insists on the usual one."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    here = _here(situation)
    if here == "/":
        return NotExercised("the working directory is /, which cannot be copied")
    for what, text in _texts(situation):
        if _names(text, here):
            return NotExercised(f"{what} names {here}")
    if any(output.startswith("/") for output in situation.entry.outputs):
        return NotExercised("outputs are absolute paths")
    return Variation("workdir", _ELSEWHERE, Knobs(workdir=_ELSEWHERE), (f"folder={_ELSEWHERE}",))


def _here(situation: Situation) -> str:
    image = "/" if situation.image is None else situation.image.workdir
    return posixpath.normpath(posixpath.join("/", image, situation.entry.workdir or ""))


def _texts(situation: Situation) -> Iterator[tuple[str, str]]:
    """All that could name a folder of the container, and what it is."""
    entry, image = situation.entry, situation.image
    yield from (("the command", text) for text in entry.command)
    yield from (("the entrypoint", text) for text in entry.entrypoint or ())
    if image is not None and entry.entrypoint is None:
        yield from (("the image's entrypoint", text) for text in image.entrypoint)
        yield from (("the image's command", text) for text in image.command if not entry.command)
    for name, value in situation.present.items():
        if name not in _PROGRAMS:
            yield name, value
    yield from (("an input", path) for _project, path in entry.inputs if path.startswith("/"))
    yield from (("a writable folder", path) for path in entry.writable if path.startswith("/"))


def _names(text: str, folder: str) -> bool:
    """Whether the folder, or something in it, stands in the text as a path of its own."""
    return re.search(rf"(?<![\w./-]){re.escape(folder)}(?![\w.-])", text) is not None


FAMILY: Final = Family(
    "workdir",
    "the folder that it works in",
    choose,
    hints=(
        r"\bos\.getcwd\(|\bPath\.cwd\(|\bos\.chdir\(",
        r"\.resolve\(\s*\)|\.absolute\(\s*\)|\bos\.path\.(?:abspath|realpath)\(",
        r"\b__file__\b",
        r"\bsys\.(?:argv\[0\]|path)\b",
        r"\bos\.path\.getsize\(|\binspect\.get(?:file|sourcefile)\(",
        r"[\"']PWD[\"']",
    ),
    weight=1.0,
)
