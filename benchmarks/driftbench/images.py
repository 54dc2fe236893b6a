"""What cases run on: the shared bases, and the two images of a pair."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.driftbench.cases import Case
from benchmarks.driftbench.wheels import write_wheels

BASES = Path(__file__).parent / "bases"
_BASES, _VERSION = ("science", "locales"), "1"
_PACKAGES, _WHEELS = "packages", "wheels"


@dataclass(frozen=True)
class Staged:
    """A case, ready to be asked about.

    Args:
        project: a copy of its folder. Its label is not in it, for a tool that reads the sources of
            a project would find the answer there.
        images: of a pair, the tags of both; otherwise the tool builds the one there is.
    """

    case: Case
    project: Path
    images: tuple[str, ...] = ()


def build_bases() -> None:
    """Build the images that cases start from; they stay on the engine for the next time.

    Raises:
        RuntimeError: docker says no.
    """
    for name in _BASES:
        build(f"driftbench/{name}:{_VERSION}", BASES / f"{name}.Dockerfile", BASES)


@contextmanager
def staged(case: Case, folder: Path) -> Iterator[Staged]:
    """A copy of a case in `folder`, with its two images if it has any: these are removed again."""
    project = folder / case.name
    shutil.copytree(case.folder, project, ignore=shutil.ignore_patterns("label.toml"))
    if (project / _PACKAGES).is_dir():
        write_wheels(project / _PACKAGES, project / _WHEELS)
    sides = ("a", "b") if case.kind == "pair" else ()
    # Two measurements may run side by side, and neither may take the other's images away.
    tags = tuple(f"driftbench/{case.name}:{side}-{os.getpid()}" for side in sides)
    try:
        for side, tag in zip(sides, tags, strict=True):
            build(tag, project / f"{side}.Dockerfile", project)
        yield Staged(case, project, tags)
    finally:
        if tags:
            subprocess.run(["docker", "rmi", *tags], capture_output=True)
        shutil.rmtree(project, ignore_errors=True)


def build(tag: str, dockerfile: Path, context: Path, *options: str) -> None:
    """Build an image.

    Raises:
        RuntimeError: docker says no.
    """
    command = ["docker", "build", "--quiet", "--tag", tag, "--file", str(dockerfile), *options]
    done = subprocess.run([*command, str(context)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{tag} does not build:\n{done.stderr}")
