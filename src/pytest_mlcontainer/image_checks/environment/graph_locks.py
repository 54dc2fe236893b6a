"""Locks that say what each package depends on, of uv and Poetry → `Lock`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from pytest_mlcontainer.image_checks.environment.installed import normalised
from pytest_mlcontainer.image_checks.environment.locks import (
    Lock,
    LockedDependency,
    LockedPackage,
)

_LOCAL: Final = ("editable", "virtual", "directory", "path")


def uv_lock(raw: Mapping[str, Any], place: str, text: str) -> Lock:
    lines = lines_of_names(text)
    tables = [each for each in raw.get("package", ()) if isinstance(each, Mapping)]
    packages = tuple(_uv_package(each, lines) for each in tables)
    local = [each for each in tables if set(each.get("source", {})) & set(_LOCAL)]
    own = [each for each in local if "." in each["source"].values()] or local
    choices: list[tuple[str, tuple[LockedDependency, ...]]] = []
    for each in own:
        for kind in ("optional-dependencies", "dev-dependencies"):
            choices += [(name, _uv_list(listed)) for name, listed in each.get(kind, {}).items()]
    direct = [
        _requirement(one)
        for each in own
        for one in each.get("metadata", {}).get("requires-dist", ())
    ]
    return Lock(
        place,
        "uv sync --frozen",
        packages,
        tuple(dependency for each in own for dependency in _uv_list(each.get("dependencies", ()))),
        tuple(choices),
        frozenset(normalised(str(each["name"])) for each in local),
        tuple(direct) if own else None,
    )


def _uv_package(raw: Mapping[str, Any], lines: Mapping[str, int]) -> LockedPackage:
    source = raw.get("source", {})
    origin = str(source.get("url") or "")
    if "git" in source:
        url, _, commit = str(source["git"]).partition("#")
        origin = f"git+{url.partition('?')[0]}@{commit}"
    return LockedPackage(
        normalised(str(raw["name"])),
        "" if set(source) & {"editable", "virtual", "directory"} else str(raw.get("version", "")),
        origin,
        _uv_list(raw.get("dependencies", ())),
        tuple(
            (extra, _uv_list(listed))
            for extra, listed in raw.get("optional-dependencies", {}).items()
        ),
        " or ".join(f"({each})" for each in raw.get("resolution-markers", ())),
        lines.get(str(raw["name"])),
    )


def _uv_list(listed: Any) -> tuple[LockedDependency, ...]:
    return tuple(
        LockedDependency(
            normalised(str(each["name"])),
            str(each.get("marker", "")),
            tuple(each.get("extra", ())),
            str(each.get("version", "")),
        )
        for each in listed
    )


def _requirement(raw: Mapping[str, Any]) -> str:
    """A requirement of `requires-dist` as text, without its marker."""
    return f"{normalised(str(raw['name']))}{raw.get('specifier', '')}"


def poetry_lock(raw: Mapping[str, Any], place: str, project: Mapping[str, Any], text: str) -> Lock:
    lines = lines_of_names(text)
    packages = tuple(_poetry_package(each, lines) for each in raw.get("package", ()))
    poetry = project.get("tool", {}).get("poetry", {})
    table = project.get("project", {})
    roots = [*_poetry_list(_not_optional(poetry.get("dependencies", {})))]
    roots += pep_list(table.get("dependencies", ()))
    groups = {"dev": poetry.get("dev-dependencies", {})}
    groups |= {name: each.get("dependencies", {}) for name, each in poetry.get("group", {}).items()}
    choices = [(name, tuple(_poetry_list(listed))) for name, listed in groups.items()]
    choices += [
        (name, tuple(pep_list(each for each in listed if isinstance(each, str))))
        for kind in (table.get("optional-dependencies", {}), project.get("dependency-groups", {}))
        for name, listed in kind.items()
    ]
    choices += [
        (name, tuple(LockedDependency(normalised(str(each).partition(" ")[0])) for each in listed))
        for name, listed in poetry.get("extras", {}).items()
    ]
    own = str(table.get("name") or poetry.get("name") or "")
    return Lock(
        place,
        "poetry install",
        packages,
        tuple(each for each in roots if each.name != "python"),
        tuple(choices),
        frozenset({normalised(own)} if own else ()),
    )


def _poetry_package(raw: Mapping[str, Any], lines: Mapping[str, int]) -> LockedPackage:
    source = raw.get("source", {})
    kind, url = source.get("type"), str(source.get("url", ""))
    origin = f"git+{url}@{source.get('resolved_reference', '')}" if kind == "git" else ""
    dependencies = raw.get("dependencies", {})
    rest = _not_optional(dependencies)
    optional = {name: each for name, each in dependencies.items() if name not in rest}
    extras = tuple(
        (
            extra,
            tuple(
                dependency
                for each in listed
                for dependency in _poetry_list(
                    _named(optional, re.split(r"[\s\[(<>=!~;]", str(each).strip())[0])
                )
            ),
        )
        for extra, listed in raw.get("extras", {}).items()
    )
    return LockedPackage(
        normalised(str(raw["name"])),
        "" if kind in ("directory", "file") else str(raw.get("version", "")),
        url if kind == "url" else origin,
        tuple(_poetry_list(rest)),
        extras,
        "",
        lines.get(str(raw["name"])),
    )


def _named(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {key: each for key, each in table.items() if normalised(key) == normalised(name)}


def _poetry_list(table: Mapping[str, Any]) -> Iterator[LockedDependency]:
    for name, value in table.items():
        for each in value if isinstance(value, list) else [value]:
            told = each if isinstance(each, Mapping) else {}
            marker = str(told.get("markers", ""))
            yield LockedDependency(normalised(name), marker, tuple(told.get("extras", ())))


def _not_optional(table: Mapping[str, Any]) -> dict[str, Any]:
    """What is there without any extra."""
    return {
        name: each
        for name, each in table.items()
        if not (isinstance(each, Mapping) and each.get("optional"))
    }


def pep_list(listed: Any) -> Iterator[LockedDependency]:
    for each in listed:
        try:
            found = Requirement(str(each))
        except InvalidRequirement:
            continue
        marker = "" if found.marker is None else str(found.marker)
        yield LockedDependency(normalised(found.name), marker, tuple(sorted(found.extras)))


def lines_of_names(text: str) -> dict[str, int]:
    """Names of packages → lines that have them."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        told = re.match(r'name = "([^"]+)"', line)
        if told:
            found.setdefault(told[1], number)
    return found
