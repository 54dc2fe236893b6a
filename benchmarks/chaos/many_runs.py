"""Two hundred runs in one session: nothing of it may grow with their number."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row
from benchmarks.chaos.trials import begin, forget

NAME = "many-runs"

_RUNS, _QUICK_RUNS = 200, 12
_LONGEST_S = 3600.0
_KIB = 1024
# A session keeps what is known of each run until its end, for reports and later comparisons: forty
# facts of its environment and its outputs' names are 10 KiB as Python objects, and what was asked
# for is as much again. At this bar ten thousand runs, more than any session makes, take 320 MiB;
# one log or output that is not let go of is beyond it.
_MEMORY_BAR = 32 * _KIB
# A hundredth of a thing for each run would be one in a hundred runs.
_COUNT_BAR = 0.01
_TEST = """\
import json, os, gc

import docker


def test_many(run_entrypoint):
    api = docker.APIClient(os.environ["DOCKER_HOST"])
    mine = {"label": [f"pytest-mlcontainer.pid={os.getpid()}"]}
    with open("samples.jsonl", "w") as samples:
        for number in range(RUNS):
            assert run_entrypoint("train", env={"NUMBER": str(number)}).exit_code == 0
            gc.collect()
            status = dict(
                line.split(":", 1) for line in open("/proc/self/status") if ":" in line
            )
            objects = (
                len(api.containers(all=True, filters=mine)),
                len(api.volumes(filters=mine)["Volumes"] or ()),
                len(api.networks(filters=mine)),
            )
            sample = {
                "descriptors": len(os.listdir("/proc/self/fd")),
                "threads": int(status["Threads"]),
                "memory": int(status["VmRSS"].split()[0]) * 1024,
                "objects": sum(objects),
            }
            print(json.dumps(sample), file=samples, flush=True)
"""


@dataclass(frozen=True)
class _Measure:
    """What is sampled after each run, and how much of it a run may cost."""

    name: str
    shown: str
    bar: float
    unit: str
    scale: float = 1.0


_MEASURES = (
    _Measure("descriptors", "file descriptors", _COUNT_BAR, "per run"),
    _Measure("threads", "threads", _COUNT_BAR, "per run"),
    _Measure("objects", "containers, volumes and networks", _COUNT_BAR, "per run"),
    _Measure("memory", "resident memory", _MEMORY_BAR, "KiB per run", 1 / _KIB),
)


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each thing that could grow."""
    runs = plan.count(_RUNS, _QUICK_RUNS)
    session = begin(plan, "-k", "many", tests=_TEST.replace("RUNS", str(runs)))
    code = session.wait(_LONGEST_S)
    if code != 0:
        raise RuntimeError(
            f"{runs} runs in a session end with {code}:\n{session.printed()[-2000:]}"
        )
    samples = _read(session.place.project / "samples.jsonl")
    forget(plan, session)
    for measure in _MEASURES:
        yield _row(measure, [sample[measure.name] for sample in samples])


def slope(values: Sequence[float]) -> float:
    """Growth from one value to the next, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope


def _read(file: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _row(measure: _Measure, values: Sequence[float]) -> Row:
    # Caches, pools of connections and the allocator's arenas fill in the first quarter.
    grown = slope(values[len(values) // 4 :])
    holds = grown <= measure.bar
    worst, bar = (f"{number * measure.scale:.3g} {measure.unit}" for number in (grown, measure.bar))
    scaled = f"from {values[0] * measure.scale:.0f} to {values[-1] * measure.scale:.0f}"
    problems = () if holds else (f"grows by {worst}, {scaled}",)
    fault = f"{len(values)} runs in one session: {measure.shown} ({scaled})"
    return Row(fault, len(values), len(values) if holds else 0, worst, f"≤ {bar}", problems)
