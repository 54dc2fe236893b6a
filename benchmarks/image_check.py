"""What it costs to see that an image need not be built anew."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, in_turns, ratio, timed
from pytest_mlcontainer import matrix
from pytest_mlcontainer.config import load
from pytest_mlcontainer.engines.docker.buildx import arguments
from pytest_mlcontainer.model import LABEL, Options, Settings
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.pipeline import Pipeline, PipelineSetup

NAME = "image"
ROUNDS = 15
_BAR = 1.1
_BARE_TAG = "mlcontainer-bench-bare:latest"
_FILES = {
    "pyproject.toml": '[project]\nname = "bench"\n\n[tool.mlcontainer]\nplatforms = ["native"]\n',
    "Dockerfile": "FROM python:3.13-slim\nWORKDIR /app\nCOPY *.py ./\nRUN python train.py\n",
    "train.py": "print('trained')\n",
}


def figures(rounds: int) -> Iterator[Figure]:
    """The pipeline's image, in a new session each time, against `docker buildx build`."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        for name, text in _FILES.items():
            (root / name).write_text(text)
        settings = load(root / "pyproject.toml", platform.machine())
        assert settings is not None
        ways = {
            "ours": lambda: _ours(settings, Path(folder)),
            "buildx": timed(lambda: _bare(settings)),
        }
        try:
            taken = in_turns(ways, rounds)
        finally:
            _docker(settings, "image", "rm", "--force", _BARE_TAG)
    yield ratio(NAME, "image check / bare buildx build", taken, "ours", "buildx", _BAR)


def _ours(settings: Settings, folder: Path) -> float:
    """Seconds until a new session has its image; what it makes is removed after the clock."""
    session = uuid.uuid4().hex
    cache = folder / session
    cache.mkdir()
    # What earlier sessions know of the image's inside is known to this one as well.
    for kept in ("facts", "images"):
        (folder / kept).mkdir(exist_ok=True)
        (cache / kept).symlink_to(folder / kept)
    world = PipelineSetup(
        owner=current_owner(session),
        cache=cache,
        environ=os.environ,
        tell=lambda _event: None,
        parallel=2,
    )
    job = matrix.image_job(settings, Options(), settings.reference)
    pipeline = Pipeline(world, Options())
    started = time.perf_counter()
    try:
        pipeline.images.make(settings, job)
        return time.perf_counter() - started
    finally:
        pipeline.close()
        pipeline.clean_up(last=True)


def _bare(settings: Settings) -> None:
    labels = ((LABEL, "true"), (f"{LABEL}.project", settings.name))
    build = settings.build
    words = arguments(build, build.dockerfile, settings.reference, _BARE_TAG, labels)
    _docker(settings, "buildx", *words)


def _docker(settings: Settings, *words: str) -> None:
    subprocess.run(
        ["docker", *words],
        cwd=settings.build.context,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
