"""Which files a run opens: the program that watches is put in, and what it told is taken out.

The program lies in a volume and starts the run's own command; `inside/file_watcher/watcher.c` says
what it sees. What it tells is in a folder of the container; the run's record gets that.
"""

from __future__ import annotations

import posixpath
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.engines import Container
from pytest_mlcontainer.errors import EngineError, EngineLostError, OutputError
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, OutputLimits, collect_tar

WATCHER: Final = "/mlcontainer-watcher"
PROGRAM: Final = "watcher"
TOLD: Final = "/mlcontainer-opened"
OPENED: Final = "opened-files"
"""The file of a run's record with what the program told."""
_NAME: Final = "paths"
_BYTES: Final = 256 << 20
_KINDS: Final = frozenset("ox")


@dataclass(frozen=True)
class OpenedFiles:
    """What a run asked for by name.

    Args:
        paths: absolute, as they were asked for: neither normalised nor without links, and of files
            that do not exist, too.
        unseen: why that is not all; "" where it is.
    """

    paths: frozenset[str] = frozenset()
    unseen: str = ""


def watched_command() -> tuple[str, ...]:
    """What stands before a command that is watched."""
    return (posixpath.join(WATCHER, PROGRAM), posixpath.join(TOLD, _NAME))


def take_opened_files(container: Container, folder: Path) -> None:
    """What the program told, as `OPENED` in a run's record; nothing where it cannot be had.

    Raises:
        EngineLostError: the engine went away.
    """
    raw = folder / f"{OPENED}.raw"
    raw.mkdir()
    declared = DeclaredOutputs((posixpath.join(TOLD, _NAME),), "/")
    collected = Collected(allowance=OutputLimits(1, _BYTES))
    try:
        stream = container.get(TOLD)
        if stream is not None:
            with closing(stream):
                collect_tar(stream, TOLD, declared, raw, collected)
    except EngineLostError:
        raise
    except (EngineError, OutputError):
        return
    for output in collected.outputs.values():
        output.path.replace(folder / OPENED)
    shutil.rmtree(raw)


def read_opened_files(folder: Path) -> OpenedFiles:
    """What is known of the run with this record."""
    try:
        raw = (folder / OPENED).read_bytes()
    except OSError:
        return OpenedFiles(unseen="the program that watches has told nothing")
    *told, rest = raw.decode("utf-8", "surrogateescape").split("\0")
    if rest or not told:
        return OpenedFiles(unseen="the run was ended before all was told")
    reasons = [each[1:] for each in told if each.startswith("!")]
    return OpenedFiles(
        frozenset(each[1:] for each in told if each[:1] in _KINDS),
        _shown(reasons[0]) if reasons else "",
    )


def _shown(reason: str) -> str:
    word, _space, number = reason.partition(" ")
    if word == "errno":
        return f"the kernel does not let a program be watched (error {number} of seccomp)"
    return "it ran programs whose memory may not be read: as another user, or with set-user-ID"
