"""Make the virtual environment once: complete, or not at all.

Run by make as `environment.py FOLDER STAMP`; STAMP is touched when all is installed.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)


def main(folder: Path, stamp: Path) -> int:
    """Make `folder` and install this project into it; the exit status."""
    problem = what_is_missing(sys.version_info[:2], find_spec("ensurepip") is not None)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    folder.mkdir(exist_ok=True)
    # Not `.lock`: uv holds a file of that name while it installs.
    with (folder / ".making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        project = Path("pyproject.toml")
        if stamp.exists() and stamp.stat().st_mtime >= project.stat().st_mtime:
            return 0
        for choices in steps(folder):
            if not any(subprocess.run(command).returncode == 0 for command in choices):
                print(f"error: {' '.join(choices[-1])} failed: see above", file=sys.stderr)
                print("  Put right what its message names; then run make again.", file=sys.stderr)
                return 1
        stamp.touch()
    return 0


def steps(folder: Path) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """What has to be run, in this order; of each step the first command that works.

    uv resolves and unpacks several times faster than pip, but does not know pip's configuration.
    """
    python = str(folder / "bin" / "python")
    pip = (*(python, "-m", "pip", "install", "--quiet"), *("--timeout", "30"))
    uv = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    project = ("-e", ".[dev]")
    return (
        ((sys.executable, "-m", "venv", str(folder)),),
        ((*pip, "uv"),),
        ((*uv, *project), (*pip, *project)),
    )


def what_is_missing(version: tuple[int, ...], has_ensurepip: bool) -> str:
    """A message for people when this Python cannot make the environment; empty when it can."""
    number = ".".join(str(part) for part in version)
    if version < OLDEST:
        return (
            f"Python is too old for this project: {number}\n"
            f"  Name one of at least {OLDEST[0]}.{OLDEST[1]}: make PYTHON=python3.13 …"
        )
    if not has_ensurepip:
        return (
            f"This Python cannot make virtual environments: {sys.executable} has no ensurepip\n"
            f"  Install it: apt-get install python3-venv (Debian, Ubuntu)"
        )
    return ""


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
