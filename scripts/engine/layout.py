"""Where everything of one private engine lies; all of it follows from one directory."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problems import SetupError, say

STORES = ("containerd", "overlay2")
# A unix socket's path has at most 107 bytes, and containerd appends this much to ours.
LONGEST_SOCKET = "/exec/containerd/containerd-debug.sock"
MAX_SOCKET_PATH = 107
# Its presence says that a directory is a private engine's, which `down` may delete.
MARKER = "engine.lock"


@dataclass(frozen=True)
class Layout:
    """The paths and names of the private engine in `base`."""

    base: Path

    @property
    def ident(self) -> str:
        """Names what lies outside `base` (bridge, cgroup, rules): two clones must not collide."""
        return "mlc-" + hashlib.sha256(os.fsencode(self.base)).hexdigest()[:8]

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def cdi(self) -> Path:
        return self.base / "cdi"

    @property
    def bin(self) -> Path:
        return self.base / "bin"

    @property
    def socket(self) -> Path:
        return self.base / "docker.sock"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def exec_root(self) -> Path:
        return self.base / "exec"

    @property
    def containerd_socket(self) -> Path:
        return self.exec_root / "containerd" / "containerd.sock"

    @property
    def registry_data(self) -> Path:
        return self.base / "registry"

    @property
    def state_file(self) -> Path:
        return self.base / "state.json"

    @property
    def logs(self) -> Path:
        return self.base / "logs"

    def data_root(self, store: str) -> Path:
        return self.base / f"data-{store}"


def layout_from(environ: Mapping[str, str]) -> Layout:
    """The engine's directory: ENGINE_DIR, or .engine beside the scripts' folder."""
    chosen = environ.get("ENGINE_DIR")
    repository = Path(__file__).resolve().parent.parent.parent
    base = Path(chosen).resolve() if chosen else repository / ".engine"
    longest = len(os.fsencode(base)) + len(LONGEST_SOCKET)
    if longest > MAX_SOCKET_PATH:
        raise SetupError(
            "The engine's directory has too long a path for unix sockets",
            base,
            f"Set ENGINE_DIR to one at least {longest - MAX_SOCKET_PATH} bytes shorter.",
        )
    return Layout(base)


def store_from(environ: Mapping[str, str]) -> str | None:
    """The image store asked for with ENGINE_STORE, or None when none was named."""
    store = environ.get("ENGINE_STORE")
    if store and store not in STORES:
        raise SetupError("Unknown ENGINE_STORE", store, f"Use one of: {', '.join(STORES)}.")
    return store or None


def read_state(layout: Layout) -> dict[str, Any]:
    """What earlier runs recorded; an unreadable file counts as none."""
    try:
        state = json.loads(layout.state_file.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(layout: Layout, state: Mapping[str, Any]) -> None:
    """Replace the state file in one step, so that a killed run leaves the old or the new one."""
    write_whole(layout.state_file, json.dumps(state, indent=1, sort_keys=True) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(path)


def check_ours(layout: Layout) -> None:
    """Refuse a directory that holds something else: `down` deletes the whole of it."""
    used = layout.base.exists() and any(layout.base.iterdir())
    if used and not (layout.base / MARKER).exists():
        raise SetupError(
            "ENGINE_DIR is in use for something else",
            layout.base,
            "Name a directory that is empty or does not exist.",
        )


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the engine's lock: two runs at once follow one another.

    The lock file lies in the directory that `down` deletes, so whoever waited for a file that
    is gone starts over with the new one.
    """
    check_ours(layout)
    path = layout.base / MARKER
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another run that works on this engine")
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                current = path.stat().st_ino == os.fstat(lock.fileno()).st_ino
            except FileNotFoundError:
                current = False
            if current:
                yield
                return
