"""The control groups below which nodes keep their pods.

On machines with cgroup v1 each hierarchy gets a folder for each node. With cgroup v2, which was
not tried, there is one folder, and controllers have to be handed down to it: the root refuses that
where processes are in it and it is not the machine's true root (in a container, say).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from scripts.engine.daemons import remove_cgroups
from scripts.engine.problems import SetupError

ROOT = Path("/sys/fs/cgroup")
_WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_VANISH_S = 10


def of_node(ident: str, node: str) -> str:
    """A node's control group, as the kubelet is told it."""
    return f"/{ident}/{node}"


def make(ident: str, nodes: tuple[str, ...], root: Path = ROOT) -> None:
    """Make the nodes' control groups.

    Raises:
        SetupError: the kernel refuses.
    """
    try:
        if (root / "cgroup.controllers").exists():
            _make_v2(root, ident, nodes)
        else:
            _make_v1(root, ident, nodes)
    except OSError as error:
        raise SetupError(
            "The control groups of the nodes cannot be made",
            error,
            "Give this machine or container writable control groups (root, and for cgroup v2 a "
            "control group of its own), or set KUBECONFIG to a cluster that you have.",
        ) from error


def _make_v1(root: Path, ident: str, nodes: tuple[str, ...]) -> None:
    for hierarchy in sorted(root.iterdir()):
        # One that has no controllers: cgroup v2 beside v1, or a link to another.
        if hierarchy.name == "unified" or hierarchy.is_symlink():
            continue
        for group in (ident, *(f"{ident}/{node}" for node in nodes)):
            (hierarchy / group).mkdir(exist_ok=True)
            _inherit_cpus(hierarchy / group)


def _inherit_cpus(group: Path) -> None:
    """A new cpuset has no CPUs, and refuses processes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())


def _make_v2(root: Path, ident: str, nodes: tuple[str, ...]) -> None:
    top = root / ident
    for parent, names in ((root, [ident]), (top, nodes)):
        offered = (parent / "cgroup.controllers").read_text().split()
        handed_down = " ".join(f"+{name}" for name in _WANTED if name in offered)
        (parent / "cgroup.subtree_control").write_text(handed_down)
        for name in names:
            (parent / name).mkdir(exist_ok=True)


def end_all(ident: str) -> None:
    """Kill every process of every pod, and remove the control groups."""
    tops = (*ROOT.glob(ident), *ROOT.glob(f"*/{ident}"))
    until = time.monotonic() + _VANISH_S
    while any(top.exists() for top in tops) and time.monotonic() < until:
        for top in tops:
            _kill_in(top)
        remove_cgroups(ident)
        time.sleep(0.05)


def _kill_in(top: Path) -> None:
    for path in top.glob("**/cgroup.procs"):
        with suppress(OSError):
            for pid in path.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
