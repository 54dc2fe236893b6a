"""Compiles the library that is loaded into containers, for each architecture.

The libraries are committed, beside their source and the digests of all three, so that nobody needs
a compiler to install the package, or to build it. They hold nothing of a C library, so that one
serves glibc and musl alike. What comes out depends on the source and the compilers alone: those of
Debian 12 (gcc 12.2) make just what is committed, which CI looks after.

    python scripts/preload.py           write the libraries beside their source, and the digests
    python scripts/preload.py --check   compile, and fail where another byte comes out
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOAD = (
    Path(__file__).resolve().parent.parent / "src/pytest_mlcontainer/variations/preload/preload.c"
)
SUMS = "SHA256SUMS"  # as sha256sum writes it, and `sha256sum -c` reads it
COMPILERS = {
    "amd64": ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu", ()),
    # Its atomic functions would otherwise be those of libgcc, which is not linked.
    "arm64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", ("-mno-outline-atomics",)),
}
FLAGS = (
    *("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror"),
    *("-shared", "-fPIC", "-fvisibility=hidden", "-fno-plt"),
    # Nothing of libc, nor calls to it that the compiler would add.
    *("-ffreestanding", "-nostdlib", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns"),
    # A thread can be cancelled, and is then unwound, while it waits in one of our functions.
    "-fasynchronous-unwind-tables",
    # Small, the same each time, and loadable by old and new loaders.
    *("-s", "-Wl,--build-id=none", "-Wl,--hash-style=both", "-Wl,-soname,libmlcontainer.so"),
    *("-Wl,-z,norelro", "-Wl,-z,noseparate-code", "-Wl,-z,noexecstack"),
)


def main() -> int:
    missing = [
        f"{compiler} (Debian package {package})"
        for compiler, package, _flags in COMPILERS.values()
        if shutil.which(compiler) is None
    ]
    if missing:
        print("not found: " + ", ".join(missing), file=sys.stderr)
        return 1
    if "--check" in sys.argv[1:]:
        return check()
    for architecture in COMPILERS:
        built = compile_for(architecture, PRELOAD.parent)
        print(f"{built} {built.stat().st_size} bytes")
    (PRELOAD.parent / SUMS).write_text(sums(), encoding="ascii")
    return 0


def check() -> int:
    """Whether the compilers here make the committed libraries, byte for byte."""
    with tempfile.TemporaryDirectory() as folder:
        others = [
            architecture
            for architecture in COMPILERS
            if compile_for(architecture, Path(folder)).read_bytes()
            != (PRELOAD.parent / f"{architecture}.so").read_bytes()
        ]
    for architecture in others:
        print(f"{architecture}.so is not what its source and this compiler make", file=sys.stderr)
    return 1 if others else 0


def compile_for(architecture: str, folder: Path) -> Path:
    """Writes `ARCHITECTURE.so` to the folder."""
    compiler, _package, flags = COMPILERS[architecture]
    built = folder / f"{architecture}.so"
    # Named as seen from its folder: the path of a checkout has no place in the library.
    command = [compiler, *FLAGS, *flags, PRELOAD.name, "-o", str(built.resolve())]
    subprocess.run(command, cwd=PRELOAD.parent, check=True)
    built.chmod(0o644)
    return built


def sums() -> str:
    """SHA-256 of the source and of what was made of it, a line each."""
    names = (PRELOAD.name, *(f"{architecture}.so" for architecture in COMPILERS))
    digests = (hashlib.sha256((PRELOAD.parent / name).read_bytes()).hexdigest() for name in names)
    return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))


if __name__ == "__main__":
    sys.exit(main())
