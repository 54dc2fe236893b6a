"""What it costs to watch which files a run opens."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker

from benchmarks.containers import cpu_seconds, packed
from benchmarks.measure import Figure, in_turns, ratio
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.inside import file_watcher

NAME = "watching"
ROUNDS = 5
_BAR = 1.05
_EXAMPLE = Path(__file__).parents[1] / "examples" / "bikes"
_TOLD = "/told/paths"


def figures(rounds: int) -> Iterator[Figure]:
    """Processor time of the training of the bikes example, watched and not."""
    api = open_client(None, os.environ)
    native = str(api.version()["Arch"])
    program = file_watcher(native)
    if program is None:
        raise RuntimeError(f"there is no watching program for {native}")
    tag = f"mlcontainer-bench-{uuid.uuid4().hex[:12]}:latest"
    _build(tag, native)
    try:
        ways = {
            "watched": _run(api, tag, program),
            "bare": _run(api, tag, None),
        }
        taken = in_turns(ways, rounds)
    finally:
        api.remove_image(tag, force=True)
        api.close()
    yield ratio(NAME, "processor time of a watched run", taken, "watched", "bare", _BAR)


def _build(tag: str, native: str) -> None:
    for words in (
        ("uv", "build", "--wheel"),
        ("docker", "buildx", "build", "--platform", f"linux/{native}", "--load", "-t", tag, "."),
    ):
        subprocess.run(words, cwd=_EXAMPLE, check=True, capture_output=True)


def _run(api: docker.APIClient, tag: str, watcher: bytes | None) -> Callable[[], float]:
    data: dict[str, bytes | Path] = {"app/data": _EXAMPLE / "data"}
    env = {"OPENBLAS_NUM_THREADS": "1"}

    def is_told(container: str) -> None:
        if api.get_archive(container, _TOLD)[1]["size"] < 10_000:
            raise RuntimeError("next to nothing was watched")

    if watcher is None:
        files = packed(data)
        return lambda: cpu_seconds(api, tag, "bikes train", files=files, env=env)
    files = packed({**data, "watch/watcher": watcher}, ("told",))
    below = ("/watch/watcher", _TOLD)
    return lambda: cpu_seconds(
        api, tag, "bikes train", files=files, env=env, below=below, check=is_told
    )
