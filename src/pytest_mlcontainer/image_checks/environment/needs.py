"""What installed packages need of one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from packaging.requirements import InvalidRequirement, Requirement

from pytest_mlcontainer.image_checks.environment.installed import InstalledPackage, normalised
from pytest_mlcontainer.image_checks.environment.locks import holds


def requirements(
    package: InstalledPackage, environment: Mapping[str, str], extra: str = ""
) -> Iterator[Requirement]:
    """What a package requires there, without those that cannot be read.

    Args:
        environment: what markers mean there.
        extra: of the package, which is wanted; "" for none.
    """
    for text in package.requires:
        with suppress(InvalidRequirement):
            found = Requirement(text)
            if holds("" if found.marker is None else str(found.marker), environment, extra):
                yield found


def needed_by_others(
    packages: Iterable[InstalledPackage], environment: Mapping[str, str]
) -> frozenset[str]:
    """Names of those that others of them require, also by an extra that one of them asks for."""
    have = {each.name: each for each in packages}
    asked = [(name, "") for name in have]
    seen, needed = set(asked), set[str]()
    while asked:
        name, extra = asked.pop()
        for found in requirements(have[name], environment, extra):
            other = normalised(found.name)
            if other not in have:
                continue
            if other != name:
                needed.add(other)
            more = {(other, each) for each in found.extras} - seen
            seen |= more
            asked += more
    return frozenset(needed)
