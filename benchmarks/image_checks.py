"""What checks of an image that build nothing cost where nothing has changed since last time."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Figure, in_turns, timed
from pytest_mlcontainer.config import load
from pytest_mlcontainer.engines.docker.buildx import arguments
from pytest_mlcontainer.model import LABEL, Settings
from pytest_mlcontainer.pipeline.setup import with_programs_beside

NAME = "image-checks"
ROUNDS = 5
_BAR_S = 3.0
_EXAMPLE = Path(__file__).parents[1] / "examples" / "bikes"
_ASKED = "\n[tool.mlcontainer.image]\nenvironment = true\n"
_ITEMS = "pyproject.toml::image"
_BARE_TAG = "mlcontainer-bench-checks:{}"


def figures(rounds: int) -> Iterator[Figure]:
    """`pytest --container` with lint, environment, size and gpu of both platforms of the bikes
    example, from its start to its end, against the commands that build these two images."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as folder:
        project = Path(folder) / "bikes"
        shutil.copytree(_EXAMPLE, project)
        with (project / "pyproject.toml").open("a") as file:
            file.write(_ASKED)
        settings = load(project / "pyproject.toml", platform.machine())
        assert settings is not None
        cpu: dict[str, list[float]] = {"checked": [], "built": []}
        ways = {
            "checked": _watched(lambda: _checked(project, Path(folder) / "cache"), cpu["checked"]),
            "built": _watched(lambda: _built(settings), cpu["built"]),
        }
        try:
            taken = in_turns(ways, rounds)
        finally:
            tags = [_BARE_TAG.format(at) for at in range(len(settings.platforms))]
            _run(project, "docker", "image", "rm", "--force", *tags)
    counted = {way: tuple(seconds[1:]) for way, seconds in cpu.items()}  # without the warming up
    measured = {"seconds": taken, "processor time here": counted}
    for what, seconds in measured.items():
        checked, built = (statistics.median(seconds[way]) for way in ("checked", "built"))
        detail = f"{checked:.2f} s - {built:.2f} s"
        yield Figure(NAME, f"beyond bare builds, {what}", checked - built, _BAR_S, "s", detail)


def _watched(action: Callable[[], None], cpu: list[float]) -> Callable[[], float]:
    """As `timed`; `cpu` gets what the processes that it started here took of processors, which a
    busy machine changes less."""
    way = timed(action)

    def watched() -> float:
        before = os.times()
        seconds = way()
        after = os.times()
        cpu.append(sum(after[2:4]) - sum(before[2:4]))
        return seconds

    return watched


def _checked(project: Path, cache: Path) -> None:
    """Whatever cache this machine has is left alone; one that lasts for all rounds is used."""
    _run(
        project,
        sys.executable,
        "-m",
        "pytest",
        "--container",
        _ITEMS,
        MLCONTAINER_CACHE_DIR=str(cache),
    )


def _built(settings: Settings) -> None:
    labels = ((LABEL, "true"), (f"{LABEL}.project", settings.name))
    build, root = settings.build, settings.build.context
    for command in build.before:
        _run(root, "sh", "-c", command)
    for at, each in enumerate(settings.platforms):
        words = arguments(build, build.dockerfile, each, _BARE_TAG.format(at), labels)
        _run(root, "docker", "buildx", *words)


def _run(folder: Path, *words: str, **variables: str) -> None:
    environ = with_programs_beside(sys.executable, os.environ) | variables
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(
            f"{words[0]} has ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}"
        )
