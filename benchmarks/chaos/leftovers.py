"""What a session has left: on the engine, among processes, in folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import docker
from docker.errors import APIError, NotFound

from benchmarks.chaos.session import Session, is_watcher, processes
from benchmarks.chaos.unclaimed import unclaimed
from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.model import LABEL

_POLL_S = 0.1


@dataclass(frozen=True)
class Cleaned:
    """How long it took until nothing was left.

    Args:
        seconds: since the start of the waiting; None when something is still left.
        left: what that is.
    """

    seconds: float | None
    left: tuple[str, ...] = ()


def wait_until_clean(find: Callable[[], tuple[str, ...]], timeout_s: float) -> Cleaned:
    """Look again and again until `find` finds nothing."""
    started = time.monotonic()
    while True:
        left = find()
        seconds = time.monotonic() - started
        if not left:
            return Cleaned(seconds)
        if seconds > timeout_s:
            return Cleaned(None, left)
        time.sleep(_POLL_S)


def left_by(
    api: docker.APIClient, session: Session, beside: Session | None = None
) -> tuple[str, ...]:
    """What is there of a session: on the engine, of its processes and temporary folders.

    The watcher is not counted: it stays for some seconds, for what the engine is still making.

    Args:
        beside: a later session in the same temporary folder, whose own entries do not count.
    """
    others = "-none-" if beside is None else f"-{beside.pid}-"
    place = session.place
    return (
        *objects_of(api, session),
        *(() if session.before is None else sorted(unclaimed(api) - session.before)),
        *(
            f"process {pid}: {words[:120]}"
            for pid, words in processes(place.token)
            if not is_watcher(words)
        ),
        *(
            f"in TMPDIR: {entry.name}"
            for entry in place.temporary.iterdir()
            if others not in entry.name
        ),
    )


def objects_of(api: docker.APIClient, session: Session) -> tuple[str, ...]:
    """A session's containers, networks, volumes and images on the engine."""
    return (*engine_objects(api, _labels(session)), *_images(api, session.place.token))


def left_for_good(api: docker.APIClient, session: Session) -> tuple[str, ...]:
    """The same, with watchers, and with the ledger that a session has in the cache."""
    place = session.place
    return (
        *left_by(api, session),
        *(f"watcher {pid}" for pid in session.watchers()),
        *(f"in the cache: {file.name}" for file in place.cache.glob("session-*.jsonl")),
    )


def containers_made_by(api: docker.APIClient, pid: int) -> tuple[str, ...]:
    """The containers of one worker."""
    made = api.containers(all=True, filters={"label": [f"{LABEL}.maker"]})
    return tuple(
        f"container {raw['Id'][:12]} ({raw['Status']})"
        for raw in made
        if raw["Labels"][f"{LABEL}.maker"].partition(":")[0] == str(pid)
    )


def engine_objects(api: docker.APIClient, labels: list[str]) -> Iterator[str]:
    """Containers, networks and volumes with all of these labels."""
    chosen = {"label": labels}
    for raw in api.containers(all=True, filters=chosen):
        yield f"container {raw['Id'][:12]} ({raw['Image']}, {raw['Status']})"
    for raw in api.networks(filters=chosen):
        yield f"network {raw['Name']}"
    for raw in api.volumes(filters=chosen)["Volumes"] or ():
        yield f"volume {raw['Name']}"


def remove(api: docker.APIClient, session: Session) -> None:
    """Remove what a session has left on the engine, after it was counted against us."""
    mine = {"label": _labels(session)}
    for raw in api.containers(all=True, filters=mine):
        _try(api.remove_container, raw["Id"], force=True, v=True)
    for raw in api.networks(filters=mine):
        _try(api.remove_network, raw["Id"])
    for raw in api.volumes(filters=mine)["Volumes"] or ():
        _try(api.remove_volume, raw["Name"])
    for raw in list_images(api, filters={"label": [f"{LABEL}.project={session.place.token}"]}):
        for tag in raw.get("RepoTags") or (raw["Id"],):
            _try(api.remove_image, tag)


def _try(call: Callable[..., object], *arguments: object, **options: object) -> None:
    try:
        call(*arguments, **options)
    except (APIError, NotFound):
        return


def _images(api: docker.APIClient, project: str) -> Iterator[str]:
    for raw in list_images(api, filters={"label": [f"{LABEL}.project={project}"]}):
        yield f"image {', '.join(raw.get('RepoTags') or (raw['Id'],))}"


def _labels(session: Session) -> list[str]:
    return [f"{LABEL}.pid={session.pid}", f"{LABEL}.pid-start={session.pid_start}"]
