"""Starting daemons, and ending exactly those: a pid alone may have been given to another."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .problems import SetupError

START_S = 60
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Daemon:
    """One process that we started: its pid, when it started, and in which boot."""

    pid: int
    started_ticks: int
    boot: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def daemon_from_json(value: object) -> Daemon | None:
    """The recorded daemon, or None when nothing usable was recorded."""
    try:
        return Daemon(**value) if isinstance(value, dict) else None
    except TypeError:
        return None


def parse_started_ticks(stat: str) -> int:
    """Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and brackets."""
    return int(stat.rpartition(")")[2].split()[19])


def parse_state(stat: str) -> str:
    """Field 3 of /proc/PID/stat: Z is a process that has ended already."""
    return stat.rpartition(")")[2].split()[0]


def identify(pid: int) -> Daemon | None:
    """The process that has this pid now, or None."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    if parse_state(stat) == "Z":
        return None
    return Daemon(pid, parse_started_ticks(stat), BOOT_ID.read_text().strip())


def is_running(daemon: Daemon | None) -> bool:
    """Whether this very process still runs, not another one with its pid."""
    return daemon is not None and identify(daemon.pid) == daemon


def start(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Daemon:
    """Start a daemon in a session of its own, so that Ctrl-C in the terminal does not end it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    daemon = identify(process.pid)
    # It outlives this program: without a status, Popen would warn that nobody waited for it.
    process.returncode = 0
    return daemon or Daemon(process.pid, -1, "")


def stop(daemon: Daemon | None, wait_s: float) -> None:
    """End the daemon, and its whole process group when it does not go in `wait_s` seconds."""
    if daemon is None or not is_running(daemon):
        return
    os.kill(daemon.pid, signal.SIGTERM)
    if not wait_gone(daemon, wait_s):
        os.killpg(daemon.pid, signal.SIGKILL)
        wait_gone(daemon, 5)


def wait_until(
    ready: Callable[[], bool], daemon: Daemon, log: Path, name: str, limit_s: float = START_S
) -> None:
    """Wait until a daemon that was started is of use.

    Raises:
        SetupError: it ended, or was not ready in time and is ended; its last lines are named.
    """
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if ready():
            return
        if not is_running(daemon):
            break
        time.sleep(0.05)
    stop(daemon, 5)
    words = last_words(log.read_text(errors="replace")) or "(no log)"
    raise SetupError(f"{name} did not start", words, f"Its whole log: {log}")


def last_words(log: str) -> str:
    """The last lines of a log before its end, or before the stack of what broke the program."""
    lines = log.splitlines()
    stacks = [i for i, line in enumerate(lines) if re.match(r"goroutine \d+ \[", line)]
    # Of several stacks, which follow one another, the first one's.
    end = stacks[0] if stacks else len(lines)
    return "\n".join(lines[max(0, end - 8) : end]).strip()


def wait_gone(daemon: Daemon, wait_s: float) -> bool:
    """Wait until a process has ended; False when it still runs after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(daemon.pid, os.WNOHANG)
        if not is_running(daemon):
            return True
        time.sleep(0.05)
    return False


def running_with(program: str, argument: str) -> tuple[Daemon, ...]:
    """Processes of this program that were started with exactly this argument."""
    return _matching(
        lambda given: (
            given[0].rpartition(b"/")[2] == os.fsencode(program) and os.fsencode(argument) in given
        )
    )


def started_with(*arguments: str) -> tuple[Daemon, ...]:
    """Processes of any program that were started with exactly one of these arguments."""
    wanted = {os.fsencode(argument) for argument in arguments}
    return _matching(lambda given: not wanted.isdisjoint(given))


def _matching(is_wanted: Callable[[list[bytes]], bool]) -> tuple[Daemon, ...]:
    """Processes whose program and arguments are wanted, but never this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            given = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        daemon = identify(int(entry.name)) if is_wanted(given) else None
        if daemon is not None:
            found.append(daemon)
    return tuple(found)


def children_of(pid: int) -> tuple[int, ...]:
    """Pids of a process's children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return ()
    return tuple(int(child) for child in text.split())


def program_runs(program: str) -> bool:
    """Whether any process runs this program."""
    for entry in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if entry.read_text(errors="replace").rstrip("\n") == program:
                return True
    return False


def end_containers(containerd_socket: Path) -> None:
    """Kill the containers of a dockerd that is about to stop, which else waits for each."""
    for shim in running_with("containerd-shim-runc-v2", str(containerd_socket)):
        for pid in children_of(shim.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def end_orphans(containerd_socket: Path) -> None:
    """End the shims and containers that a killed dockerd left, found by its socket's path."""
    end_containers(containerd_socket)
    for shim in running_with("containerd-shim-runc-v2", str(containerd_socket)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(shim.pid, signal.SIGKILL)
