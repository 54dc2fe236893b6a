"""What comes from Debian's packages: the runtime, etcd, a registry, filters, and busybox."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts.engine.emulation import ARCHITECTURES, Architecture, foreign, native
from scripts.engine.machine import debian_sources
from scripts.engine.network import machine_has
from scripts.engine.packages import Apt, Selection, empty, unpack_all, unpack_selection
from scripts.engine.problems import SetupError, say
from scripts.engine.tools import check_programs, find, program_environ

from . import versions
from .cache import made_once

_LINKED = (
    *("containerd", "containerd-shim-runc-v2", "ctr", "runc", "etcd", "docker-registry"),
    *("ipset", "conntrack", "nft"),
)
_FILTERS = ("iptables", "iptables-save", "iptables-restore")
_CHECKED = ("containerd", "runc", "etcd", "docker-registry", "iptables", "ipset", "openssl")


def ensure(cache: Path, codename: str, environ: Mapping[str, str]) -> Path:
    """The folder with `root` (all packages), `bin` (links) and a file system of each helper image.

    Args:
        cache: The folder of all clusters' programs.
        codename: Of this machine's release of Debian or Ubuntu.
        environ: The environment; ENGINE_DEBIAN_MIRROR counts where apt names no mirror of Debian.

    Raises:
        SetupError: the packages cannot be had, or do not run here.
    """
    selection = versions.selection(codename)
    name = f"packages-{codename}-{native().debian}-{_digest(selection)}"

    def make(folder: Path, _lock: int) -> None:
        say("fetching containerd, runc, etcd, a registry, packet filters and busybox as packages")
        work = folder / "work"
        root = folder / "root"
        unpack_selection(selection, Apt(work / "apt", native().debian), codename, root)
        for architecture in ARCHITECTURES:
            busybox(work, codename, architecture, environ).rename(folder / architecture.debian)
        _link(folder)
        _check(folder)
        shutil.rmtree(work)

    return made_once(cache / name, make)


def _digest(selection: Selection) -> str:
    return hashlib.sha256(
        f"{selection} {versions.BUSYBOX_RELEASE} {versions.RECIPE}".encode()
    ).hexdigest()[:8]


def program_path(packages: Path, programs: Path) -> dict[str, str]:
    """The environment in which the programs of a cluster find each other."""
    environ = program_environ(packages / "root", (programs, packages / "bin"))
    # What the shell that starts the cluster says of others must not reach the cluster's parts.
    for name in ("KUBECONFIG", "DOCKER_HOST"):
        environ.pop(name, None)
    return environ


def qemu(packages: Path) -> Path:
    """The program that emulates the other architecture.

    Raises:
        SetupError: the packages did not have it.
    """
    found = packages / "bin" / foreign().qemu
    if not found.exists():
        raise SetupError(
            f"No package of this release has an emulator of linux/{foreign().debian}",
            found.name,
            "Install qemu-user-static and binfmt-support, then run this again.",
        )
    return found.resolve()


def busybox(
    work: Path, codename: str, architecture: Architecture, environ: Mapping[str, str]
) -> Path:
    """A file system with nothing but Debian's static busybox in it."""
    home = work / f"busybox-{architecture.debian}"
    apt = Apt(home / "apt", architecture.debian)
    apt.configure(debian_sources(codename, versions.BUSYBOX_RELEASE, environ), {})
    apt.run("apt-get", "update", "-q")
    debs = apt.download(("busybox-static",), home / "debs")
    unpack_all(debs, home / "unpacked")
    root = empty(home / "root")
    for name in ("bin", "etc", "tmp", "root"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    program = find(home / "unpacked", "busybox")
    if program is None:
        raise SetupError(
            "Debian's package busybox-static has no busybox",
            debs,
            "Tell us which release this machine has.",
        )
    shutil.copy2(program, root / "bin" / "busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    return root


def link_applets(root: Path, names: str) -> None:
    """Give busybox all its names, which stand in `names` line by line."""
    for name in names.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")


def _link(folder: Path) -> None:
    """Put exactly the programs that are needed into `bin`, and give busybox its names."""
    root, links = folder / "root", folder / "bin"
    links.mkdir()
    emulator = foreign().qemu
    targets = {name: find(root, name) for name in _LINKED}
    targets[emulator] = find(root, emulator) or find(root, emulator.removesuffix("-static"))
    if not machine_has("iptables"):
        for name in (*_FILTERS, *(name.replace("ip", "ip6", 1) for name in _FILTERS)):
            targets[name] = find(root, "xtables-nft-multi")
    for name in ("ip", "openssl"):
        if not machine_has(name):
            targets[name] = find(root, name)
    for name, target in targets.items():
        if target is not None:
            (links / name).symlink_to(os.path.relpath(target, links))
    listed = subprocess.run(
        (folder / native().debian / "bin" / "busybox", "--list"), capture_output=True, text=True
    )
    for architecture in ARCHITECTURES:
        link_applets(folder / architecture.debian, listed.stdout)


def _check(folder: Path) -> None:
    remedy = "Set KUBECONFIG to a cluster that you have, then run this again."
    options = {"openssl": "version"}
    commands = tuple((name, options.get(name, "--version")) for name in _CHECKED)
    check_programs(commands, program_path(folder, folder), remedy)
