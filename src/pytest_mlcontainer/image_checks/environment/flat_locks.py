"""Locks that list packages with the groups they are for: of PEP 751 → `Lock`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_mlcontainer.image_checks.environment.graph_locks import lines_of_names
from pytest_mlcontainer.image_checks.environment.installed import normalised
from pytest_mlcontainer.image_checks.environment.locks import (
    Lock,
    LockedDependency,
    LockedPackage,
)


def pylock(raw: Mapping[str, Any], place: str, text: str) -> Lock:
    """Its packages carry markers of their own, also over extras and groups."""
    lines = lines_of_names(text)
    packages: list[LockedPackage] = []
    for each in raw.get("packages", ()):
        vcs, archive = each.get("vcs", {}), each.get("archive", {})
        origin = f"{vcs.get('type')}+{vcs.get('url')}@{vcs.get('commit-id')}" if vcs else ""
        packages.append(
            LockedPackage(
                normalised(str(each["name"])),
                "" if "directory" in each else str(each.get("version", "")),
                origin or str(archive.get("url") or ""),
                marker=str(each.get("marker", "")),
                line=lines.get(str(each["name"])),
            )
        )
    main = [each for each in packages if not re.search(r"extras|dependency_groups", each.marker)]
    others = [each for each in packages if each not in main]
    return Lock(
        place,
        "uv pip sync pylock.toml",
        (*main, *(LockedPackage(each.name, each.version, each.origin) for each in others)),
        tuple(LockedDependency(each.name, each.marker) for each in main),
        (("its extras and groups", tuple(LockedDependency(each.name) for each in others)),),
    )
