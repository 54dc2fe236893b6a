"""Hybrid images, as plans: which image one begins with, and what the other gives. Pure.

A hybrid is an image with some of its packages, code or variables replaced by those of another one,
the donor. Some of A's are replaced by B's; where the base image itself is to be B's, a hybrid
begins with B, and what has not changed is put back from A.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.mixing.changes import BASE, Change, ImageChangeKind, env_differences
from pytest_mlcontainer.mixing.contents import Contents, Distribution
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.model import Entrypoint, Pairs


@dataclass(frozen=True)
class Wheels:
    """What an index gave for the Python of one image.

    Args:
        reference: the image that they are in.
        paths: for each package its wheel there.
        missing: for each of the others, why there is none.
    """

    reference: str = ""
    paths: Pairs = ()
    missing: Pairs = ()


@dataclass(frozen=True)
class ImagePair:
    """Images A and B, and the changes that can be made one by one from A to B.

    Args:
        changes: those that can be made alone; all others belong to the base image.
        wheels: for A's Python, and for B's.
        packed: folder with the files of this machine's packages, where B is this machine.
    """

    a: Side
    b: Side
    changes: tuple[Change, ...]
    wheels: tuple[Wheels, Wheels] = (Wheels(), Wheels())
    packed: Path | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(change.name for change in self.changes)

    @property
    def one_way(self) -> bool:
        """Whether no hybrid can begin with B: it is this machine, or of another platform than A."""
        a, b = self.a.image, self.b.image
        return a is None or b is None or a.platform != b.platform


@dataclass(frozen=True)
class Hybrid:
    """How a hybrid image is made, as data.

    Args:
        base, donor: the image that it begins with, and the one that gives.
        drop, take: packages of the base that go, and of the donor that are transplanted.
        project: whether the project's folder is transplanted, too.
        install: wheels to be installed instead, as paths in the image `wheels`.
        env: variables set for runs, and `unset`: those that they must not have.
    """

    base: Side
    donor: Side
    drop: tuple[Distribution, ...] = ()
    take: tuple[Distribution, ...] = ()
    project: bool = False
    install: tuple[str, ...] = ()
    wheels: str = ""
    env: Pairs = ()
    unset: tuple[str, ...] = ()

    @property
    def needs_build(self) -> bool:
        return bool(self.drop or self.take or self.project or self.install)


def plan_hybrid(pair: ImagePair, names: Iterable[str]) -> Hybrid:
    """The hybrid in which just these changes are made: with none it is A, with all of them B.

    Args:
        names: of changes of the pair.
    """
    chosen = frozenset(names)
    one_way = pair.one_way
    a, b = pair.a, pair.b
    on_b = not one_way and (BASE in chosen or chosen == pair.names) and bool(chosen)
    base, donor = (b, a) if on_b else (a, b)
    hybrid = Hybrid(base, donor)
    if not chosen or (chosen == pair.names and not one_way):
        return hybrid
    moved = [change for change in pair.changes if (change.name in chosen) is not on_b]
    wheels = pair.wheels[1 if on_b else 0]
    for change in moved:
        if change.kind is ImageChangeKind.PACKAGE:
            hybrid = _with_package(hybrid, change, wheels, to_b=not on_b)
        elif change.kind is ImageChangeKind.PROJECT:
            mine, theirs = change.own if not on_b else (change.own[1], change.own[0])
            drop, take = (*hybrid.drop, *mine), (*hybrid.take, *theirs)
            hybrid = replace(hybrid, project=True, drop=drop, take=take)
        elif change.kind is ImageChangeKind.ENV:
            hybrid = _with_env(hybrid)
    return hybrid


def needs_wheel(donor: Contents, base: Contents, package: Distribution | None) -> bool:
    """Whether the donor's files of a package cannot work with the base's Python."""
    if package is None:
        return False
    elsewhere = package.compiled and donor.machine != base.machine
    return elsewhere or (package.bound and donor.minor != base.minor)


def _with_package(hybrid: Hybrid, change: Change, wheels: Wheels, *, to_b: bool) -> Hybrid:
    old, new = (change.before, change.after) if to_b else (change.after, change.before)
    if new is not None and needs_wheel(hybrid.donor.contents, hybrid.base.contents, new):
        path = dict(wheels.paths)[new.name]
        return replace(hybrid, install=(*hybrid.install, path), wheels=wheels.reference)
    drop = hybrid.drop if old is None else (*hybrid.drop, old)
    take = hybrid.take if new is None else (*hybrid.take, new)
    return replace(hybrid, drop=drop, take=take)


def _with_env(hybrid: Hybrid) -> Hybrid:
    found = env_differences(hybrid.base.contents, hybrid.donor.contents)
    return replace(
        hybrid,
        env=tuple((name, theirs) for name, _mine, theirs in found if theirs is not None),
        unset=tuple(name for name, _mine, theirs in found if theirs is None),
    )


def fitted(entry: Entrypoint, hybrid: Hybrid) -> Entrypoint:
    """The entrypoint as it runs in the hybrid: what an image's configuration says of the
    project goes with the project, and variables are given to the run instead of built in."""
    env = tuple({**dict(hybrid.env), **dict(entry.env)}.items())
    unset = [name for name in hybrid.unset if name not in dict(entry.env)]
    entry = replace(entry, env=env)
    owner = hybrid.donor.image if hybrid.project else hybrid.base.image
    base = hybrid.base.image
    if owner is None or base is None or (owner == base and not unset):
        return entry
    words = (*(entry.entrypoint or owner.entrypoint), *entry.command)
    if entry.entrypoint is not None:
        words = (*entry.entrypoint, *entry.command)
    elif not entry.command:
        words = (*owner.entrypoint, *owner.command)
    if unset:
        words = ("env", *(word for name in unset for word in ("-u", name)), *words)
    workdir = entry.workdir
    if owner.workdir != base.workdir:
        workdir = str(Path(owner.workdir, entry.workdir or ""))
    return replace(entry, entrypoint=words[:1], command=words[1:], workdir=workdir)
