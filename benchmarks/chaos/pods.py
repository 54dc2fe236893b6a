"""Parts of a cluster are killed, and pods removed, at random moments of runs; on the private one.

A run ends with all that its program wrote, to the last bit, or with an error of the engine; and
nothing of it is left. `scripts/cluster` has the cluster, and kills and starts its parts.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row
from pytest_mlcontainer.engines import ContainerSpec, Engine, EngineRequest, ImageStore, LogLine
from pytest_mlcontainer.engines.registry import open_engine, open_repository
from pytest_mlcontainer.errors import EngineError, EngineLostError
from pytest_mlcontainer.model import ClusterSettings, Image, ImageName, Limits, Platform
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.publishing.pushing import push_tagged

NAME = "pods"

_ROOT = Path(__file__).parents[2]
_BASE = "python:3.13-slim"
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
class _Private:
    """The private cluster, and what it is called by whom."""

    environ: dict[str, str]
    settings: ClusterSettings

    def request(self) -> EngineRequest:
        owner = current_owner(uuid.uuid4().hex)
        return EngineRequest(
            "kubernetes://", self.environ, owner, cluster=self.settings, send=self.send
        )

    def send(self, name: ImageName, image: Image, store: ImageStore, log: LogLine) -> str:
        with closing(open_repository(name, self.environ, push=True)) as repository:
            return push_tagged(repository, image, store, log)

    def part(self, what: str, name: str) -> None:
        """Kill a part, or start it again."""
        command = (sys.executable, "scripts/cluster", what, name)
        subprocess.run(command, cwd=_ROOT, env=self.environ, check=True, capture_output=True)

    def remove_pods(self) -> None:
        """As somebody with kubectl does."""
        kubectl = self.environ["MLCONTAINER_TEST_KUBECTL"]
        command = (kubectl, "delete", "pods", "--wait=false", "-l", "pytest-mlcontainer=true")
        subprocess.run(command, env=self.environ, check=True, capture_output=True)

    def cut(self) -> None:
        """Break every connection to the API server that there is."""
        server = Path(self.environ["KUBECONFIG"]).read_text().partition("server")[2]
        found = re.search(r"https://[^\s\"]+:(\d+)", server)
        assert found is not None
        command = ("ss", "-K", "dport", "=", f":{found[1]}")
        subprocess.run(command, check=False, capture_output=True)

    def left(self) -> set[str]:
        """Everything of ours that the cluster has."""
        kubectl = self.environ["MLCONTAINER_TEST_KUBECTL"]
        kinds = "jobs,pods,secrets,configmaps,networkpolicies"
        command = (kubectl, "get", kinds, "-o", "name", "-l", "pytest-mlcontainer=true")
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return set(done.stdout.split())


@dataclass(frozen=True)
class _Came:
    """What came of one trial; `whole` is None where the run was lost, as it may be."""

    seconds: float
    whole: bool | None
    problems: tuple[str, ...] = ()


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each fault; none where no private cluster is up."""
    private = _private()
    if private is None:
        plan.say("pods: no private cluster is up (make cluster-up), so that none was disturbed")
        return
    plan.api.pull("python", tag=_BASE.rpartition(":")[2], platform="linux/amd64")
    first = _run(private)
    if first.problems or not first.whole:
        raise RuntimeError(f"an undisturbed run fails: {first.problems}")
    plan.say(f"pods: a run takes {first.seconds:.1f} s")
    for kind in (each for each in _KINDS if plan.kind in (None, each)):
        yield _try(plan, private, kind, max(_LENGTH_S, first.seconds))


def _private() -> _Private | None:
    command = (sys.executable, "scripts/cluster", "env")
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    told = dict(
        line.removeprefix("export ").split("=", 1)
        for line in done.stdout.splitlines()
        if line.startswith("export ")
    )
    if done.returncode or "KUBECONFIG" not in told:
        return None
    given = {name: value.strip("'\"") for name, value in told.items()}
    settings = ClusterSettings(
        registry=f"{given['MLCONTAINER_TEST_REGISTRY']}/chaos",
        node_registry=f"{given['MLCONTAINER_TEST_NODE_REGISTRY']}/chaos",
        helper_image=given["MLCONTAINER_TEST_HELPER_IMAGE"],
        pending_s=120.0,
    )
    authority = given["MLCONTAINER_TEST_REGISTRY_CA"]
    return _Private({**os.environ, **given, "SSL_CERT_FILE": authority}, settings)


def _try(plan: Plan, private: _Private, kind: str, length_s: float) -> Row:
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


def _disturbed(private: _Private, kind: str, moment_s: float) -> _Came:
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


def _run(private: _Private, beside: threading.Thread | None = None) -> _Came:
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
        _BASE,
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


def _clean(private: _Private, engine: Engine) -> list[str]:
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
