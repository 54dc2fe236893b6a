"""The programs of the private engine, unpacked from packages below `.engine/root`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import network
from .emulation import foreign, native
from .layout import Layout
from .packages import Apt, empty, machine_sources, main_source, release_sources, unpack_all
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
    main = main_source(release_sources(machine_sources(), codename), codename)
    others = sorted(set(releases.values()))
    own = release_sources(machine_sources(), codename)
    apt.configure(
        [*own, *(main.for_release(codename, other) for other in others)],
        {codename: 900, **dict.fromkeys(others, 100)},
    )
    apt.run("apt-get", "update", "-q")
    offered = apt.offered((*PROGRAMS, *QEMU, *LIBRARIES), codename)
    packages = apt.download(_chosen(offered, releases), empty(apt.home / "debs"))
    say(f"unpacking {len(packages)} packages")
    root = empty(layout.base / "root.new")
    unpack_all(packages, root)
    (root / "complete").touch()
    shutil.rmtree(layout.root, ignore_errors=True)
    root.rename(layout.root)
    shutil.rmtree(apt.home, ignore_errors=True)
    _link(layout)
    _check(layout)


def _chosen(offered: frozenset[str], releases: Mapping[str, str]) -> tuple[str, ...]:
    """Package names for apt: only libraries that the machine does not have itself."""
    installed = subprocess.run(
        ("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n"),
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    present = {line[3:] for line in installed if line.startswith("ii")}
    names = [name for name in (*PROGRAMS, *QEMU) if name in offered or name in releases]
    names += [name for name in LIBRARIES if name in offered and name not in present]
    return tuple(f"{name}/{releases[name]}" if name in releases else name for name in names)


def find(layout: Layout, name: str) -> Path | None:
    """A program below the unpacked root; links to the machine's own programs do not count."""
    root = layout.root.resolve()
    for folder in FOLDERS:
        path = (root / folder / name).resolve()
        if path.is_file() and root in path.parents:
            return path
    return None


def _link(layout: Layout) -> None:
    """Put exactly the programs that are needed into one folder for PATH."""
    folder = empty(layout.base / "bin.new")
    qemu = foreign().qemu
    targets = {name: find(layout, name) for name in LINKED}
    targets["docker-init"] = find(layout, "tini-static") or find(layout, "docker-init")
    targets[qemu] = find(layout, qemu) or find(layout, qemu.replace("-static", ""))
    if not network.machine_has("iptables"):
        for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
            targets[name] = find(layout, "xtables-nft-multi")
    if not network.machine_has("ip"):
        targets["ip"] = find(layout, "ip")
    for name, target in targets.items():
        if target is not None:
            (folder / name).symlink_to(target.resolve())
    shutil.rmtree(layout.bin, ignore_errors=True)
    folder.rename(layout.bin)


def environ(layout: Layout) -> dict[str, str]:
    """The environment in which the unpacked programs find each other and their libraries."""
    triplet = native().triplet
    folders = [layout.root / "usr/lib" / triplet, layout.root / "lib" / triplet]
    return {
        **os.environ,
        "PATH": f"{layout.bin}:{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin",
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in folders),
        "XTABLES_LIBDIR": str(layout.root / "usr/lib" / triplet / "xtables"),
        "DOCKER_HOST": layout.docker_host,
    }


def _check(layout: Layout) -> None:
    """Run each program once: a package from another release may not fit this machine."""
    options = {"ip": "-V"}
    for name in CHECKED:
        command = (name, options.get(name, "--version"))
        try:
            done = subprocess.run(command, env=environ(layout), capture_output=True, text=True)
        except OSError as error:
            failure = str(error)
        else:
            failure = done.stderr.strip() if done.returncode else ""
        if failure:
            raise SetupError(
                f"The program {name} from the distribution's packages does not run here",
                failure,
                "Install Docker Engine yourself and start it, then run this again.",
            )
