"""Compiles the library that is loaded into containers, for each architecture.

The libraries are committed, beside their source and its digest, so that nobody needs a compiler to
install the package, or to build it. What comes out depends on the source and the compilers alone.

    python scripts/preload.py [FOLDER]      writes the libraries beside their source, or to FOLDER
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PRELOAD = (
    Path(__file__).resolve().parent.parent / "src/pytest_mlcontainer/variations/preload/preload.c"
)
DIGEST = "preload.c.sha256"
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
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PRELOAD.parent
    missing = [
        f"{compiler} (Debian package {package})"
        for compiler, package, _flags in COMPILERS.values()
        if shutil.which(compiler) is None
    ]
    if missing:
        print("not found: " + ", ".join(missing), file=sys.stderr)
        return 1
    for architecture in COMPILERS:
        built = compile_for(architecture, folder)
        print(f"{built} {built.stat().st_size} bytes")
    (folder / DIGEST).write_text(digest_of(PRELOAD) + "\n", encoding="ascii")
    return 0


def compile_for(architecture: str, folder: Path) -> Path:
    """Writes `ARCHITECTURE.so` to the folder."""
    compiler, _package, flags = COMPILERS[architecture]
    built = folder / f"{architecture}.so"
    # Named as seen from its folder: the path of a checkout has no place in the library.
    command = [compiler, *FLAGS, *flags, PRELOAD.name, "-o", str(built.resolve())]
    subprocess.run(command, cwd=PRELOAD.parent, check=True)
    built.chmod(0o644)
    return built


def digest_of(source: Path) -> str:
    """SHA-256 of the source, in hexadecimal."""
    return hashlib.sha256(source.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
