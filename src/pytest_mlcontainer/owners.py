"""Which process owns what: a pid alone is reused, a pid with its start time is not.

A session has one owner, the pytest that was started; under pytest-xdist its workers make things
too, each the maker of its own containers and processes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mlcontainer.model import Owner

# In the environment of every process that we start, and so of all that it starts in its turn.
MAKER_VARIABLE = "PYTEST_MLCONTAINER_MAKER"
_PROC = Path("/proc")


def current_owner(session: str) -> Owner:
    """This process as the owner of what `session` makes."""
    pid = os.getpid()
    return Owner(session, host_name(), pid, start_time(pid))


def this_maker() -> str:
    """This process as the maker of what it makes: its pid and start time."""
    pid = os.getpid()
    return f"{pid}:{start_time(pid)}"


def maker_lives(maker: str) -> bool:
    """Whether a process of this machine lives; `maker` as of `this_maker`."""
    pid, _colon, started = maker.partition(":")
    return pid.isdigit() and is_alive(int(pid), started)


def marked_processes(maker: str) -> tuple[int, ...]:
    """The processes of this user that `maker` has started, with their own children and theirs.

    They are known by a variable of their environment, which no death of a process between changes.
    """
    wanted = f"{MAKER_VARIABLE}={maker}"
    if not (_PROC / "self/environ").exists():
        return tuple(_marked_elsewhere(maker))
    found = []
    for folder in _PROC.glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or it is another user's
        if wanted.encode() in variables:
            found.append(int(folder.name))
    return tuple(found)


def host_name() -> str:
    """This machine's name, with its pid namespace: two CI containers may share a host name."""
    try:
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{namespace}"


def is_alive(pid: int, started: str) -> bool:
    """Whether the process that had this pid and start time still runs on this machine."""
    return bool(started) and start_time(pid) == started


def start_time(pid: int) -> str:
    """When a process started, as text that differs for a later process with the same pid.

    On Linux the kernel's clock ticks since boot and the boot's id, which no change of the wall
    clock moves; elsewhere the time of creation. Empty when there is no such process.
    """
    if not (_PROC / "self/stat").exists():
        return _creation_time(pid)
    try:
        # A command is any bytes, whatever the locale.
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field is the command in parentheses, which may hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    if fields[0] == "Z":
        return ""
    return f"{fields[19]}@{_boot_id()}"


def _marked_elsewhere(maker: str) -> Iterator[int]:
    import psutil  # installed where there is no /proc

    for process in psutil.process_iter():
        try:
            variables: Mapping[str, str] = process.environ()
        except (psutil.Error, OSError):
            continue
        if variables.get(MAKER_VARIABLE) == maker:
            yield process.pid


def _creation_time(pid: int) -> str:
    import psutil  # type: ignore[import-untyped,unused-ignore]  # installed where there is no /proc

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""
