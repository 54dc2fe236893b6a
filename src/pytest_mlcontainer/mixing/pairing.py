"""Two images as a pair: which changes between them can be made one by one, and which cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from pytest_mlcontainer.experiments.sources import read_sources
from pytest_mlcontainer.mixing.building import pack_here
from pytest_mlcontainer.mixing.changes import Change, ImageChangeKind, changes
from pytest_mlcontainer.mixing.contents import Contents, Distribution
from pytest_mlcontainer.mixing.hybrids import ImagePair, needs_wheel
from pytest_mlcontainer.mixing.imports import imported_modules, used
from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.mixing.wheels import fetch_wheels
from pytest_mlcontainer.model import Pairs, Settings


def one_way_changes(settings: Settings, a: Side, b: Side) -> tuple[Change, ...]:
    """The packages of B that can be brought into image A, where nothing else of B can be.

    What was installed from a folder is one of them where its versions differ.
    """
    project = _project_name(settings)
    found = changes(*_as_packages(a.contents, b.contents, project), project)
    return tuple(change for change in found if change.kind is ImageChangeKind.PACKAGE)


def _as_packages(a: Contents, b: Contents, project: str) -> tuple[Contents, Contents]:
    versions = [{each.name: each.version for each in side.distributions} for side in (a, b)]
    shared = versions[0].keys() & versions[1].keys() - {project}
    names = {name for name in shared if versions[0][name] != versions[1][name]}

    def freed(side: Contents) -> Contents:
        each = (replace(one, own=one.own and one.name not in names) for one in side.distributions)
        return replace(side, distributions=tuple(each))

    return freed(a), freed(b)


def _project_name(settings: Settings) -> str:
    return re.sub(r"[-_.]+", "-", settings.name).lower()


def pair_up(
    tools: HybridTools, settings: Settings, a: Side, b: Side, only: frozenset[str] | None = None
) -> tuple[ImagePair, Pairs]:
    """The pair with the changes that can be made; and those that cannot, with the reasons.

    Args:
        only: names of what is looked at, where that is not everything.
    """
    one_way = ImagePair(a, b, ()).one_way
    found = changes(a.contents, b.contents, _project_name(settings))
    if one_way:
        found = one_way_changes(settings, a, b)
    found = tuple(change for change in found if only is None or change.name in only)
    packages = [change for change in found if change.kind is ImageChangeKind.PACKAGE]
    forth = _wanted(b.contents, a.contents, (change.after for change in packages))
    back = _wanted(a.contents, b.contents, (change.before for change in packages))
    wheels = (
        fetch_wheels(tools, settings, a, forth),
        fetch_wheels(tools, settings, b, () if one_way else back),
    )
    missing = {name: why for side in wheels for name, why in side.missing}
    kept = tuple(change for change in found if change.name not in missing)
    packed = pack_here(tools, kept, b.contents) if b.image is None else None
    return ImagePair(a, b, kept, wheels, packed), tuple(sorted(missing.items()))


def _wanted(
    donor: Contents, base: Contents, packages: Iterable[Distribution | None]
) -> tuple[Distribution, ...]:
    return tuple(each for each in packages if each is not None and needs_wheel(donor, base, each))


def imported_changes(
    settings: Settings, sides: tuple[Side, Side], every: tuple[Change, ...]
) -> frozenset[str]:
    """Names of those changes that the project's programs import, or need for what they import."""
    texts = (text for _name, text in read_sources(settings.root))
    both = (each for side in sides for each in side.contents.distributions)
    return used(every, both, imported_modules(texts))
