"""A directory that holds everything of one engine, or cluster: its lock, its state, its names."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from .problems import SetupError, say

# A unix socket's path has at most this many bytes.
MAX_SOCKET_PATH = 107
# What the names of all that an engine, or a cluster, makes outside its directory begin with.
ENGINE_PREFIX, CLUSTER_PREFIX = "mlc-", "mlk-"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class StateFolder:
    """What engines and clusters have in common: all of one follows from the directory `base`."""

    base: Path

    # The environment variable that names another directory, and what messages call its owner.
    variable: ClassVar[str]
    owner: ClassVar[str]
    # Its presence says that a directory is ours, and `down` may delete it.
    marker: ClassVar[str]
    prefix: ClassVar[str]
    # The longest of the sockets' paths below `base`.
    longest_socket: ClassVar[str]

    @property
    def ident(self) -> str:
        """Names what lies outside `base` (bridge, cgroup, rules): two clones must not collide."""
        return self.prefix + hashlib.sha256(os.fsencode(self.base)).hexdigest()[:8]

    @property
    def state_file(self) -> Path:
        return self.base / "state.json"

    @property
    def logs(self) -> Path:
        return self.base / "logs"


def chosen_base(kind: type[StateFolder], environ: Mapping[str, str], default: str) -> Path:
    """The directory that the environment names, or `default` beside the scripts' folder.

    Raises:
        SetupError: its path is too long for the sockets in it.
    """
    chosen = environ.get(kind.variable)
    base = Path(chosen).resolve() if chosen else REPOSITORY / default
    longest = len(os.fsencode(base)) + len(kind.longest_socket)
    if longest > MAX_SOCKET_PATH:
        raise SetupError(
            f"The {kind.owner}'s directory has too long a path for unix sockets",
            base,
            f"Set {kind.variable} to one at least {longest - MAX_SOCKET_PATH} bytes shorter.",
        )
    return base


def read_state(folder: StateFolder) -> dict[str, Any]:
    """What earlier runs recorded; an unreadable file counts as none."""
    try:
        state = json.loads(folder.state_file.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(folder: StateFolder, state: Mapping[str, Any]) -> None:
    """Replace the state file in one step, so that a killed run leaves the old or the new one."""
    write_whole(folder.state_file, json.dumps(state, indent=1, sort_keys=True) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(path)


def check_ours(folder: StateFolder) -> None:
    """Refuse a directory that holds something else: `down` deletes the whole of it."""
    used = folder.base.exists() and any(folder.base.iterdir())
    if used and not (folder.base / folder.marker).exists():
        raise SetupError(
            f"{folder.variable} is in use for something else",
            folder.base,
            "Name a directory that is empty or does not exist.",
        )


@contextmanager
def only_one(folder: StateFolder) -> Iterator[None]:
    """Hold the directory's lock: two runs at once follow one another.

    Raises:
        SetupError: the directory holds something that is not ours.
    """
    check_ours(folder)
    with locked(folder.base / folder.marker, f"another run that works on this {folder.owner}"):
        yield


@contextmanager
def locked(path: Path, whom: str) -> Iterator[int]:
    """Hold a lock file, whose descriptor this yields; `whom` is who is waited for, in words.

    The file may lie in a directory that its holder deletes, so whoever waited for a file that
    is gone starts over with the new one.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for {whom}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                current = path.stat().st_ino == os.fstat(lock.fileno()).st_ino
            except FileNotFoundError:
                current = False
            if current:
                yield lock.fileno()
                return
