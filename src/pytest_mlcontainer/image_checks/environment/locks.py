"""A lock file as a graph of packages, and what of it has to be installed in one environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName


@dataclass(frozen=True)
class LockedDependency:
    """What a package, or the project, depends on.

    Args:
        name: normalised.
        marker: where that holds; "" for everywhere.
        extras: of the package that it names.
        version: where the lock has several of that name; else "".
    """

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class LockedPackage:
    """One package of a lock.

    Args:
        version: "" for one that is built from a folder.
        origin: URL where it is from no index, with the commit: `git+https://…@abc`; else "".
        extras: names → what each adds.
        marker: where this one of several of its name is meant; "" for everywhere.
        line: of the lock, from 1 on.
        any_local: a local version (`+cpu`) is none that differs, as for `==` of a requirement.
    """

    name: str
    version: str
    origin: str = ""
    dependencies: tuple[LockedDependency, ...] = ()
    extras: tuple[tuple[str, tuple[LockedDependency, ...]], ...] = ()
    marker: str = ""
    line: int | None = None
    any_local: bool = False


@dataclass(frozen=True)
class Lock:
    """A lock file.

    Args:
        place: the file, as findings name it.
        installing: the command that installs it.
        roots: what the project depends on.
        choices: names of its extras and groups → what each adds.
        own: packages that are the project itself.
        direct: requirements of the project as the lock has taken them from pyproject; None where
            it does not say.
        complete: whether all that is installed has to be in it.
        of_conda: it lists builds of conda's packages.
    """

    place: str
    installing: str
    packages: tuple[LockedPackage, ...]
    roots: tuple[LockedDependency, ...]
    choices: tuple[tuple[str, tuple[LockedDependency, ...]], ...] = ()
    own: frozenset[str] = frozenset()
    direct: tuple[str, ...] | None = None
    complete: bool = True
    of_conda: bool = False


def holds(marker: str, environment: Mapping[str, str], extra: str = "") -> bool:
    """Whether a marker holds in an environment; one that cannot be read does."""
    if not marker:
        return True
    nothing = frozenset[str]()
    given: dict[str, str | Set[str]] = {**environment, "extra": extra}
    given |= {"extras": nothing, "dependency_groups": nothing}
    try:
        return bool(Marker(marker).evaluate(given, context="lock_file"))
    except (InvalidMarker, UndefinedEnvironmentName, KeyError):
        return True


def required(
    lock: Lock, environment: Mapping[str, str], chosen: Iterable[str] = ()
) -> dict[str, LockedPackage]:
    """What has to be installed: all that the project depends on there, by name.

    Args:
        chosen: extras and groups that are installed, too.
    """
    choices = dict(lock.choices)
    start = [*lock.roots, *(each for name in chosen for each in choices.get(name, ()))]
    return _reached(lock, environment, start)


def allowed(lock: Lock, environment: Mapping[str, str]) -> dict[str, LockedPackage]:
    """What may be installed: with all extras and groups, too."""
    return required(lock, environment, [name for name, _added in lock.choices])


def _reached(
    lock: Lock, environment: Mapping[str, str], start: Iterable[LockedDependency]
) -> dict[str, LockedPackage]:
    by_name: dict[str, list[LockedPackage]] = {}
    for each in lock.packages:
        by_name.setdefault(each.name, []).append(each)
    found: dict[str, LockedPackage] = {}
    seen: set[tuple[str, str, str]] = set()
    left = [(each, "") for each in start]
    while left:
        wanted, of_extra = left.pop()
        if not holds(wanted.marker, environment, of_extra):
            continue
        package = _chosen(by_name.get(wanted.name, ()), wanted.version, environment)
        if package is None:
            continue
        found[package.name] = package
        for extra in ("", *wanted.extras):
            key = (package.name, package.version, extra)
            if key not in seen:
                seen.add(key)
                left += [(each, extra) for each in _added(package, extra)]
    return found


def _added(package: LockedPackage, extra: str) -> Iterator[LockedDependency]:
    yield from dict(package.extras).get(extra, ()) if extra else package.dependencies


def _chosen(
    packages: Iterable[LockedPackage], version: str, environment: Mapping[str, str]
) -> LockedPackage | None:
    for each in packages:
        if (not version or each.version == version) and holds(each.marker, environment):
            return each
    return None
