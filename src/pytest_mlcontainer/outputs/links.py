"""Where links lead, among what was collected."""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Iterator, Mapping

_CHAIN = 40  # links to links, as Linux counts them
# Of names looked at. Links that lead round and round end here, however many they are.
_WORK_BYTES = 1 << 30


def end_of_each(links: Mapping[str, str]) -> dict[str, str]:
    """Where the chain that starts with each link ends, of files and of the folders above them.

    Args:
        links: link's path → target's path, both absolute and normal.
    """
    known: dict[str, str] = {}
    ends: dict[str, str] = {}
    left = _WORK_BYTES
    for link, target in links.items():
        trail: list[str] = []
        while target not in known and len(trail) < _CHAIN and left > 0:
            left -= len(target) * target.count("/")
            trail.append(target)
            above = _nearest(target, links)
            if above is None:
                break
            target = posixpath.normpath(links[above] + target[len(above) :])
        ends[link] = known.get(target, target)
        known.update(dict.fromkeys(trail, ends[link]))
    return ends


def at_or_below(target: str, paths: list[str]) -> Iterator[str]:
    """Those of the sorted paths that are `target` or lie in it."""
    at = bisect.bisect_left(paths, target)
    if at < len(paths) and paths[at] == target:
        yield target
    at = bisect.bisect_left(paths, f"{target}/")
    while at < len(paths) and paths[at].startswith(f"{target}/"):
        yield paths[at]
        at += 1


def _nearest(target: str, links: Mapping[str, str]) -> str | None:
    """The link that a path is, or the nearest above it."""
    end = len(target)
    while end > 0:
        if (path := target[:end]) in links:
            return path
        end = target.rfind("/", 0, end)
    return None
