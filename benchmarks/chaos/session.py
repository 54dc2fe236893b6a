"""One pytest session in a folder of its own, and the processes that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos import project
from pytest_mlcontainer.owners import start_time

_MARKER = "MLCONTAINER_CHAOS"
_WATCHER = "pytest_mlcontainer.watcher"
_WORKER = "exec(eval("  # how execnet starts xdist's workers
_PROC = Path("/proc")


@dataclass(frozen=True)
class Place:
    """The folders of one trial.

    Args:
        token: names the project, and marks every process that its sessions start.
        shared: the folder of another place, whose cache and temporary folder it uses.
    """

    root: Path
    token: str
    shared: Path | None = None

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def temporary(self) -> Path:
        return (self.shared or self.root) / "tmp"

    @property
    def cache(self) -> Path:
        return (self.shared or self.root) / "cache"

    @property
    def printed(self) -> Path:
        return self.root / "printed.txt"

    @property
    def junit(self) -> Path:
        return self.root / "junit.xml"

    def make(self, *, tests: str | None = None, config: str | None = None) -> Place:
        """Make the folders, and write the project; see `project.write`."""
        for folder in (self.project, self.temporary, self.cache, self.root / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        project.write(self.project, self.token, tests=tests, config=config)
        return self

    def environ(self, engine: str | None = None) -> Mapping[str, str]:
        """The variables of a session here; nothing of it lies outside the trial's folder.

        Args:
            engine: address of the engine; None leaves it as it is.
        """
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        return kept | {
            _MARKER: self.token,
            "MLCONTAINER_CACHE_DIR": str(self.cache),
            "TMPDIR": str(self.temporary),
            "HOME": str(self.root / "home"),
            **({} if engine is None else {"DOCKER_HOST": engine}),
        }


class Session:
    """A running `pytest --container`.

    Args:
        arguments: further ones.
        before: what was on the engine without a label of ours when it began, all of it; None where
            others use the engine too, whose things cannot be told from what it leaves.
    """

    def __init__(
        self,
        place: Place,
        *arguments: str,
        engine: str | None = None,
        before: frozenset[str] | None = None,
    ) -> None:
        self.place = place
        self.before = before
        command = [sys.executable, "-m", "pytest", "--container", "-v", "-p", "no:cacheprovider"]
        command += ["-p", "no:randomly", f"--basetemp={place.root / 'basetemp'}"]
        command += [f"--junitxml={place.junit}", *arguments]
        with place.printed.open("ab") as printed:
            self._process = subprocess.Popen(
                command,
                cwd=place.project,
                env=dict(place.environ(engine)),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started = time.monotonic()
        self.pid = self._process.pid
        self.pid_start = start_time(self.pid)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def sleep_until(self, age_s: float) -> bool:
        """Wait for that moment of its life; returns whether it still lives then."""
        while self.exit_code is None and (left := age_s - self.age_s) > 0:
            time.sleep(min(left, 0.02))
        return self.exit_code is None

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code; None when it has not ended in time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL for pytest alone, as the kernel's OOM killer would send it."""
        self._process.kill()
        self._process.wait()

    def workers(self) -> tuple[int, ...]:
        """The pids of xdist's workers."""
        return tuple(pid for pid, words in processes(self.place.token) if _WORKER in words)

    def watchers(self) -> tuple[int, ...]:
        """The pids of the processes that clean up after this session."""
        return tuple(pid for pid, words in processes(self.place.token) if is_watcher(words))

    def failures(self) -> dict[str, str]:
        """The text of every item that failed, by its name."""
        try:
            tree = ElementTree.parse(self.place.junit)
        except (OSError, ElementTree.ParseError):
            return {}
        return {
            str(case.get("name")): f"{found.get('message') or ''}\n{found.text or ''}"
            for case in tree.iter("testcase")
            for found in (*case.findall("failure"), *case.findall("error"))
        }

    def printed(self) -> str:
        return self.place.printed.read_text(encoding="utf-8", errors="replace")


def processes(token: str) -> Iterator[tuple[int, str]]:
    """Pid and command of every living process that inherited the trial's mark."""
    mark = f"{_MARKER}={token}".encode()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ") if marked else b""
        except OSError:
            continue
        if marked:
            yield int(entry.name), words.decode("utf-8", "replace").strip()


def is_watcher(command: str) -> bool:
    return _WATCHER in command


def end_all(token: str) -> None:
    """SIGKILL for every process of a trial that is over."""
    for pid, _words in processes(token):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
