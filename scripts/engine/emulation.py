"""Letting the kernel run the other architecture's programs, with qemu and binfmt_misc."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .folders import CLUSTER_PREFIX, ENGINE_PREFIX
from .problems import SetupError

BINFMT = Path("/proc/sys/fs/binfmt_misc")
# An ELF header: 64 bit, little endian, type EXEC or DYN (the mask lets both pass).
MAGIC_START = "7f454c460201010000000000000000000200"
MASK = "fffffffffffefe00fffffffffffffffffeffffff"


@dataclass(frozen=True)
class Architecture:
    """One CPU architecture by the names that kernel, Debian and containers give it."""

    machine: str
    debian: str
    triplet: str
    elf_machine: str

    @property
    def qemu(self) -> str:
        return f"qemu-{self.machine}-static"

    @property
    def magic(self) -> str:
        return MAGIC_START + self.elf_machine


ARCHITECTURES = (
    Architecture("x86_64", "amd64", "x86_64-linux-gnu", "3e00"),
    Architecture("aarch64", "arm64", "aarch64-linux-gnu", "b700"),
)


def native() -> Architecture:
    """This machine's architecture."""
    for architecture in ARCHITECTURES:
        if platform.machine() in (architecture.machine, architecture.debian):
            return architecture
    raise SetupError(
        "A private engine cannot be set up on this CPU architecture",
        platform.machine(),
        "Use a machine with an x86_64 or aarch64 CPU, or set DOCKER_HOST to an engine there.",
    )


def foreign() -> Architecture:
    """The architecture that has to be emulated here."""
    return next(a for a in ARCHITECTURES if a != native())


def handles(entry: str, architecture: Architecture) -> bool:
    """Whether a binfmt_misc entry runs this architecture's programs inside containers too.

    Without flag F the kernel looks for the interpreter in the container, where it is not.
    """
    lines = entry.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines)
    return (
        bool(lines)
        and lines[0] == "enabled"
        and "F" in fields.get("flags:", "")
        and fields.get("magic", "").startswith(architecture.magic)
    )


def handler(architecture: Architecture, folder: Path = BINFMT, own: str = "") -> str | None:
    """The name of the entry that serves containers, or None.

    With `own`, the name of the caller's entry, those of other private engines and clusters do
    not count: they go when these are taken down.
    """
    if not folder.is_dir():
        return None
    for path in sorted(folder.iterdir()):
        if own and path.name != own and path.name.startswith((ENGINE_PREFIX, CLUSTER_PREFIX)):
            continue
        if path.name not in ("register", "status") and handles(path.read_text(), architecture):
            return path.name
    return None


def mount() -> bool:
    """Mount binfmt_misc; True when it was not mounted before."""
    if (BINFMT / "register").exists():
        return False
    command = ("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        failure = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError as error:
        failure = str(error)
    if failure:
        raise SetupError(
            "Mounting binfmt_misc failed",
            failure,
            "Load the kernel module (`modprobe binfmt_misc`) or run outside of a container.",
        )
    return True


def register(name: str, architecture: Architecture, interpreter: Path) -> None:
    """Tell the kernel to run the architecture's programs with `interpreter`."""
    escaped = "".join(f"\\x{architecture.magic[i : i + 2]}" for i in range(0, 40, 2))
    mask = "".join(f"\\x{MASK[i : i + 2]}" for i in range(0, 40, 2))
    unregister(name)
    line = f":{name}:M::{escaped}:{mask}:{interpreter}:F"
    (BINFMT / "register").write_text(line)


def unregister(name: str) -> None:
    """Remove one entry, if it is there."""
    if (BINFMT / name).exists():
        (BINFMT / name).write_text("-1")


def unmount_if_unused() -> None:
    """Unmount binfmt_misc when nobody has an entry in it."""
    if BINFMT.is_dir() and not {p.name for p in BINFMT.iterdir()} - {"register", "status"}:
        subprocess.run(("umount", str(BINFMT)), capture_output=True)
