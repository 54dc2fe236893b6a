"""What a pod's status says: that it runs, what it waits for, and why it will never run.

An infrastructure's failure is told as such, and is no verdict about the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_mlcontainer.engines.failures import FULL_DISK_REMEDY, cut_line
from pytest_mlcontainer.errors import EngineError, EngineLostError, GpuError, PlatformError
from pytest_mlcontainer.model import Platform

PROGRAM: Final = "program"  # the container of the project's own command
KEEPER: Final = "keeper"  # beside it, of the helper image: has what was printed, and the inputs
PREPARE: Final = "prepare"  # before both: brings the helper's program
COPY: Final = "copy"  # after that, where one is wanted: copies a folder of the project's image

_NEVER: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImageInspectError",
        "InvalidImageName",
        "RunContainerError",
        "StartError",
    }
)
# The first try may have met a registry that was just busy.
_PULL: Final = frozenset({"ImagePullBackOff"})
_TROUBLE: Final = frozenset({*_NEVER, *_PULL, "CrashLoopBackOff"})


@dataclass(frozen=True)
class PodPhase:
    """How far a pod is.

    Args:
        step: in words: queued, waiting for a node, pulling, starting, running, ended.
        why: what the cluster says of it; "" for nothing.
    """

    step: str
    why: str = ""

    def told(self) -> str:
        """In one line."""
        why = " ".join(self.why.split())
        return f"{self.step}: {cut_line(why)}" if why else self.step


def phase_of(pod: Mapping[str, Any]) -> PodPhase:
    """How far a pod is."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return PodPhase("ended", str(status.get("reason") or ""))
    scheduled = _condition(status, "PodScheduled")
    if not scheduled or scheduled.get("status") != "True":
        return PodPhase("waiting for a node", str((scheduled or {}).get("message") or ""))
    if is_running(pod):
        return PodPhase("running")
    for waiting in _waiting(status):
        if "Image" in str(waiting.get("reason")) or "Pull" in str(waiting.get("reason")):
            return PodPhase("pulling its image", str(waiting.get("message") or ""))
    return PodPhase("starting")


def is_running(pod: Mapping[str, Any]) -> bool:
    """Whether programs can be executed in both of its containers."""
    states = {
        each["name"]: each.get("state") or {}
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
    }
    return all("running" in states.get(name, {}) for name in (PROGRAM, KEEPER))


def why_never(pod: Mapping[str, Any], platform: Platform) -> EngineError | None:
    """Why a pod that does not run yet will not; None as long as it may."""
    status = pod.get("status") or {}
    ended = why_ended(pod)
    if ended is not None:
        return ended
    for waiting in _waiting(status):
        reason, message = str(waiting.get("reason")), str(waiting.get("message") or "")
        if reason in _PULL:
            return image_error(message)
        if reason in _NEVER and "secret" not in message:
            return _not_started(reason, message, platform)
    return None


def why_ended(pod: Mapping[str, Any]) -> EngineError | None:
    """Why the cluster ended a pod, if it did; None for one that lives, or ended by itself."""
    status = pod.get("status") or {}
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    disrupted = _condition(status, "DisruptionTarget") or {}
    if reason == "Evicted":
        return _evicted(message)
    if reason == "DeadlineExceeded":
        return EngineError(
            "the cluster ended the pod at its deadline",
            message or "activeDeadlineSeconds",
            "raise timeout of the entrypoint; its inputs and outputs count for half an hour more",
        )
    if disrupted.get("status") == "True":
        return _disrupted(status, str(disrupted.get("reason")), str(disrupted.get("message")))
    if reason in ("NodeLost", "NodeShutdown", "Terminated"):
        return node_lost(message)
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return EngineLostError(
            "somebody removed the pod", str(pod["metadata"].get("name")), "run it again"
        )
    return None


def _evicted(message: str) -> EngineError:
    """What a kubelet removes: a pod past a limit of its own, or one of many on a node that is short
    of something, as kubelet's `eviction` package words it."""
    if "exceed" in message:
        return EngineError(
            "the pod was evicted: it wrote more to its disk than it may",
            message,
            "raise disk of the entrypoint (shm-size for /dev/shm), or write less",
        )
    return EngineLostError(
        "the pod was evicted: its node is short of something",
        message,
        "free disk on the node, or set memory of the entrypoint, so that the scheduler finds a "
        "node with room for it",
    )


def _disrupted(status: Mapping[str, Any], by: str, message: str) -> EngineError:
    """What the cluster did to a pod that did nothing itself."""
    said = f"{by}: {message}"
    # A node that is not heard of has unready pods; then a taint removes them, or, when the node
    # itself is removed, the collector of garbage.
    ready = (_condition(status, "Ready") or {}).get("status")
    if by == "DeletionByPodGC" or (by == "DeletionByTaintManager" and ready != "True"):
        return node_lost(said)
    if by == "PreemptionByScheduler":
        return EngineLostError(
            "the pod was preempted",
            said,
            "give it a priority (priority-class of [tool.mlcontainer.kubernetes]), or run it when "
            "the cluster is less busy",
        )
    return EngineLostError(
        "the pod was evicted from its node",
        said,
        "see who drains or taints the node (`kubectl describe node`); the run can be repeated",
    )


def node_lost(message: str) -> EngineLostError:
    """The pod's node does not answer any more."""
    return EngineLostError(
        "the pod's node is lost", message, "see `kubectl describe node`; the run can be repeated"
    )


def was_oom_killed(pod: Mapping[str, Any]) -> bool:
    """Whether the program's whole container ended because its memory was used up."""
    ended = terminated(pod)
    return ended is not None and ended.get("reason") == "OOMKilled"


def terminated(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How the program's container ended; None as long as it runs."""
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each["name"] == PROGRAM:
            found = (each.get("state") or {}).get("terminated")
            return None if found is None else dict(found)
    return None


def troubled_containers(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of containers that cannot be started, or have ended badly in a pod that has failed, and
    what is said of each."""
    status = pod.get("status") or {}
    for each in _statuses(status):
        state = each.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        said = waiting if waiting.get("reason") in _TROUBLE else ended
        if said is waiting or (ended.get("exitCode") and status.get("phase") == "Failed"):
            words = f"{said.get('reason', '')} {said.get('message', '')}".strip()
            yield each["name"], words if said is waiting else f"{words} ({ended['exitCode']})"


def exit_code_of_one(pod: Mapping[str, Any]) -> int | None:
    """How the only container of a pod ended; None where that is not known."""
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated")
        if ended is not None:
            return int(ended["exitCode"])
    return None


def unscheduled(message: str, platform: Platform, pending_s: float) -> EngineError:
    """No node takes the pod, in the scheduler's words."""
    said = message or "the scheduler has not looked at it"
    waited = f"{said} (after {pending_s:g} s)"
    if "nvidia.com/gpu" in said or re.search(r"Insufficient \S*gpu", said):
        return GpuError(
            "no node of the cluster has such a GPU free",
            waited,
            "run without --gpus, wait until one is free, or name what nodes call theirs: "
            "gpu-resource of [tool.mlcontainer.kubernetes]",
        )
    if "Insufficient" in said:
        return EngineError(
            "no node of the cluster has room for the pod",
            waited,
            "ask for less (memory, cpus, disk of the entrypoint), let fewer runs go at once "
            "(--container-parallel), or wait longer: pending-timeout",
        )
    tolerate = "name the taint under tolerations of [tool.mlcontainer.kubernetes]"
    if "affinity/selector" in said:
        # Nodes of other platforms do not fit in any case, and tainted ones may be of any.
        tainted = f"; where one of them is tainted, {tolerate}" * ("untolerated taint" in said)
        return PlatformError(
            f"no node of the cluster is free for {platform} with the labels asked for",
            waited,
            f"`kubectl get nodes --label-columns=kubernetes.io/arch` shows what there is{tainted}; "
            f"or leave {platform} out, name another engine for it, or correct node-selector",
        )
    if "untolerated taint" in said:
        return EngineError("no node of the cluster lets the pod on it", waited, tolerate)
    return EngineError(
        "the pod finds no node", waited, "see `kubectl describe` of it, or raise pending-timeout"
    )


def image_error(message: str) -> EngineError:
    """A node cannot pull an image, in the words of its runtime."""
    # A registry may say neither that something is there nor that it is not: both are then told.
    if re.search(r"unauthorized|denied|authorization|\b40[13]\b|credential", message, re.I):
        return EngineError(
            "the cluster's node is not allowed to pull the image",
            message,
            "make a Secret of docker's configuration (`kubectl create secret docker-registry …`) "
            "and name it under pull-secrets of [tool.mlcontainer.kubernetes]; where there is one, "
            "see whether its registry, user and password, and the image's name, are right",
        )
    if re.search(r"not found|manifest unknown|NAME_UNKNOWN|does not exist", message):
        return EngineError(
            "the cluster's node does not find the image",
            message,
            "check registry, node-registry and helper-image of [tool.mlcontainer.kubernetes]: the "
            "node's name for a registry may be another than this machine's",
        )
    if re.search(r"no match for platform|no matching manifest", message):
        return PlatformError(
            "the image is not for the platform of the cluster's node",
            message,
            "name the digest of an image, or an index, that has the platform",
        )
    if re.search(r"x509|certificate", message):
        return EngineError(
            "the cluster's node does not trust the registry's certificate",
            message,
            "install its authority on the nodes, as their runtime's documentation says",
        )
    return EngineError(
        "the cluster's node cannot pull the image",
        message,
        "see whether the node reaches the registry: `mlcontainer doctor --engine=URL`",
    )


def _not_started(reason: str, message: str, platform: Platform) -> EngineError:
    if "exec format error" in message:
        return cannot_run(platform, message)
    if "non-numeric user" in message or "runAsNonRoot" in message:
        return EngineError(
            "the cluster wants to know that the image's user is not root",
            message,
            "name it by its number: `USER 1000` in the Dockerfile, or user of the entrypoint",
        )
    if "no space left" in message:
        return EngineError("the node's disk is full", message, FULL_DISK_REMEDY)
    return EngineError(f"the pod's container cannot be started: {reason}", message, "")


def cannot_run(platform: Platform, value: str) -> PlatformError:
    """A node of another architecture, which does not emulate the platform."""
    return PlatformError(
        f"the cluster's node cannot run {platform}",
        value,
        "its kubernetes.io/arch is another one: correct node-selector, or have the node emulate it",
    )


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    found: Sequence[Mapping[str, Any]] = status.get("conditions") or ()
    return next((each for each in found if each.get("type") == kind), None)


def _statuses(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    names = ("initContainerStatuses", "containerStatuses")
    return (each for name in names for each in status.get(name) or ())


def _waiting(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in _statuses(status):
        waiting = (each.get("state") or {}).get("waiting")
        if waiting:
            yield waiting
