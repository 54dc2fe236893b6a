"""What a pod's status is told as."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.kubernetes import pod_states
from pytest_mlcontainer.engines.kubernetes.rewritten import check_rewritten
from pytest_mlcontainer.engines.kubernetes.supervised import SupervisorState, parse_told
from pytest_mlcontainer.errors import EngineError, EngineLostError, GpuError, PlatformError
from pytest_mlcontainer.model import Platform

AMD64 = Platform("linux", "amd64")
SCHEDULED = {"type": "PodScheduled", "status": "True"}


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"phase": phase, **status}}


def containers(**states: Any) -> list[dict[str, Any]]:
    return [{"name": name, "state": state} for name, state in states.items()]


def test_how_far_a_pod_is() -> None:
    message = "0/2 nodes are available"
    waiting = {"type": "PodScheduled", "status": "False", "message": message}
    assert pod_states.phase_of(pod(conditions=[waiting])) == pod_states.PodPhase(
        "waiting for a node", message
    )
    pulling = containers(program={"waiting": {"reason": "ErrImagePull", "message": "busy"}})
    found = pod_states.phase_of(pod(conditions=[SCHEDULED], containerStatuses=pulling))
    assert found == pod_states.PodPhase("pulling its image", "busy")
    creating = containers(program={"waiting": {"reason": "ContainerCreating"}})
    found = pod_states.phase_of(pod(conditions=[SCHEDULED], containerStatuses=creating))
    assert found.step == "starting"
    both = containers(program={"running": {}}, keeper={"running": {}})
    running = pod("Running", conditions=[SCHEDULED], containerStatuses=both)
    assert pod_states.phase_of(running).step == "running"
    assert pod_states.phase_of(pod("Failed", reason="Evicted")).step == "ended"


def test_a_pod_runs_when_both_of_its_containers_do() -> None:
    one = containers(program={"running": {}}, keeper={"waiting": {}})
    assert not pod_states.is_running(pod("Running", containerStatuses=one))
    assert not pod_states.is_running(pod())


def test_a_first_failed_pull_is_waited_for() -> None:
    for reason, expected in (("ErrImagePull", False), ("ImagePullBackOff", True)):
        state = containers(program={"waiting": {"reason": reason, "message": "not found"}})
        assert (pod_states.why_never(pod(containerStatuses=state), AMD64) is not None) == expected


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ('failed to resolve reference "r/x": not found', EngineError, "does not find"),
        ("failed to resolve r/x@sha256:a401f403c: not found", EngineError, "does not find"),
        (
            "pull access denied, repository does not exist or may require authorization",
            EngineError,
            "not allowed",
        ),
        ("failed to authorize: 401 Unauthorized", EngineError, "not allowed"),
        ("no match for platform in manifest: not satisfied", PlatformError, "not for the platform"),
        ("x509: certificate signed by unknown authority", EngineError, "does not trust"),
        ("dial tcp: i/o timeout", EngineError, "cannot pull"),
    ],
)
def test_why_an_image_cannot_be_pulled(message: str, kind: type[EngineError], words: str) -> None:
    error = pod_states.image_error(message)
    assert isinstance(error, kind)
    assert words in error.what
    assert error.value == message
    assert error.remedy


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ("0/2 nodes are available: 2 Insufficient memory.", EngineError, "has room"),
        ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", GpuError, "GPU"),
        ("0/2: 2 Insufficient amd.com/gpu.", GpuError, "GPU"),
        ("0/2: 2 node(s) didn't match Pod's node affinity/selector.", PlatformError, "linux/amd64"),
        ("0/1: 1 node(s) had untolerated taint {a: b}.", EngineError, "lets the pod on it"),
        (
            "0/2: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated "
            "taint(s).",
            PlatformError,
            "linux/amd64",
        ),
        ("something else", EngineError, "finds no node"),
    ],
)
def test_why_no_node_takes_a_pod(message: str, kind: type[EngineError], words: str) -> None:
    error = pod_states.unscheduled(message, AMD64, 60.0)
    assert isinstance(error, kind)
    assert words in error.what
    assert message in error.value
    assert "60 s" in error.value
    assert error.remedy


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ({"reason": "Evicted", "message": "local storage exceeds the limit"}, EngineError, "disk"),
        ({"reason": "Evicted", "message": "low on memory"}, EngineLostError, "short of"),
        ({"reason": "Evicted", "message": "low on resource: ephemeral-storage."},
         EngineLostError, "short of"),
        ({"reason": "DeadlineExceeded"}, EngineError, "deadline"),
        ({"reason": "NodeLost"}, EngineLostError, "node is lost"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True",
                             "reason": "PreemptionByScheduler"}]},
            EngineLostError,
            "preempted",
        ),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True",
                             "reason": "EvictionByEvictionAPI"}]},
            EngineLostError,
            "evicted",
        ),
    ],
)  # fmt: skip
def test_why_the_cluster_ended_a_pod(
    status: dict[str, Any], kind: type[EngineError], words: str
) -> None:
    """What an infrastructure did is lost, to be run again; what the run asked for is not."""
    error = pod_states.why_ended(pod("Failed", **status))
    assert error is not None
    assert words in error.what
    assert isinstance(error, EngineLostError) == (kind is EngineLostError)


def test_a_pod_that_somebody_removed_is_lost() -> None:
    removed = pod("Running")
    assert pod_states.why_ended(removed) is None
    removed["metadata"]["deletionTimestamp"] = "now"
    assert isinstance(pod_states.why_ended(removed), EngineLostError)


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("CreateContainerConfigError", "container has runAsNonRoot and image has non-numeric user",
         "not root"),
        ("RunContainerError", "exec /.mlcontainer/busybox: exec format error", "cannot run"),
        ("CreateContainerError", "no space left on device", "disk is full"),
        ("InvalidImageName", "could not parse", "InvalidImageName"),
    ],
)  # fmt: skip
def test_why_a_container_cannot_be_started(reason: str, message: str, words: str) -> None:
    state = containers(program={"waiting": {"reason": reason, "message": message}})
    error = pod_states.why_never(pod(containerStatuses=state), AMD64)
    assert error is not None
    assert words in error.what


def test_a_secret_that_is_being_made_is_waited_for() -> None:
    state = containers(
        program={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s"'}}
    )
    assert pod_states.why_never(pod(containerStatuses=state), AMD64) is None


def test_memory_that_took_the_whole_container() -> None:
    ended = containers(program={"terminated": {"reason": "OOMKilled", "exitCode": 137}})
    assert pod_states.was_oom_killed(pod("Running", containerStatuses=ended))
    assert not pod_states.was_oom_killed(pod("Running"))


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (b"", SupervisorState()),
        (b"ready\n", SupervisorState(ready=True)),
        (b"ready\nstarted\nfull\n", SupervisorState(ready=True, started=True, full=True)),
        (b"ready\nrefused missing\n", SupervisorState(ready=True, refused="missing")),
        (b"ready\nnetwork-open\n", SupervisorState(ready=True, network_open=True)),
        (b"ready\nstarted\nexit 137 2 30 4\n",
         SupervisorState(ready=True, started=True, exit_code=137, oom_kills=2, printed=(30, 4))),
        (b"ready\nstarted\nexit 13", SupervisorState(ready=True, started=True)),
        (b"\xff\nexit x y\n", SupervisorState()),
    ],
)  # fmt: skip
def test_what_the_supervisor_tells(log: bytes, told: SupervisorState) -> None:
    """A line that is cut off says nothing yet: `exit 13` may become `exit 137`."""
    assert parse_told(log) == told


@pytest.mark.parametrize(
    ("image", "is_same"),
    [("r/x@sha256:1", True), ("mirror/x@sha256:1", True), ("r/x@sha256:2", False), ("r/x", False)],
)
def test_a_mirror_of_the_registry_has_the_same_image(image: str, is_same: bool) -> None:
    asked = {"containers": [{"name": "program", "image": "r/x@sha256:1"}]}
    found = {"spec": {"containers": [{"name": "program", "image": image}]}}
    if is_same:
        check_rewritten(asked, found)
    else:
        with pytest.raises(EngineError, match="something else"):
            check_rewritten(asked, found)
