"""Compiles the program that watches which files a run opens, for each architecture.

As `scripts/preload.py` does for the library that is loaded into containers: what is made is
committed, beside its source and the digests of all three, and depends on the source and the
compilers of Debian 12 alone.

    python scripts/file_watcher.py           write the programs beside their source, and the digests
    python scripts/file_watcher.py --check   compile, and fail where another byte comes out
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = (
    Path(__file__).resolve().parent.parent / "src/pytest_mlcontainer/inside/file_watcher/watcher.c"
)
SUMS = "SHA256SUMS"  # as sha256sum writes it, and `sha256sum -c` reads it
COMPILERS = {
    "amd64": ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
    "arm64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
}
FLAGS = (
    *("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror"),
    # It starts in any image, also in one without a loader.
    *("-static", "-no-pie", "-fno-pie", "-nostdlib"),
    *("-ffreestanding", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns"),
    *("-s", "-Wl,--build-id=none", "-Wl,-z,norelro", "-Wl,-z,noseparate-code"),
    "-Wl,-z,noexecstack",
)


def main() -> int:
    missing = [
        f"{compiler} (Debian package {package})"
        for compiler, package in COMPILERS.values()
        if shutil.which(compiler) is None
    ]
    if missing:
        print("not found: " + ", ".join(missing), file=sys.stderr)
        return 1
    if "--check" in sys.argv[1:]:
        return check()
    for architecture in COMPILERS:
        built = compile_for(architecture, SOURCE.parent)
        print(f"{built} {built.stat().st_size} bytes")
    (SOURCE.parent / SUMS).write_text(sums(), encoding="ascii")
    return 0


def check() -> int:
    """Whether the compilers here make the committed programs, byte for byte."""
    with tempfile.TemporaryDirectory() as folder:
        others = [
            architecture
            for architecture in COMPILERS
            if compile_for(architecture, Path(folder)).read_bytes()
            != (SOURCE.parent / architecture).read_bytes()
        ]
    for architecture in others:
        print(f"{architecture} is not what its source and this compiler make", file=sys.stderr)
    return 1 if others else 0


def compile_for(architecture: str, folder: Path) -> Path:
    """Writes the program `ARCHITECTURE` to the folder."""
    compiler, _package = COMPILERS[architecture]
    built = folder / architecture
    # Named as seen from its folder: the path of a checkout has no place in the program.
    command = [compiler, *FLAGS, SOURCE.name, "-o", str(built.resolve())]
    subprocess.run(command, cwd=SOURCE.parent, check=True)
    built.chmod(0o644)
    return built


def sums() -> str:
    """SHA-256 of the source and of what was made of it, a line each."""
    names = (SOURCE.name, *COMPILERS)
    digests = (hashlib.sha256((SOURCE.parent / name).read_bytes()).hexdigest() for name in names)
    return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))


if __name__ == "__main__":
    sys.exit(main())
