"""Finding and removing, by label, what a session made on an engine. Nothing without our label."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import docker
from docker.errors import APIError

from pytest_mlcontainer.model import LABEL, Owner
from pytest_mlcontainer.owners import is_alive

# On containers of a session with --container-keep: only `mlcontainer clean` removes them later.
KEEP_LABEL = f"{LABEL}.keep"


def remove_session(api: docker.APIClient, session: str, *, keep_containers: bool) -> bool:
    """Remove the containers, networks and volumes that carry this session's label.

    Args:
        keep_containers: leave those that `--container-keep` wants to stay.

    Returns:
        Whether anything was removed: what a container that stays still uses stays too.
    """
    ours = {"label": [f"{LABEL}.session={session}"]}
    removed = False
    for container in api.containers(all=True, filters=ours):
        if keep_containers and KEEP_LABEL in container["Labels"]:
            continue
        with suppress(APIError):
            api.remove_container(container["Id"], force=True, v=True)
            removed = True
    for network in api.networks(filters=ours):
        with suppress(APIError):
            api.remove_network(network["Id"])
            removed = True
    for volume in api.volumes(filters=ours)["Volumes"] or ():
        with suppress(APIError):
            api.remove_volume(volume["Name"], force=True)
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
