"""Five public projects, each at one commit: what `mlcontainer init` writes for them has to pass.

`python -m benchmarks.projects` fetches them over the network, runs each table on linux/amd64 with
the engine of DOCKER_HOST, and prints a line for each. Ends with 1 where an entrypoint is not found,
or a test fails. It is run before each release, with the wheel that is released.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from typing import Final

from pytest_mlcontainer.config import load

_HOSTED: Final = "https://github.com/{}.git"
_CLI: Final = str(Path(sys.executable).with_name("mlcontainer"))


@dataclass(frozen=True)
class PinnedProject:
    """A project of others.

    Args:
        name: owner and name.
        entrypoints: what there is to find.
    """

    name: str
    commit: str
    entrypoints: tuple[str, ...]


PROJECTS: Final = (
    PinnedProject("Mohamed4488/e2e_github", "a9feeee98cf4d988023f6d4ba2f7372b66146438", ("infer",)),
    PinnedProject(
        "snandagopalan/mlops-practices",
        "a5844e446710d4e88d4309721058cfa3b264367c",
        ("train", "serve"),
    ),
    PinnedProject("yogii2356/docker_setup", "7c57d57bc682407a13680bbafce98c47dc40f645", ("serve",)),
    PinnedProject(
        "loloopes/cloud2go_challenge", "9e920119b97871a6a2d951d665caf5e715491a13", ("serve",)
    ),
    PinnedProject(
        "Rajubhokate-tech/iris-ml-pipeline", "927b9eff86cbcb2b8731b093244d4172720e8487", ("train",)
    ),
)


def main(arguments: Sequence[str], projects: Sequence[PinnedProject] = PROJECTS) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projects")
    parser.add_argument("--url", default=_HOSTED, help="where they are; {} stands for the name")
    parser.add_argument("--only", help="a part of the names of those that are run")
    asked = parser.parse_args(arguments)
    failed = 0
    for each in projects:
        if asked.only is None or asked.only in each.name:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                problem = _try(each, asked.url, Path(folder))
            failed += bool(problem)
            print(f"{each.name}  {time.monotonic() - began:.0f} s  {problem or 'passes'}")
    return 1 if failed else 0


def _try(project: PinnedProject, url: str, folder: Path) -> str:
    """What is wrong; "" for nothing."""
    fetch = ("fetch", "--quiet", "--depth=1", url.format(project.name), project.commit)
    for command in (("init", "--quiet"), fetch, ("checkout", "--quiet", "FETCH_HEAD")):
        subprocess.run(("git", *command), cwd=folder, check=True)
    subprocess.run((_CLI, "init"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    settings = load(folder / "pyproject.toml", machine())
    found = () if settings is None else tuple(each.name for each in settings.entrypoints)
    if found != project.entrypoints:
        return f"init finds {', '.join(found) or 'nothing'}"
    run = (_CLI, "test", "--container-platform=linux/amd64", "--color=no")
    done = subprocess.run(run, cwd=folder, stdout=subprocess.PIPE, text=True)
    return "" if done.returncode == 0 else f"fails:\n{done.stdout}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
