"""Paths that runs asked for → files of the image that they got, links on the way included."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from pytest_mlcontainer.image_checks.inventory import Entry, EntryKind, VisibleFiles
from pytest_mlcontainer.image_checks.size.packages import Package, PackageFiles

_MOST_LINKS = 40  # of one path, as the kernel follows them
_ABOUT = (".dist-info/", ".egg-info/")


class OpenedInImage:
    """Which files of an image were opened.

    Args:
        files: all that a container sees.
        paths: absolute ones, as programs asked for them.

    Attributes:
        files: paths of those that were opened, without a slash at their beginning, and of the
            links that led to them.
    """

    def __init__(self, files: VisibleFiles, paths: Iterable[str]) -> None:
        self._entries = {each.entry.path: each.entry for each in files.files}
        found: set[str] = set()
        for path in paths:
            found |= self.followed(path)
        self.files: frozenset[str] = frozenset(found)

    def packages(self, owners: PackageFiles) -> frozenset[Package]:
        """Packages with a file that was opened; what only says that one is there does not count."""
        used = (owners.owner(path) for path in self.files if not is_about(path))
        return frozenset(each for each in used if each is not None)

    def described(self, owners: PackageFiles) -> frozenset[Package]:
        """Packages of which programs read what says that they are there: their entry points."""
        used = (owners.owner(path) for path in self.files if is_about(path))
        return frozenset(each for each in used if each is not None)

    def followed(self, path: str) -> set[str]:
        """The file that a path leads to, with the links on its way; nothing for other paths."""
        found: set[str] = set()
        at: list[str] = []
        left = path.split("/")[::-1]
        links = 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del at[-1:]
                continue
            at.append(part)
            entry: Entry | None = self._entries.get("/".join(at))
            if entry is None:
                continue
            found.add(entry.path)
            if entry.kind is EntryKind.LINK:
                links += 1
                if links > _MOST_LINKS:
                    break
                at = [] if entry.target.startswith("/") else at[:-1]
                left += entry.target.split("/")[::-1]
        return found


def is_about(path: str) -> bool:
    """Whether a file only says that a Python distribution is installed."""
    return any(mark in posixpath.join(path, "") for mark in _ABOUT)
