"""A thousand runs on a cluster in one process: what each costs here, and nothing that grows.

Processor time is this process's own, of all its threads: the client's share of Jobs, logs, outputs
and cleaning. What the cluster and its nodes take is theirs.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.chaos.many_runs import slope
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.private_cluster import BASE, find_private_cluster
from benchmarks.chaos.table import Row
from pytest_mlcontainer.engines import ContainerSpec, Engine
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.model import Limits, Platform

NAME = "many-pods"

_RUNS, _QUICK_RUNS, _FIRST = 1000, 20, 20
_AT_ONCE = 8  # as many as two nodes of two processors take without waiting for each other
_CPU_BAR_MS: Final = 20.0
# As of many runs on Docker.
_MEMORY_BAR_KIB: Final = 32.0
_SPEC = ContainerSpec(
    BASE,
    Platform("linux", "amd64"),
    entrypoint=("/bin/sh",),
    command=("-c", "echo printed; mkdir /tmp/out; echo written > /tmp/out/file"),
    limits=Limits(timeout_s=120.0, network="bridge"),
)


def rows(plan: Plan) -> Iterator[Row]:
    """Processor time, memory and descriptors; none where no private cluster is up."""
    private = find_private_cluster(plan)
    if private is None:
        return
    runs = plan.count(_RUNS, _QUICK_RUNS)
    engine = open_engine(private.request())
    try:
        _run_all(engine, _FIRST)  # opens connections, loads what is loaded once
        began_s = time.process_time()
        samples = []
        for done in range(0, runs, _FIRST):
            _run_all(engine, min(_FIRST, runs - done))
            samples.append(_sample())
        cpu_ms = 1000 * (time.process_time() - began_s) / runs
    finally:
        engine.remove_session(keep_containers=False)
        engine.close()
        engine.disconnect()
    fault = f"{runs} runs on a cluster"
    yield _row(f"{fault}: processor time here", runs, cpu_ms, _CPU_BAR_MS, "ms per run")
    for place, name in enumerate(("KiB of memory", "descriptors")):
        grown = slope([each[place] for each in samples]) / _FIRST if len(samples) > 1 else 0.0
        bar = _MEMORY_BAR_KIB if place == 0 else 0.01
        yield _row(f"{fault}: {name}", runs, grown, bar, "more per run")


def _row(fault: str, runs: int, value: float, bar: float, unit: str) -> Row:
    holds = value <= bar
    problems = () if holds else (f"{value:.3g} {unit}",)
    return Row(fault, runs, runs if holds else 0, f"{value:.3g} {unit}", f"≤ {bar:g}", problems)


def _run_all(engine: Engine, count: int) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda _number: _run(engine), range(count)):
            pass


def _run(engine: Engine) -> None:
    """One run, of which everything is taken.

    Raises:
        RuntimeError: it ended otherwise than its program does.
    """
    with tempfile.TemporaryDirectory() as folder, engine.container(_SPEC) as container:
        container.start()
        ended = container.wait(120.0)
        stream = container.get("/tmp/out")
        data = b"" if stream is None else b"".join(stream)
        printed = Path(folder, "out"), Path(folder, "err")
        container.write_logs(*printed)
        if ended is None or ended.code != 0 or b"written" not in data:
            raise RuntimeError(f"it ended with {ended}, and {len(data)} bytes of outputs")
        if printed[0].read_bytes() != b"printed\n":
            raise RuntimeError(f"it printed {printed[0].read_bytes()!r}")


def _sample() -> tuple[float, float]:
    """KiB of resident memory, and open descriptors."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    kib = pages * os.sysconf("SC_PAGE_SIZE") / 1024
    return kib, float(sum(1 for _ in Path("/proc/self/fd").iterdir()))
