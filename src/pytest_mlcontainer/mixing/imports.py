"""Which of the packages that differ a project uses, by what its programs import. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pytest_mlcontainer.mixing.changes import Change, ImageChangeKind
from pytest_mlcontainer.mixing.contents import Distribution
from pytest_mlcontainer.mixing.versions import parse_requirement

_IMPORT: Final = re.compile(
    r"(?:^|[\n;:])[ \t]*(?:from[ \t]+([A-Za-z_][\w.]*)[ \t]+import\b"
    r"|import[ \t]+([A-Za-z_][\w.]*(?:[ \t]+as[ \t]+\w+)?"
    r"(?:[ \t]*,[ \t]*[A-Za-z_][\w.]*(?:[ \t]+as[ \t]+\w+)?)*))"
)
_BY_NAME: Final = re.compile(r"\bimport_module\(\s*[\"']([A-Za-z_]\w*)|\b__import__\(\s*[\"'](\w+)")


def imported_modules(texts: Iterable[str]) -> frozenset[str]:
    """The top-level names that programs import, by themselves or with `import_module`."""
    found: set[str] = set()
    for text in texts:
        for module, listed in _IMPORT.findall(text):
            found |= {part.split()[0] for part in [module, *listed.split(",")] if part.strip()}
        found |= {name for pair in _BY_NAME.findall(text) for name in pair if name}
    return frozenset(name.partition(".")[0] for name in found)


def used(
    changes: Iterable[Change], distributions: Iterable[Distribution], modules: frozenset[str]
) -> frozenset[str]:
    """Names of those changed packages that these modules belong to or need, however far away.

    Args:
        distributions: of both sides; what a package needs may be in between, and the same on both.
    """
    every: dict[str, list[Distribution]] = {}
    for each in distributions:
        every.setdefault(each.name, []).append(each)
    waiting = [
        name
        for name, sides in every.items()
        if any(modules.intersection(side.modules) for side in sides)
    ]
    reached = set(waiting)
    while waiting:
        needed = {
            wanted.name
            for side in every.get(waiting.pop(), ())
            for text in side.requires
            if (wanted := parse_requirement(text, "3")) is not None
        }
        waiting += [name for name in needed - reached if name in every]
        reached |= needed
    return frozenset(
        change.name
        for change in changes
        if change.kind is ImageChangeKind.PACKAGE
        for side in (change.before, change.after)
        if side is not None and side.name in reached
    )
