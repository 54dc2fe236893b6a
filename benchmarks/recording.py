"""What it costs to record a program statement by statement, to find where it drifts."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import docker

from benchmarks.containers import cpu_seconds, packed
from benchmarks.driftbench.images import build, build_bases
from benchmarks.measure import Figure, in_turns, median_ms
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.inside import recorder_files

NAME = "recording"
ROUNDS = 3
_MEDIAN_BAR: Final = 2.0
_WORST_BAR: Final = 5.0
_BYTES_BAR: Final = 64.0
_CASES: Final = Path(__file__).parent / "driftbench" / "cases"
# Of NumPy and scikit-learn, and loops of Python, which cost most.
_NAMES: Final = (
    "credit-scores",
    "double-pendulum",
    "embedding-quantiser",
    "forest-all-cores",
    "kmeans-elbow",
    "matmul-reordered",
    "polynomial-trend",
    "reservoir-forecast",
    "ride-hours",
    "spiking-neuron",
)
_SEEN: Final = "/seen"


def figures(rounds: int) -> Iterator[Figure]:
    """Processor time of recorded runs of DriftBench's programs, and the size of recordings."""
    api = open_client(None, os.environ)
    ratios: dict[str, float] = {}
    largest: list[float] = []
    try:
        build_bases()
        for name in _NAMES:
            ratios[name] = _ratio(api, name, rounds, largest)
    finally:
        api.close()
    worst = max(ratios, key=lambda name: ratios[name])
    middle = f"{len(ratios)} programs"
    yield Figure(NAME, "processor time, median", median(ratios.values()), _MEDIAN_BAR, "×", middle)
    yield Figure(NAME, "processor time, worst", ratios[worst], _WORST_BAR, "×", worst)
    yield Figure(NAME, "largest recording", max(largest), _BYTES_BAR, "MB", "")


def _ratio(api: docker.APIClient, name: str, rounds: int, sizes: list[float]) -> float:
    tag = f"mlcontainer-bench-{uuid.uuid4().hex[:12]}:latest"
    build(tag, _CASES / name / "Dockerfile", _CASES / name)
    try:
        ways = {
            "recorded": _run(api, tag, sizes, records=True),
            "bare": _run(api, tag, sizes, records=False),
        }
        taken = in_turns(ways, rounds)
    finally:
        api.remove_image(tag, force=True)
    return median_ms(taken["recorded"]) / median_ms(taken["bare"])


def _run(
    api: docker.APIClient, tag: str, sizes: list[float], *, records: bool
) -> Callable[[], float]:
    if not records:
        return lambda: cpu_seconds(api, tag, "python train.py")
    files: dict[str, bytes | Path] = {
        f"rec/{each}": code for each, code in recorder_files().items()
    }
    files[f"{_SEEN[1:]}/asked.json"] = json.dumps({"records": True}).encode()
    env = {"PYTHONPATH": "/rec", "MLCONTAINER_RECORDING": _SEEN}

    def is_recorded(container: str) -> None:
        stream, _about = api.get_archive(container, _SEEN)
        recorded = b"".join(stream)
        if b'"process"' not in recorded:
            raise RuntimeError("nothing was recorded")
        sizes.append(len(recorded) / 1e6)

    data = packed(files)
    return lambda: cpu_seconds(api, tag, "python train.py", files=data, env=env, check=is_recorded)
