"""Folders and links that a run leaves, beside its files, for the runs that need it."""

from __future__ import annotations

import bisect

from pytest_mlcontainer.model import Folder, Link
from pytest_mlcontainer.outputs.collected import Collected
from pytest_mlcontainer.outputs.declared import DeclaredOutputs


def folders_left(collected: Collected, declared: DeclaredOutputs) -> tuple[Folder, ...]:
    """The folders that hold outputs, and those that are declared or hold what is, empty or not;
    sorted, so that each comes after the one that it lies in."""
    paths = sorted(declared.absolute(name) for name in collected.outputs)
    roots = declared.roots()
    return tuple(
        folder
        for path, folder in sorted(collected.folders.items())
        if path in roots or _holds(path, paths) or declared.name_of(path) is not None
    )


def links_left(collected: Collected, declared: DeclaredOutputs) -> tuple[Link, ...]:
    """The symbolic links that are declared, or lie in what is, by absolute paths; sorted."""
    return tuple(
        Link(path, target)
        for path, target in sorted(collected.followed.items())
        if declared.name_of(path) is not None
    )


def _holds(folder: str, paths: list[str]) -> bool:
    """Whether one of the sorted paths lies in the folder."""
    inside = f"{folder}/"
    at = bisect.bisect_left(paths, inside)
    return at < len(paths) and paths[at].startswith(inside)
