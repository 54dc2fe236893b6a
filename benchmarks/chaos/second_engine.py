"""A private engine of the suite's own, which may be killed: the one that others use never is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from benchmarks.chaos.bystanders import BASE
from pytest_mlcontainer.engines.docker.connect import open_client

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "engine"
_SHARED = Path(__file__).resolve().parents[2] / ".engine"
_START_S = 900.0  # the very first one fetches its programs
_STOP_S = 30.0


@dataclass(frozen=True)
class SecondEngine:
    """The engine in `folder`, as `scripts/engine` sets it up there."""

    folder: Path

    @property
    def address(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    def up(self) -> None:
        """Set it up, or start it again after `kill`."""
        self._script("up")

    def kill(self, number: signal.Signals) -> None:
        """Send dockerd a signal and wait until it is gone."""
        state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        pid = int(state["dockerd"]["pid"])
        os.kill(pid, number)
        deadline = time.monotonic() + _STOP_S
        while _runs(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def client(self) -> docker.APIClient:
        return open_client(self.address, os.environ)

    def down(self) -> None:
        """Remove it with all that it holds."""
        self._script("down")

    def _script(self, command: str) -> None:
        environ = {**os.environ, "ENGINE_DIR": str(self.folder)}
        done = subprocess.run(
            [sys.executable, str(_SCRIPTS), command],
            env=environ,
            capture_output=True,
            text=True,
            timeout=_START_S,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the second engine: {command} fails:\n{done.stderr[-2000:]}")


@contextmanager
def second_engine() -> Iterator[SecondEngine]:
    """Set one up with the base image in it, and remove it at the end.

    Raises:
        RuntimeError: this machine cannot have one; the message says what it would need.
    """
    # Sockets have short paths, so it lies in /tmp itself.
    folder = Path(tempfile.mkdtemp(prefix="mlc-chaos-", dir="/tmp"))
    engine = SecondEngine(folder)
    try:
        _reuse_programs(folder)
        engine.up()
        client = engine.client()
        client.pull(BASE)
        client.close()
        yield engine
    finally:
        engine.down()


def _reuse_programs(folder: Path) -> None:
    """Take programs and base images from the repository's own private engine where it has them."""
    if not (_SHARED / "root" / "complete").exists():
        return
    (folder / "engine.lock").touch()
    for name in ("root", "bin"):
        (folder / name).symlink_to((_SHARED / name).resolve())
    if (_SHARED / "bases.json").exists() and (_SHARED / "registry").exists():
        shutil.copytree(_SHARED / "registry", folder / "registry")
        shutil.copyfile(_SHARED / "bases.json", folder / "bases.json")


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
