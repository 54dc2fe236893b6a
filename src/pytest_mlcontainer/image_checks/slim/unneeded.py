"""What of an image may be left out, as no run opened it: guesses, in groups, to be tried."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from pytest_mlcontainer import globs
from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.environment.installed import InstalledSet, normalised
from pytest_mlcontainer.image_checks.size.caches import find_cache
from pytest_mlcontainer.image_checks.size.packages import Package
from pytest_mlcontainer.image_checks.slim.opened import OpenedInImage

# Runs have no network, so that nobody sees them ask for these.
_FOR_THE_NETWORK = frozenset(("ca-certificates", "netbase", "openssl", "tzdata", "media-types"))
LEAST_BYTES = 1_000_000
"""What is smaller is not worth a line of a Dockerfile."""

_OF_THE_SYSTEM = ("required", "important")
_DEPENDENCIES = ("Depends", "Pre-Depends")
_ALTERNATIVES = re.compile(r"[,|]")


@dataclass(frozen=True)
class Unneeded:
    """Things that may be left out together.

    Args:
        title: what they are: `Python packages`.
        names: theirs, the largest first, as they are shown.
        paths: their files, without a slash at the beginning; empty where dpkg removes them.
        packages: Debian's, which dpkg removes.
        size_bytes: of their files.
    """

    title: str
    names: tuple[str, ...]
    size_bytes: int
    paths: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()


def unneeded(
    contents: ImageContents,
    opened: OpenedInImage,
    installed: InstalledSet | None,
    keep: tuple[str, ...],
) -> tuple[Unneeded, ...]:
    """The groups that are worth it, those that break least first.

    Args:
        installed: what Python packages require; None where no Python tells it.
        keep: packages that stay, by name, and files, as globs of absolute paths.
    """
    owners, sizes = contents.owners, _sizes(contents)
    used = opened.packages(owners)
    kept = {_name(each) for each in keep if not each.startswith("/")}
    globbed = tuple(each.lstrip("/") for each in keep if each.startswith("/"))

    def stays(path: str) -> bool:
        return path in opened.files or any(globs.covers(each, path) for each in globbed)

    held = {each for path in sizes if globbed and stays(path) and (each := owners.owner(path))}
    free = [each for each in owners.packages
            if each not in used | held and _name(each.name) not in kept]  # fmt: skip
    pythons = [each for each in free if each.manager == "python"]
    asked = _asked_for(installed, {each.name for each in used | held if each.manager == "python"})
    asked |= {each.name for each in opened.described(owners)}
    debs = _removable(contents.texts, used | held, kept, free)
    owned = _owned(contents, pythons)
    groups = (
        _caches(sizes, stays, lambda path: owners.owner(path) is not None),
        _of_python("Python packages that nothing used requires", owned, sizes, asked, wanted=False),
        _of_python("Python packages that are required or looked up, and not opened", owned, sizes,
                   asked, wanted=True),
        _of_debian(contents, debs),
    )  # fmt: skip
    return tuple(each for each in groups if each is not None and each.size_bytes >= LEAST_BYTES)


def _name(name: str) -> str:
    return normalised(name)


def _sizes(contents: ImageContents) -> dict[str, int]:
    return {each.entry.path: each.entry.size_bytes for each in contents.files.files}


def _caches(
    sizes: Mapping[str, int], stays: Callable[[str], bool], is_owned: Callable[[str], bool]
) -> Unneeded | None:
    folders: Counter[str] = Counter()
    paths = set()
    for path, size in sizes.items():
        cache = find_cache(path)
        if cache is not None and not cache[0].needed and not stays(path) and not is_owned(path):
            folders[f"{cache[0].name} (/{cache[1]})"] += size
            paths.add(path)
    if not paths:
        return None
    names = tuple(name for name, _size in folders.most_common())
    return Unneeded("caches", names, sum(folders.values()), frozenset(paths))


def _owned(contents: ImageContents, packages: Collection[Package]) -> dict[Package, set[str]]:
    """The files of some packages."""
    found: dict[Package, set[str]] = {each: set() for each in packages}
    for each in contents.files.files:
        owner = contents.owners.owner(each.entry.path)
        if owner in found:
            found[owner].add(each.entry.path)
    return found


def _of_python(
    title: str,
    owned: Mapping[Package, set[str]],
    sizes: Mapping[str, int],
    asked: Collection[str],
    *,
    wanted: bool,
) -> Unneeded | None:
    """Those of the packages that are among those asked for, or that are not."""
    chosen = {each: paths for each, paths in owned.items() if (each.name in asked) is wanted}
    by_size = {each: sum(sizes[path] for path in paths) for each, paths in chosen.items()}
    if not chosen:
        return None
    names = tuple(str(each) for each in sorted(chosen, key=lambda one: (-by_size[one], one)))
    paths = frozenset(path for found in chosen.values() for path in found)
    return Unneeded(title, names, sum(by_size.values()), paths)


def _asked_for(installed: InstalledSet | None, used: Iterable[str]) -> set[str]:
    """What Python packages require, and what that requires; extras and markers do not matter."""
    requires = {each.name: each.requires for each in installed.packages} if installed else {}
    found: set[str] = set()
    left = list(used)
    while left:
        for text in requires.get(left.pop(), ()):
            try:
                name = normalised(Requirement(text).name)
            except InvalidRequirement:
                continue
            if name not in found:
                found.add(name)
                left.append(name)
    return found


def _of_debian(contents: ImageContents, names: tuple[str, ...]) -> Unneeded | None:
    sizes = {each.name: size for each, size in contents.figures.packages if each.manager == "deb"}
    if not names:
        return None
    total = sum(sizes.get(name, 0) for name in names)
    shown = tuple(sorted(names, key=lambda name: (-sizes.get(name, 0), name)))
    return Unneeded("Debian packages", shown, total, packages=tuple(sorted(names)))


def _removable(
    texts: Mapping[str, str],
    used: Collection[Package],
    kept: Collection[str],
    free: Iterable[Package],
) -> tuple[str, ...]:
    """Debian packages that no run opened, and that nothing that stays depends on.

    Of libraries only those that others of these brought along: programs that are in no package,
    and wheels, may need a library, and none of them says so.
    """
    stanzas = dict(_stanzas(texts.get("var/lib/dpkg/status", "")))
    needs = {name: set(_needs(fields)) for name, fields in stanzas.items()}
    for name, fields in stanzas.items():
        for virtual in _listed(fields.get("Provides", "")):
            for asked in needs.values():
                asked |= {name} if virtual in asked else set()
    libraries = {name for name, fields in stanzas.items() if _is_library(fields)}
    candidates = {each.name for each in free if each.manager == "deb"} & stanzas.keys()
    stay = {each.name for each in used if each.manager == "deb"}
    stay |= {name for name, fields in stanzas.items() if _is_of_the_system(fields)}
    stay |= {name for name in stanzas if name in _FOR_THE_NETWORK or _name(name) in kept}
    while True:
        stay = _closure(stay, needs)
        brought = _closure(candidates - stay - libraries, needs)
        alone = (candidates & libraries) - stay - brought
        if not alone:
            return tuple(sorted(candidates - stay))
        stay |= alone


def _closure(names: Collection[str], needs: Mapping[str, Collection[str]]) -> set[str]:
    """Packages with all that they need."""
    found, left = set(names), list(names)
    while left:
        new = set(needs.get(left.pop(), ())) - found
        found |= new
        left += new
    return found


def _needs(fields: Mapping[str, str]) -> Iterator[str]:
    for key in _DEPENDENCIES:
        yield from _listed(fields.get(key, ""))


def _is_library(fields: Mapping[str, str]) -> bool:
    return fields.get("Section", "").rpartition("/")[2] in ("libs", "oldlibs")


def _is_of_the_system(fields: Mapping[str, str]) -> bool:
    flags = (fields.get(key) for key in ("Essential", "Protected", "Important"))
    return "yes" in flags or fields.get("Priority") in _OF_THE_SYSTEM


def _stanzas(status: str) -> Iterator[tuple[str, dict[str, str]]]:
    """dpkg's list of what is installed: names, and single-line fields by their names."""
    for block in status.split("\n\n"):
        lines = (line.partition(": ") for line in block.splitlines() if line[:1] not in (" ", ""))
        fields = {key: value for key, _colon, value in lines}
        if "Package" in fields and fields.get("Status", "").endswith(" installed"):
            yield fields["Package"], fields


def _listed(text: str) -> Iterator[str]:
    """Names of packages in a list of dependencies; all alternatives."""
    for each in _ALTERNATIVES.split(text):
        name = each.strip().partition(" ")[0].partition(":")[0].partition("(")[0]
        if name:
            yield name
