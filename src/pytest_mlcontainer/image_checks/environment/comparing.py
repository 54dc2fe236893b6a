"""What is installed, held against a lock, against itself, and against another platform."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_mlcontainer.image_checks.environment.installed import (
    InstalledPackage,
    InstalledSet,
    normalised,
)
from pytest_mlcontainer.image_checks.environment.locks import (
    Lock,
    LockedPackage,
    allowed,
    holds,
    required,
)
from pytest_mlcontainer.image_checks.environment.needs import needed_by_others, requirements
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

# They install the others, and come with base images.
_TOOLS: Final = frozenset(("pip", "setuptools", "wheel", "uv", "distribute"))
_INSTALLERS: Final[tuple[str, ...]] = (
    "pipenv",
    "poetry",
    "pdm",
    "hatch",
    "pip-tools",
    "conda-lock",
)
_SHOWN: Final = 8
_PIP_CHECK: Final = "https://pip.pypa.io/en/stable/cli/pip_check/"
_DIRECT: Final = "https://packaging.python.org/en/latest/specifications/direct-url/"
_LOCKS: Final = "https://packaging.python.org/en/latest/specifications/pylock-toml/"


def lock_findings(
    lock: Lock, installed: InstalledSet, chosen: tuple[str, ...] = ()
) -> Iterator[ImageFinding]:
    """Where what is installed is not what is locked.

    Args:
        chosen: extras and groups that are to be installed, too.
    """
    environment = dict(installed.environment)
    wanted = required(lock, environment, chosen)
    may = allowed(lock, environment)
    have = {each.name: each for each in installed.packages}
    for name in sorted(wanted.keys() - have.keys() - lock.own):
        yield _missing(lock, wanted[name])
    for name in sorted(have.keys() & may.keys() - lock.own):
        # What is locked for this environment comes before what only an extra brings.
        locked = wanted.get(name) or may[name]
        if locked.version and not _same(locked, have[name].version):
            yield _other_version(lock, locked, have[name])
        elif _other_origin(locked, have[name]):
            yield _origin_finding(lock, locked, have[name])
    locked_names = {each.name for each in lock.packages}
    extra = sorted(have.keys() - may.keys() - lock.own - _TOOLS)
    if extra and lock.complete:
        yield _extra(lock, [have[name] for name in extra], locked_names, environment)


def age_findings(
    lock: Lock, requirements: Iterable[str], environment: Mapping[str, str]
) -> Iterator[ImageFinding]:
    """Requirements of the project that its lock does not meet, because it is older.

    Args:
        requirements: those of `pyproject.toml`.
    """
    by_name: dict[str, list[LockedPackage]] = {}
    for each in lock.packages:
        by_name.setdefault(each.name, []).append(each)
    for text in requirements:
        try:
            found = Requirement(text)
        except InvalidRequirement:
            continue
        name = normalised(found.name)
        marker = "" if found.marker is None else str(found.marker)
        if name in lock.own or not holds(marker, environment):
            continue
        said = ""
        if name not in by_name:
            said = f"{text} is in pyproject.toml and not in the lock"
        elif not any(_meets(found.specifier, each.version) for each in by_name[name]):
            versions = ", ".join(each.version for each in by_name[name])
            said = f"pyproject.toml asks for {text}, the lock has {versions}"
        elif lock.direct is not None and _is_new(found, lock.direct):
            said = f"{text} of pyproject.toml is not what the lock was made from"
        if said:
            yield ImageFinding(
                rule="ENV005",
                severity=Severity.ERROR,
                what=f"the lock is older than the project: {said}",
                place=lock.place,
                why="what is built from it is not what the project says that it needs",
                mend="uv lock"
                if lock.place.endswith("uv.lock")
                else f"lock the project anew, and commit {lock.place}",
                link=_LOCKS,
            )


def damaged_findings(damaged: Iterable[tuple[str, str]]) -> Iterator[ImageFinding]:
    """Locks that cannot be read, so that nothing says what is to be installed.

    Args:
        damaged: files, and why each cannot be read.
    """
    for place, why in damaged:
        yield ImageFinding(
            rule="ENV009",
            severity=Severity.ERROR,
            what="the lock cannot be read",
            place=place,
            why=f"{why}\nwhat is installed is not held against it",
            mend="lock the project anew, or name another one: environment = { lock = … }",
            link=_LOCKS,
        )


def broken_findings(
    installed: InstalledSet, reported: frozenset[str], locked: frozenset[str] = frozenset()
) -> Iterator[ImageFinding]:
    """Requirements of what is installed that are not met, as `pip check` finds them.

    Where only what an installer such as pipenv has brought for itself is not met, because the lock
    wants another version, the project's packages are as they are locked: that is a warning.

    Args:
        reported: names of packages that are known to be missing.
        locked: names of packages of the lock.
    """
    brought = _brought_by_installers(installed) - locked
    environment = dict(installed.environment)
    have = {each.name: each for each in installed.packages}
    for package in installed.packages:
        for found in requirements(package, environment):
            name = normalised(found.name)
            there = have.get(name)
            asked = f"{found.name}{found.specifier}"
            if there is None and name not in reported:
                yield _broken(package, asked, "which is not installed")
            elif there is not None and not _meets(found.specifier, there.version):
                finding = _broken(package, asked, f"and {name} {there.version} is installed")
                of_installer = package.name in brought and name in locked
                yield _of_installer(finding, name) if of_installer else finding


def _brought_by_installers(installed: InstalledSet) -> frozenset[str]:
    """Names of installers of locks that are installed, and of all that they require."""
    environment = dict(installed.environment)
    have = {each.name: each for each in installed.packages}
    found: set[str] = set()
    waiting = [name for name in _INSTALLERS if name in have]
    while waiting:
        name = waiting.pop()
        if name in have and name not in found:
            found.add(name)
            waiting += (normalised(e.name) for e in requirements(have[name], environment))
    return frozenset(found)


def platform_findings(
    installed: InstalledSet, other: InstalledSet, name: str, lock: Lock | None
) -> Iterator[ImageFinding]:
    """In what two platforms differ, but for what the lock wants to differ.

    Args:
        name: of the other platform.
    """
    mine = {each.name: each.version for each in installed.packages}
    theirs = {each.name: each.version for each in other.packages}
    meant = set[str]()
    if lock is not None:
        here = required(lock, dict(installed.environment))
        there = required(lock, dict(other.environment))
        for each in here.keys() | there.keys():
            pair = (here.get(each), there.get(each))
            if pair[0] is None or pair[1] is None or pair[0].version != pair[1].version:
                meant.add(each)
    said = [
        f"{each} {mine.get(each, 'missing')} ({theirs.get(each, 'missing')} there)"
        for each in sorted(mine.keys() | theirs.keys())
        if mine.get(each) != theirs.get(each) and each not in meant
    ]
    if said:
        yield ImageFinding(
            rule="ENV007",
            severity=Severity.WARNING,
            what=f"other packages than on {name}: {first_and_count(said, _SHOWN)}",
            why="results that differ between the two may come from these alone",
            mend="install both from one lock (uv sync --frozen), so that they have the same",
            link=_LOCKS,
        )


def host_findings(installed: InstalledSet, host: InstalledSet) -> Iterator[ImageFinding]:
    """In what this machine's Python differs from the image's.

    What it has beside is no finding: tools of whoever works there.
    """
    theirs = {each.name: each.version for each in host.packages}
    said = [
        f"{each.name} {each.version} ({theirs.get(each.name, 'missing')} there)"
        for each in installed.packages
        if theirs.get(each.name) != each.version
        and not (each.name in _TOOLS and each.name not in theirs)
    ]
    if said:
        yield ImageFinding(
            rule="ENV008",
            severity=Severity.WARNING,
            what=f"other packages than this machine's Python: {first_and_count(said, _SHOWN)}",
            why="runs on host that differ from those in containers may do so for these alone",
            mend="install both from one lock (uv sync --frozen), and run pytest in what that makes",
            link=_LOCKS,
        )


def _missing(lock: Lock, wanted: LockedPackage) -> ImageFinding:
    return ImageFinding(
        rule="ENV001",
        severity=Severity.ERROR,
        what=f"{wanted.name} {wanted.version} is locked and not installed",
        place=lock.place,
        line=wanted.line,
        why="the program fails where it imports it, or takes another way",
        mend=f"RUN {lock.installing}",
        link=_LOCKS,
    )


def _other_version(lock: Lock, locked: LockedPackage, have: InstalledPackage) -> ImageFinding:
    return ImageFinding(
        rule="ENV002",
        severity=Severity.ERROR,
        what=f"{have.name} {have.version} is installed, locked is {locked.version}",
        place=lock.place,
        line=locked.line,
        why="what was tested with the lock is not what runs here",
        mend=f"RUN {lock.installing}, and nothing after it that installs {have.name}",
        link=_LOCKS,
    )


def _other_origin(locked: LockedPackage, have: InstalledPackage) -> bool:
    if have.origin.startswith("file:"):
        return False  # a wheel that another stage has fetched: nobody says from where
    if not locked.origin:
        return bool(have.origin)
    if not have.origin:
        return locked.origin.startswith("git+")
    return _plain_url(locked.origin) != _plain_url(have.origin)


def _plain_url(url: str) -> str:
    return re.sub(r"(\.git)(?=@|$)|[#?].*$|//[^/@]*@", "", url).rstrip("/").lower()


def _origin_finding(lock: Lock, locked: LockedPackage, have: InstalledPackage) -> ImageFinding:
    return ImageFinding(
        rule="ENV004",
        severity=Severity.ERROR,
        what=f"{have.name} is from {have.origin or 'an index'}, locked is "
        f"{locked.origin or 'an index'}",
        place=lock.place,
        line=locked.line,
        why="the same version from elsewhere may be another program",
        mend=f"RUN {lock.installing}",
        link=_DIRECT,
    )


def _extra(
    lock: Lock,
    extra: list[InstalledPackage],
    locked: set[str],
    environment: Mapping[str, str],
) -> ImageFinding:
    brought = needed_by_others(extra, environment)
    named = [f"{each.name} {each.version}" for each in extra if each.name not in brought]
    what = first_and_count(named or [f"{each.name} {each.version}" for each in extra], _SHOWN)
    if named and len(named) < len(extra):
        needing = "it needs" if len(named) == 1 else "they need"
        what += f", with {len(extra) - len(named)} that {needing}"
    elsewhere = [each.name for each in extra if each.name in locked]
    why = "their versions are those of the day of the build"
    if elsewhere:
        why += f"; {first_and_count(elsewhere, _SHOWN)} is locked for other platforms alone"
    return ImageFinding(
        rule="ENV003",
        severity=Severity.WARNING,
        what=f"installed and not locked: {what}",
        place=lock.place,
        why=why,
        mend=f"add them to the project and lock it, or leave them out (RUN {lock.installing})",
        link=_LOCKS,
    )


def _broken(package: InstalledPackage, asked: str, how: str) -> ImageFinding:
    return ImageFinding(
        rule="ENV006",
        severity=Severity.ERROR,
        what=f"{package.name} {package.version} requires {asked}, {how}",
        why="the two were not tested together; pip check says so, too",
        mend=f"install {package.name} and what it requires in one step, from a lock",
        link=_PIP_CHECK,
    )


def _of_installer(finding: ImageFinding, name: str) -> ImageFinding:
    """One that only an installer is in the way of.

    Args:
        name: of the package that the lock wants in another version.
    """
    why = f"an installer has brought it for itself; the project's {name} is as it is locked"
    mend = "keep the installer apart from the project: in an environment or a stage of its own"
    return replace(finding, severity=Severity.WARNING, why=why, mend=mend)


def _same(locked: LockedPackage, version: str) -> bool:
    try:
        mine, theirs = Version(locked.version), Version(version)
    except InvalidVersion:
        return locked.version == version
    if locked.any_local and mine.local is None:
        return mine.public == theirs.public
    return mine == theirs


def _meets(specifier: SpecifierSet, version: str) -> bool:
    """Prereleases count: they are installed, or locked, on purpose."""
    try:
        return not version or specifier.contains(version, prereleases=True)
    except (InvalidVersion, InvalidSpecifier):
        return True


def _is_new(found: Requirement, direct: tuple[str, ...]) -> bool:
    """Whether the lock was made from another requirement of this name, or from none."""
    name = normalised(found.name)
    known = [each for each in direct if re.split(r"[<>=!~]", each)[0] == name]
    specifiers = {frozenset(str(SpecifierSet(each[len(name) :])).split(",")) for each in known}
    return frozenset(str(found.specifier).split(",")) not in specifiers
