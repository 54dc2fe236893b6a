"""Finding and removing, by label, what a session made on an engine. Nothing without our label."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import docker
from docker.errors import APIError, NotFound

from pytest_mlcontainer.model import LABEL, Owner
from pytest_mlcontainer.owners import is_alive, this_maker

# On containers of a session with --container-keep: only `mlcontainer clean` removes them later.
KEEP_LABEL = f"{LABEL}.keep"
# Under pytest-xdist a session has many makers. Volumes and networks are everybody's, so that only
# a container goes with the process that made it.
_MAKER_LABEL = f"{LABEL}.maker"
Filters = dict[str, list[str]]
_LISTINGS, _LISTING_PAUSE_S = 5, 0.1


def container_labels(owner: Owner) -> dict[str, str]:
    """The labels of a container that this process makes for `owner`."""
    return owner.labels() | {_MAKER_LABEL: this_maker()}


def remove_made(api: docker.APIClient, session: str, maker: str) -> bool:
    """Remove the containers that one process of a session made, but none to keep.

    Returns:
        Whether anything was removed.
    """
    ours = {"label": [f"{LABEL}.session={session}", f"{_MAKER_LABEL}={maker}"]}
    return _remove_containers(api, ours, keep=True)


def remove_session(api: docker.APIClient, session: str, *, keep_containers: bool) -> bool:
    """Remove the containers, networks and volumes that carry this session's label.

    Args:
        keep_containers: leave those that `--container-keep` wants to stay.

    Returns:
        Whether anything was removed: what a container that stays still uses stays too.
    """
    ours = {"label": [f"{LABEL}.session={session}"]}
    removed = _remove_containers(api, ours, keep=keep_containers)
    for network in api.networks(filters=ours):
        with suppress(APIError):
            api.remove_network(network["Id"])
            removed = True
    for volume in api.volumes(filters=ours)["Volumes"] or ():
        with suppress(APIError):
            api.remove_volume(volume["Name"], force=True)
            removed = True
    return removed


def list_images(
    api: docker.APIClient, name: str | None = None, filters: Filters | None = None
) -> list[dict[str, Any]]:
    """The engine's images; arguments as of docker-py's `images`.

    With containerd's store an engine fails to list anything while another image is removed.
    """
    for _ in range(_LISTINGS):
        with suppress(NotFound):
            return list(api.images(name=name, filters=filters))
        time.sleep(_LISTING_PAUSE_S)
    return list(api.images(name=name, filters=filters))


def _remove_containers(api: docker.APIClient, ours: Filters, *, keep: bool) -> bool:
    removed = False
    for container in api.containers(all=True, filters=ours):
        if keep and KEEP_LABEL in container["Labels"]:
            continue
        with suppress(APIError):
            api.remove_container(container["Id"], force=True, v=True)
            removed = True
    return removed


def remove_dead(api: docker.APIClient, owner: Owner) -> tuple[str, ...]:
    """Remove what owners on this host left that do not live any more, but no kept containers.

    Returns:
        The sessions that were cleaned up after.
    """
    ours = {"label": [f"{LABEL}.host={owner.host}"]}
    labelled: list[Mapping[str, str]] = [
        *(container["Labels"] for container in api.containers(all=True, filters=ours)),
        *(volume["Labels"] for volume in api.volumes(filters=ours)["Volumes"] or ()),
        *(network["Labels"] for network in api.networks(filters=ours)),
    ]
    dead = {
        labels[f"{LABEL}.session"]
        for labels in labelled
        if not is_alive(int(labels[f"{LABEL}.pid"]), labels[f"{LABEL}.pid-start"])
    }
    return tuple(
        session for session in sorted(dead) if remove_session(api, session, keep_containers=True)
    )
