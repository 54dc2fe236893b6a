"""Finding and removing what sessions made in a namespace, by label. Nothing without ours."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from pytest_mlcontainer.engines import Leftover, LeftoverKind
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi, NotThereError
from pytest_mlcontainer.engines.kubernetes.labels import (
    KEEP,
    MAKER,
    NAME,
    SESSION,
    as_label,
    of_session,
    owner_notes,
)
from pytest_mlcontainer.engines.kubernetes.volumes import forget_volumes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import LABEL
from pytest_mlcontainer.owners import host_name, is_alive

_KINDS: Final = {
    "jobs": LeftoverKind.CONTAINER,
    "networkpolicies": LeftoverKind.NETWORK,
    "configmaps": LeftoverKind.VOLUME,
    "secrets": LeftoverKind.VOLUME,
    "pods": LeftoverKind.CONTAINER,
}
_TOLD: Final = tuple(_KINDS)
_GRACE_S: Final = 1
_JOB: Final = "batch.kubernetes.io/job-name"
_TRACKING: Final = "batch.kubernetes.io/job-tracking"


def remove_session(api: ClusterApi, session: str, *, keep_containers: bool) -> bool:
    """Remove everything of a session, but what is to stay for a look; returns whether there was
    anything."""
    removed = False
    for kind, thing in _of(api, of_session(session)):
        if keep_containers and KEEP in owner_notes(thing):
            continue
        there = _delete(api, kind, str(thing["metadata"]["name"]))
        # A policy is the session's own and stays to its end, with nothing that it applies to.
        removed = removed or (there and kind != "networkpolicies")
    _let_go(api, of_session(session))
    forget_volumes(session)
    return removed


def remove_job(api: ClusterApi, name: str) -> bool:
    """Remove a Job with its pod; returns whether there was one.

    A cluster removes the pod by itself, but takes its time when its controllers were away.
    """
    there = api.delete("jobs", name)
    for pod in api.list("pods", f"{_JOB}={name}")["items"]:
        api.delete("pods", str(pod["metadata"]["name"]), grace_s=_GRACE_S)
    return there


def remove_made(api: ClusterApi, session: str, maker: str) -> bool:
    """Remove the Jobs that one process of a session made, but none to keep."""
    removed = False
    ours = f"{of_session(session)},{MAKER}={as_label(maker)}"
    for kind in ("jobs", "secrets"):
        for thing in api.list(kind, ours)["items"]:
            told = owner_notes(thing)
            if told.get(MAKER) == maker and KEEP not in told:
                removed = _delete(api, kind, str(thing["metadata"]["name"])) or removed
    return removed


def remove_dead(api: ClusterApi) -> tuple[str, ...]:
    """Remove what owners of this host left that do not live any more; returns their sessions."""
    dead = set()
    for _kind, thing in _of(api, SESSION):
        told = owner_notes(thing)
        if told.get(f"{LABEL}.host") == host_name() and not _lives(told):
            dead.add(str(told.get(SESSION)))
    return tuple(
        session for session in sorted(dead) if remove_session(api, session, keep_containers=True)
    )


def find_leftovers(api: ClusterApi) -> tuple[Leftover, ...]:
    """Everything of any session, in the order in which it can be removed."""
    return tuple(_judge(kind, thing) for kind, thing in _of(api, SESSION))


def remove_leftover(api: ClusterApi, thing: Leftover) -> Leftover:
    """Remove one thing; returns it with `left` set when the cluster does not let it go."""
    kind, _slash, name = thing.id.partition("/")
    try:
        _delete(api, kind, name)
    except EngineError as error:
        return replace(thing, left=f"the cluster keeps it: {error.value}")
    return thing


def is_ours(thing: Leftover) -> bool:
    """Whether a leftover is a cluster's, and not an image of the engine beside it."""
    return thing.id.partition("/")[0] in _TOLD


def _delete(api: ClusterApi, kind: str, name: str) -> bool:
    if kind == "jobs":
        return remove_job(api, name)
    return api.delete(kind, name, grace_s=_GRACE_S if kind == "pods" else None)


def _let_go(api: ClusterApi, selector: str) -> None:
    """Pods that were deleted and whose Job is gone: what counted them for it holds them no more.

    A cluster's own controller does so, but after minutes where the API was away meanwhile.
    """
    held = {
        str(pod["metadata"]["name"]): pod["metadata"]
        for pod in api.list("pods", selector)["items"]
        if "deletionTimestamp" in pod["metadata"]
        and _TRACKING in pod["metadata"].get("finalizers", ())
    }
    jobs = _names(api.list("jobs", selector)) if held else set()
    for name, about in held.items():
        if about["labels"].get(_JOB) not in jobs:
            others = [each for each in about["finalizers"] if each != _TRACKING]
            with suppress(NotThereError):
                api.merge("pods", name, {"metadata": {"finalizers": others}})


def _names(listed: Mapping[str, Any]) -> set[str]:
    return {str(thing["metadata"]["name"]) for thing in listed["items"]}


def _of(api: ClusterApi, selector: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What there is, with its kind; of pods those alone whose Job went without them.

    It does where the cluster's API went away between the two.
    """
    jobs = set()
    for kind in _TOLD:
        for thing in api.list(kind, selector)["items"]:
            about = thing["metadata"]
            if kind == "jobs":
                jobs.add(about["name"])
            if kind != "pods" or _is_forgotten(about, jobs):
                yield kind, thing


def _is_forgotten(pod: Mapping[str, Any], jobs: Container[str]) -> bool:
    return pod["labels"].get(_JOB) not in jobs and "deletionTimestamp" not in pod


def _judge(kind: str, thing: Mapping[str, Any]) -> Leftover:
    told, name = owner_notes(thing), str(thing["metadata"]["name"])
    session, pid = str(told.get(SESSION, ""))[:8], str(told.get(f"{LABEL}.pid", ""))
    host = str(told.get(f"{LABEL}.host", ""))
    found = Leftover(_KINDS[kind], f"{kind}/{name}", told.get(NAME, name), f"session {session}")
    if host != host_name():
        left = f"only there is it known whether process {pid} still runs: run this there"
        why = f"session {session} on {host or 'another machine'}"
        return replace(found, why=why, left=left)
    if _lives(told):
        return replace(found, left=f"process {pid} still runs")
    why = "kept by --container-keep" if KEEP in told else f"process {pid} is gone"
    return replace(found, why=f"session {session}, {why}")


def _lives(told: Mapping[str, str]) -> bool:
    pid = told.get(f"{LABEL}.pid", "")
    return pid.isdigit() and is_alive(int(pid), told.get(f"{LABEL}.pid-start", ""))
