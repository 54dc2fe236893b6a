"""Parts of a cluster are killed, and pods removed, at random moments of runs; on the private one.

A run ends with all that its program wrote, to the last bit, or with an error of the engine; and
nothing of it is left. `scripts/cluster` has the cluster, and kills and starts its parts.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.private_cluster import BASE, PrivateCluster, find_private_cluster
from benchmarks.chaos.table import Row
from pytest_mlcontainer.engines import ContainerSpec, Engine
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.errors import EngineError, EngineLostError
from pytest_mlcontainer.model import Limits, Platform

NAME = "pods"

_LENGTH_S = 12.0  # of a run from its Job to its outputs, about
_HANG_S = 240.0
# Until nothing is left: a node without its container runtime removes pods when that is back.
_LEFT_S = 60.0
_PARTS = ("apiserver", "kubelet-node1", "containerd-node1", "scheduler", "etcd")
_KINDS = (*_PARTS, "pod removed", "connections cut")
# Files of which one is as long as many frames, and what is printed on both streams.
_PROGRAM = """
i=0; mkdir /tmp/out
while [ $i -lt 200 ]; do echo line $i; echo other $i >&2; i=$((i+1)); sleep 0.02; done
head -c 20000000 /dev/zero | tr '\\0' x > /tmp/out/large
i=0; while [ $i -lt 500 ]; do echo $i > /tmp/out/$i; i=$((i+1)); done
exit 7
"""
_PRINTED = tuple(
    "".join(f"{word} {number}\n" for number in range(200)).encode() for word in ("line", "other")
)


@dataclass(frozen=True)
class _Came:
    """What came of one trial; `whole` is None where the run was lost, as it may be."""

    seconds: float
    whole: bool | None
    problems: tuple[str, ...] = ()


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each fault; none where no private cluster is up."""
    private = find_private_cluster(plan)
    if private is None:
        return
    first = _run(private)
    if first.problems or not first.whole:
        raise RuntimeError(f"an undisturbed run fails: {first.problems}")
    plan.say(f"pods: a run takes {first.seconds:.1f} s")
    for kind in (each for each in _KINDS if plan.kind in (None, each)):
        yield _try(plan, private, kind, max(_LENGTH_S, first.seconds))


def _try(plan: Plan, private: PrivateCluster, kind: str, length_s: float) -> Row:
    numbers = plan.numbers(plan.count(28, 1))
    came, problems = [], []
    for number in numbers:
        moment_s = plan.dice(NAME, kind, number).uniform(0.2, length_s)
        result = _disturbed(private, kind, moment_s)
        came.append(result)
        problems += [f"--only {number}, after {moment_s:.1f} s: {each}" for each in result.problems]
        plan.say(f"pods: {kind} after {moment_s:.1f} s: {_said(result)}")
    survived = sum(not each.problems for each in came)
    lost = sum(each.whole is None for each in came)
    worst = f"{max(each.seconds for each in came):.0f} s, {lost} lost"
    bar = f"whole or an error; ≤ {_HANG_S:g} s; 0 left after {_LEFT_S:g} s"
    return Row(f"pods: {kind}", len(came), survived, worst, bar, tuple(problems))


def _said(came: _Came) -> str:
    end = "lost" if came.whole is None else "whole" if came.whole else "WRONG"
    return f"{end} in {came.seconds:.1f} s{''.join(f'; {each}' for each in came.problems)}"


def _disturbed(private: PrivateCluster, kind: str, moment_s: float) -> _Came:
    actions: dict[str, Callable[[], None]] = {
        "pod removed": private.remove_pods,
        "connections cut": private.cut,
    }

    def disturb() -> None:
        time.sleep(moment_s)
        if kind in actions:
            actions[kind]()
        else:
            private.part("stop", kind)
            private.part("start", kind)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        return _run(private, thread)
    finally:
        thread.join()


def _run(private: PrivateCluster, beside: threading.Thread | None = None) -> _Came:
    """One run, and what is left of it."""
    begun, problems, whole = time.monotonic(), [], None
    engine = None
    try:
        engine = open_engine(private.request())
        whole, wrong = _result(engine)
        problems += wrong
    except EngineError as error:
        if not isinstance(error, EngineLostError):
            problems += [] if _is_the_clusters(error) else [f"{error.what}: {error.value}"]
    except Exception as error:
        problems.append(f"unexplained: {type(error).__name__}: {error}")
    seconds = time.monotonic() - begun
    if seconds > _HANG_S:
        problems.append(f"it took {seconds:.0f} s")
    if beside is not None:
        beside.join()
    if engine is not None:
        problems += _clean(private, engine)
    return _Came(seconds, whole, tuple(problems))


# What an error says that puts the blame on the cluster, as it must.
_CLUSTERS: Final = ("cluster", "pod", "node", "connection", "API", "Job")


def _is_the_clusters(error: EngineError) -> bool:
    return any(word in error.what for word in _CLUSTERS)


def _result(engine: Engine) -> tuple[bool, list[str]]:
    """Whether all came that the program wrote and printed, and how it ended."""
    spec = ContainerSpec(
        BASE,
        Platform("linux", "amd64"),
        entrypoint=("/bin/sh",),
        command=("-c", _PROGRAM),
        limits=Limits(timeout_s=120.0, network="bridge"),
    )
    printed = tuple(Path(f"/tmp/chaos-{os.getpid()}-{name}") for name in ("out", "err"))
    wrong = []
    try:
        with engine.container(spec) as container:
            container.start()
            ended = container.wait(120.0)
            if ended is None or ended.code != 7:
                wrong.append(f"it ended with {ended}")
            stream = container.get("/tmp/out")
            data = b"" if stream is None else b"".join(stream)
            container.write_logs(*printed)
            said = tuple(each.read_bytes() for each in printed)
    finally:
        for each in printed:
            with suppress(FileNotFoundError):
                each.unlink()
    wrong += [] if said == _PRINTED else ["what it printed is not whole"]
    wrong += _missing(data)
    return not wrong, wrong


def _missing(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {
            entry.name: hashlib.sha256(content.read()).hexdigest()
            for entry in tar
            if (content := tar.extractfile(entry)) is not None
        }
    expected = {f"out/{number}": f"{number}\n".encode() for number in range(500)}
    expected["out/large"] = b"x" * 20_000_000
    digests = {name: hashlib.sha256(each).hexdigest() for name, each in expected.items()}
    return [] if found == digests else ["its outputs are not whole"]


def _clean(private: PrivateCluster, engine: Engine) -> list[str]:
    """Remove the session as whoever cleans up after it does; what is left then."""
    deadline = time.monotonic() + 60.0
    while True:
        try:
            engine.remove_session(keep_containers=False)
            break
        except EngineError as error:
            if time.monotonic() > deadline:
                return [f"its session cannot be removed: {error}"]
            time.sleep(1.0)
    engine.close()
    engine.disconnect()
    deadline = time.monotonic() + _LEFT_S
    left: set[str] = set()
    while time.monotonic() < deadline:
        with suppress(subprocess.CalledProcessError):
            left = private.left()
            if not left:
                return []
        time.sleep(0.5)
    return [f"left: {', '.join(sorted(left))}"]
