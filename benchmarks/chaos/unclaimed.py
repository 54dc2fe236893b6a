"""What is on the engine and says of no session that it made it.

Whatever a session makes carries its label. What an engine makes by itself for a session, such as a
volume that a container names and that is gone, has to carry it too: else nobody would ever know
whose it was. So everything that has come since a session began counts, unless it says that it is
another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import docker

from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.model import LABEL


def unclaimed(api: docker.APIClient) -> frozenset[str]:
    """Containers, networks, volumes and images without a label of ours, one line each."""
    return frozenset(_lines(api))


def _lines(api: docker.APIClient) -> Iterator[str]:
    for raw in api.containers(all=True):
        if not _is_ours(raw):
            yield f"container {raw['Id'][:12]} of nobody ({raw['Image']})"
    for raw in api.networks():
        if not _is_ours(raw):
            yield f"network {raw['Name']} of nobody"
    for raw in api.volumes()["Volumes"] or ():
        if not _is_ours(raw):
            yield f"volume {raw['Name']} of nobody"
    for raw in list_images(api):
        if not _is_ours(raw):
            yield f"image {raw['Id'][:19]} of nobody ({', '.join(raw.get('RepoTags') or ())})"


def _is_ours(raw: Mapping[str, Any]) -> bool:
    return any(name.partition(".")[0] == LABEL for name in raw.get("Labels") or ())
