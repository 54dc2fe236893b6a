"""What a running container uses, as far as an engine tells."""

from __future__ import annotations

import json
from typing import Any

import docker
from docker.errors import APIError
from requests.exceptions import RequestException

from pytest_mlcontainer.engines import Usage
from pytest_mlcontainer.errors import MlContainerError

_VOLUME_SIZES_API = (1, 42)  # the first that can be asked for the sizes of volumes alone


def usage(api: docker.APIClient, container: str) -> Usage:
    """Two or three questions to the engine; what it does not answer is None.

    The cost is that of adding up the sizes of what was written.
    """
    stats = _answer(api, f"/containers/{container}/stats", stream="false", **{"one-shot": "true"})
    memory = stats.get("memory_stats") or {}
    inspected = _answer(api, f"/containers/{container}/json", size="true")
    written = _whole(inspected.get("SizeRw"))
    names = {
        mount.get("Name")
        for mount in inspected.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("RW")
    }
    if names and written is not None:
        written += _size_of_volumes(api, names)
    return Usage(
        disk_bytes=written,
        # With cgroups of version 2 there is no maximum, but for those that are seen.
        memory_bytes=_whole(memory.get("max_usage")) or _whole(memory.get("usage")),
        processes=_whole((stats.get("pids_stats") or {}).get("current")),
    )


def _size_of_volumes(api: docker.APIClient, names: set[object]) -> int:
    """Of volumes that it writes to, which an image may ask for: they are on the engine's disk."""
    version = tuple(int(part) for part in api.api_version.split(".")[:2])
    if version < _VOLUME_SIZES_API:
        return 0
    volumes = _answer(api, "/system/df", type="volume").get("Volumes") or ()
    sizes = ((each.get("UsageData") or {}).get("Size") for each in volumes if each["Name"] in names)
    return sum(max(_whole(size) or 0, 0) for size in sizes)


def _answer(api: docker.APIClient, path: str, **params: str) -> dict[str, Any]:
    """A JSON object; an empty one where there is no answer."""
    try:
        response = api.get(
            f"{api.base_url}/v{api.api_version}{path}", params=params, timeout=api.timeout
        )
        answer = json.loads(response.content) if response.ok else {}
    except (APIError, MlContainerError, RequestException, OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
