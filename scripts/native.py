"""Compiles a small C program or library for each architecture, to be committed beside its source.

So that nobody needs a compiler to install the package, or to build it. What is made holds nothing
of a C library, so that one serves glibc and musl alike, and depends on its source and the compilers
alone: those of Debian 12 (gcc 12.2) make just what is committed, which CI looks after.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUMS = "SHA256SUMS"  # as sha256sum writes it, and `sha256sum -c` reads it
COMPILERS = {
    "amd64": ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
    "arm64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
}
_FLAGS = (
    *("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror"),
    # Nothing of libc, nor calls to it that the compiler would add.
    *("-ffreestanding", "-nostdlib", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns"),
    # Small, and the same each time.
    *("-s", "-Wl,--build-id=none"),
    *("-Wl,-z,norelro", "-Wl,-z,noseparate-code", "-Wl,-z,noexecstack"),
)


@dataclass(frozen=True)
class Native:
    """One source.

    Args:
        source: its file; what is made goes beside it, as `ARCHITECTURE` and the suffix.
        flags: of the compiler, for all architectures; `more`, for one of them.
    """

    source: Path
    flags: tuple[str, ...]
    suffix: str = ""
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def main(self, words: Sequence[str]) -> int:
        """Write all beside the source, and the digests; with `--check` fail where another byte
        comes out."""
        missing = [
            f"{compiler} (Debian package {package})"
            for compiler, package in COMPILERS.values()
            if shutil.which(compiler) is None
        ]
        if missing:
            print("not found: " + ", ".join(missing), file=sys.stderr)
            return 1
        if "--check" in words:
            return self._check()
        for architecture in COMPILERS:
            built = self.compile_for(architecture, self.source.parent)
            print(f"{built} {built.stat().st_size} bytes")
        (self.source.parent / SUMS).write_text(self.sums(), encoding="ascii")
        return 0

    def sums(self) -> str:
        """SHA-256 of the source and of what was made of it, a line each."""
        names = (self.source.name, *(f"{each}{self.suffix}" for each in COMPILERS))
        files = ((self.source.parent / name).read_bytes() for name in names)
        digests = (hashlib.sha256(data).hexdigest() for data in files)
        return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))

    def _check(self) -> int:
        """Whether the compilers here make what is committed, byte for byte."""
        with tempfile.TemporaryDirectory() as folder:
            built = [self.compile_for(architecture, Path(folder)) for architecture in COMPILERS]
            others = [
                each.name
                for each in built
                if each.read_bytes() != (self.source.parent / each.name).read_bytes()
            ]
        for name in others:
            print(f"{name} is not what its source and this compiler make", file=sys.stderr)
        return 1 if others else 0

    def compile_for(self, architecture: str, folder: Path) -> Path:
        """Write what is made for one architecture to the folder."""
        compiler, _package = COMPILERS[architecture]
        built = folder / f"{architecture}{self.suffix}"
        # Named as seen from its folder: the path of a checkout has no place in what is made.
        flags = (*_FLAGS, *self.flags, *self.more.get(architecture, ()))
        command = [compiler, *flags, self.source.name, "-o", str(built.resolve())]
        subprocess.run(command, cwd=self.source.parent, check=True)
        built.chmod(0o644)
        return built
