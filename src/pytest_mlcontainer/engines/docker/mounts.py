"""What a container has mounted. An engine makes the volumes that are not there, in silence: so each
mount carries the labels of whoever asks for it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from docker.types import Mount

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.isolation import isolation, socket_mounts


def volumes_of(image: Mapping[str, Any]) -> tuple[str, ...]:
    """Where an image asks for volumes (`VOLUME` of a Dockerfile): absolute paths, sorted.

    Args:
        image: as an engine inspects it.
    """
    declared = (image.get("Config") or {}).get("Volumes") or ()
    return tuple(sorted({_absolute(path) for path in declared}))


def plan_mounts(
    spec: ContainerSpec,
    labels: Mapping[str, str],
    address: str,
    declared: Iterable[str] = (),
    copy: str | None = None,
) -> list[Mount]:
    """The mounts of a container.

    Args:
        labels: of every volume that the engine makes for them, those without a name too.
        address: the engine's.
        declared: where the image asks for volumes. An engine makes them anyway, without a label
            and with nothing in their names; so they are asked for, wherever nothing else is.
        copy: the volume with the copied folder, for `spec.copy`.
    """
    found = [
        *(Mount(path, name, read_only=True, labels=dict(labels)) for name, path in spec.volumes),
        *(Mount(path, name, labels=dict(labels)) for name, path in spec.writable_volumes),
        *(Mount(path, None, labels=dict(labels)) for path in spec.scratch),
    ]
    if copy is not None and spec.copy is not None:
        there = spec.copy[1]
        found.append(Mount(there, copy, read_only=spec.copy_read_only, labels=dict(labels)))
    found += socket_mounts(spec, address)
    in_memory = isolation(spec).get("tmpfs", {})
    taken = {_absolute(path) for path in (*in_memory, *(mount["Target"] for mount in found))}
    own = (path for path in declared if path not in taken)
    return [*found, *(Mount(path, None, labels=dict(labels)) for path in own)]


def name_of_volume(container: Mapping[str, Any], path: str) -> str:
    """The volume that a container has at a path.

    Args:
        container: as an engine inspects it; images bring volumes of their own.
    """
    (name,) = (
        str(mount["Name"])
        for mount in container["Mounts"]
        if _absolute(mount["Destination"]) == _absolute(path)
    )
    return name


def _absolute(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path))
