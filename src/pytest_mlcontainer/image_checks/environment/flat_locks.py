"""Locks that list packages with the groups they are for: of PEP 751, PDM, Pipenv → `Lock`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_mlcontainer.image_checks.environment.graph_locks import lines_of_names, pep_list
from pytest_mlcontainer.image_checks.environment.installed import normalised
from pytest_mlcontainer.image_checks.environment.locks import (
    Lock,
    LockedDependency,
    LockedPackage,
)


@dataclass(frozen=True)
class _Listed:
    """A package of a lock, and the groups that it is for; none where it is always wanted."""

    package: LockedPackage
    marker: str = ""
    groups: frozenset[str] = frozenset()


def _flat(place: str, installing: str, listed: Iterable[_Listed]) -> Lock:
    """A lock that says of each package when it is wanted, so that none has to lead to it."""
    packages: list[LockedPackage] = []
    roots: list[LockedDependency] = []
    choices: dict[str, list[LockedDependency]] = {}
    for each in listed:
        packages.append(each.package)
        wanted = LockedDependency(each.package.name, each.marker)
        if not each.groups:
            roots.append(wanted)
        for group in each.groups:
            choices.setdefault(group, []).append(wanted)
    grouped = tuple((name, tuple(choices[name])) for name in sorted(choices))
    return Lock(place, installing, tuple(packages), tuple(roots), grouped)


def pylock(raw: Mapping[str, Any], place: str, text: str) -> Lock:
    """Its packages carry markers of their own, also over extras and groups."""
    lines = lines_of_names(text)
    listed: list[_Listed] = []
    for each in raw.get("packages", ()):
        vcs, archive = each.get("vcs", {}), each.get("archive", {})
        origin = f"{vcs.get('type')}+{vcs.get('url')}@{vcs.get('commit-id')}" if vcs else ""
        marker = str(each.get("marker", ""))
        chosen = re.search(r"extras|dependency_groups", marker) is not None
        package = LockedPackage(
            normalised(str(each["name"])),
            "" if "directory" in each else str(each.get("version", "")),
            origin or str(archive.get("url") or ""),
            marker="" if chosen else marker,
            line=lines.get(str(each["name"])),
        )
        groups = frozenset({"its extras and groups"} if chosen else ())
        listed.append(_Listed(package, package.marker, groups))
    listed.sort(key=lambda each: bool(each.groups))
    return _flat(place, "uv pip sync pylock.toml", listed)


def pdm_lock(raw: Mapping[str, Any], place: str, project: Mapping[str, Any], text: str) -> Lock:
    """A lock of PDM; one without groups (`--strategy no_inherit_metadata`) is a graph."""
    lines = lines_of_names(text)
    listed: list[_Listed] = []
    for each in raw.get("package", ()):
        origin = f"git+{each['git']}@{each.get('revision', '')}" if "git" in each else ""
        groups = frozenset(str(name) for name in each.get("groups", ()))
        package = LockedPackage(
            normalised(str(each["name"])),
            "" if "path" in each else str(each.get("version", "")),
            origin or str(each.get("url", "")),
            tuple(pep_list(each.get("dependencies", ()))),
            line=lines.get(str(each["name"])),
        )
        groups = groups if "default" not in groups else frozenset()
        listed.append(_Listed(package, str(each.get("marker", "")), groups))
    lock = _flat(place, "pdm sync --prod", listed)
    if any("groups" in each for each in raw.get("package", ())):
        return lock
    table, more = project.get("project", {}), project.get("dependency-groups", {})
    more = {**table.get("optional-dependencies", {}), **more}
    more |= project.get("tool", {}).get("pdm", {}).get("dev-dependencies", {})
    choices = tuple(
        (name, tuple(pep_list(each for each in listed if isinstance(each, str))))
        for name, listed in more.items()
    )
    return replace(lock, roots=tuple(pep_list(table.get("dependencies", ()))), choices=choices)


def pipenv_lock(text: str, place: str) -> Lock:
    """A `Pipfile.lock`; what is not in `default` is for a category, such as `develop`."""
    raw = json.loads(text)
    lines = {
        told[1]: number
        for number, line in reversed(list(enumerate(text.splitlines(), 1)))
        if (told := re.match(r'\s+"([^"]+)": \{', line))
    }
    listed: list[_Listed] = []
    for category in sorted(raw.keys() - {"_meta"}, key=lambda name: (name != "default", name)):
        for name, told in raw[category].items():
            local, origin = "path" in told, str(told.get("file", ""))
            if "git" in told:
                origin = f"git+{told['git'].removeprefix('git+')}@{told.get('ref', '')}"
            package = LockedPackage(
                normalised(name),
                "" if local else str(told.get("version", "")).lstrip("=").removeprefix("*"),
                origin if "://" in origin else "",
                line=lines.get(name),
            )
            groups = frozenset({category} - {"default"})
            listed.append(_Listed(package, str(told.get("markers", "")), groups))
    return _flat(place, "pipenv sync --system", listed)
