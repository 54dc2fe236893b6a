"""Where links lead, among what was collected."""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

_CHAIN = 40  # links to links, as Linux counts them


def end_of(target: str, links: Mapping[str, str]) -> str:
    """Where a chain of links, of files and of the folders above them, ends."""
    for _ in range(_CHAIN):
        above = (target, *(str(path) for path in PurePosixPath(target).parents))
        link = next((path for path in above if path in links), None)
        if link is None:
            break
        target = posixpath.normpath(links[link] + target[len(link) :])
    return target


def at_or_below(target: str, paths: list[str]) -> Iterator[str]:
    """Those of the sorted paths that are `target` or lie in it."""
    at = bisect.bisect_left(paths, target)
    if at < len(paths) and paths[at] == target:
        yield target
    at = bisect.bisect_left(paths, f"{target}/")
    while at < len(paths) and paths[at].startswith(f"{target}/"):
        yield paths[at]
        at += 1
