"""The programs of the private engine, unpacked from packages below `.engine/root`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import network
from .emulation import foreign, native
from .layout import Layout
from .packages import Apt, Selection, empty, unpack_selection
from .problems import SetupError, say

# Debian 12's own docker.io is 20.10 and has no buildx; these releases' packages need no newer
# libc than Debian 12 has. Every other release takes its own.
FROM_OTHER_RELEASE = {
    "bookworm": {
        "docker.io": "forky",
        "docker-cli": "forky",
        "docker-buildx": "forky",
        "tini-static": "forky",
        "containerd": "trixie",
    }
}
PROGRAMS = (
    *("docker.io", "docker-cli", "docker-buildx", "tini-static", "containerd", "runc"),
    *("docker-registry", "iptables", "iproute2"),
)
# qemu-user-static became a name for qemu-user in newer releases; whichever has the program.
QEMU = ("qemu-user-static", "qemu-user")
LIBRARIES = (
    *("libseccomp2", "libip4tc2", "libip6tc2", "libxtables12", "libnftnl11", "libmnl0"),
    *("libnetfilter-conntrack3", "libnfnetlink0", "libbpf1", "libelf1", "libelf1t64"),
    *("libbsd0", "libmd0", "libcap2", "libtirpc3", "libtirpc3t64"),
)
LINKED = (
    *("dockerd", "docker", "docker-proxy", "docker-init", "docker-buildx", "containerd", "ctr"),
    *("containerd-shim-runc-v2", "runc", "docker-registry"),
)
CHECKED = ("dockerd", "docker", "containerd", "runc", "docker-registry", "iptables", "ip")
FOLDERS = (
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
    "usr/libexec/docker/cli-plugins",
    "usr/libexec/docker",
)


def install(layout: Layout, codename: str) -> None:
    """Fetch and unpack the programs, unless an earlier run did; complete or not at all."""
    if (layout.root / "complete").exists() and (layout.bin / "dockerd").exists():
        return
    say("fetching Docker Engine, containerd, runc, buildx, registry and qemu as packages")
    apt = Apt(layout.base / "apt-tools", native().debian)
    releases = FROM_OTHER_RELEASE.get(codename, {})
    root = layout.base / "root.new"
    selection = Selection((*PROGRAMS, *QEMU), LIBRARIES, releases)
    unpack_selection(selection, apt, codename, root)
    (root / "complete").touch()
    shutil.rmtree(layout.root, ignore_errors=True)
    root.rename(layout.root)
    shutil.rmtree(apt.home, ignore_errors=True)
    _link(layout)
    _check(layout)


def find(unpacked: Path, name: str) -> Path | None:
    """A program below the unpacked root; links to the machine's own programs do not count."""
    root = unpacked.resolve()
    for folder in FOLDERS:
        path = (root / folder / name).resolve()
        if path.is_file() and root in path.parents:
            return path
    return None


def _link(layout: Layout) -> None:
    """Put exactly the programs that are needed into one folder for PATH."""
    folder = empty(layout.base / "bin.new")
    qemu = foreign().qemu
    targets = {name: find(layout.root, name) for name in LINKED}
    targets["docker-init"] = find(layout.root, "tini-static") or find(layout.root, "docker-init")
    targets[qemu] = find(layout.root, qemu) or find(layout.root, qemu.replace("-static", ""))
    if not network.machine_has("iptables"):
        for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
            targets[name] = find(layout.root, "xtables-nft-multi")
    if not network.machine_has("ip"):
        targets["ip"] = find(layout.root, "ip")
    for name, target in targets.items():
        if target is not None:
            (folder / name).symlink_to(target.resolve())
    shutil.rmtree(layout.bin, ignore_errors=True)
    folder.rename(layout.bin)


def environ(layout: Layout) -> dict[str, str]:
    """The environment in which the unpacked programs find each other and their libraries."""
    return {**program_environ(layout.root, (layout.bin,)), "DOCKER_HOST": layout.docker_host}


def program_environ(root: Path, folders: Sequence[Path]) -> dict[str, str]:
    """The environment for programs in `folders` whose libraries are below an unpacked root."""
    triplet = native().triplet
    libraries = (root / "usr/lib" / triplet, root / "lib" / triplet)
    path = (*folders, os.environ["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin")
    return {
        **os.environ,
        "PATH": ":".join(str(folder) for folder in path),
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in libraries),
        "XTABLES_LIBDIR": str(root / "usr/lib" / triplet / "xtables"),
    }


def _check(layout: Layout) -> None:
    remedy = "Install Docker Engine yourself and start it, then run this again."
    options = {"ip": "-V"}
    commands = tuple((name, options.get(name, "--version")) for name in CHECKED)
    check_programs(commands, environ(layout), remedy)


def check_programs(
    commands: Sequence[tuple[str, ...]], environ: Mapping[str, str], remedy: str
) -> None:
    """Run each program once: a package from another release may not fit this machine.

    Raises:
        SetupError: one does not run.
    """
    for command in commands:
        try:
            done = subprocess.run(command, env=environ, capture_output=True, text=True)
        except OSError as error:
            failure = str(error)
        else:
            failure = done.stderr.strip() if done.returncode else ""
        if failure:
            what = f"The program {command[0]} from the distribution's packages does not run here"
            raise SetupError(what, failure, remedy)
