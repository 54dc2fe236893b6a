"""Outputs that are one dataset, although it is a folder of many files: Zarr stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_mlcontainer.compare.formats.zarr_store import ROOTS
from pytest_mlcontainer.globs import names
from pytest_mlcontainer.model import Output, Rule

Outputs = tuple[Output, ...]


def with_datasets(
    actual: Outputs, expected: Outputs, rules: tuple[Rule, ...]
) -> tuple[Outputs, Outputs]:
    """The outputs of both runs, the files of each store that both have as one output.

    It has the folder's name and place. Files stay by themselves where the two sides do not agree
    which folder is a store, where a rule is for files in it and not for all of it, where one of
    them is known by its summary alone, and where they do not lie on this machine as they did in the
    container.
    """
    mine, theirs = _stores(actual), _stores(expected)
    kept = {
        root
        for root in mine.keys() & theirs.keys()
        if _place_of(root, mine[root]) is not None
        and _place_of(root, theirs[root]) is not None
        and not _is_ruled(root, (*mine[root], *theirs[root]), rules)
    }
    return _folded(actual, mine, kept), _folded(expected, theirs, kept)


def _stores(outputs: Outputs) -> dict[str, list[Output]]:
    """Files by the outermost folder above them that says it is a store, or a part of one."""
    named = {
        folder
        for folder, _slash, file in (each.name.rpartition("/") for each in outputs)
        if folder and file in ROOTS
    }
    found: dict[str, list[Output]] = {}
    for each in outputs:
        roots = [folder for folder in _above(each.name) if folder in named]
        if roots:
            found.setdefault(roots[-1], []).append(each)
    return found


def _above(name: str) -> Iterator[str]:
    """The folders above, the innermost first."""
    while name := name.rpartition("/")[0]:
        yield name


def _is_ruled(root: str, files: Outputs, rules: tuple[Rule, ...]) -> bool:
    patterns = [rule.output for rule in rules if not names(rule.output, root)]
    return any(names(pattern, each.name) for pattern in patterns for each in files)


def _place_of(root: str, files: list[Output]) -> Path | None:
    """Where the store is on this machine; None where its files are not all there."""
    places: set[str] = set()
    for each in files:
        inside, path = each.name[len(root) :], each.path.as_posix()
        if each.summary is not None or not path.endswith(inside):
            return None
        places.add(path.removesuffix(inside))
    return Path(places.pop()) if len(places) == 1 else None


def _folded(outputs: Outputs, stores: dict[str, list[Output]], roots: set[str]) -> Outputs:
    folded = {each.name for root in roots for each in stores[root]}
    found = [each for each in outputs if each.name not in folded]
    for root in sorted(roots):
        place = _place_of(root, stores[root])
        assert place is not None
        found.append(Output(root, place, sum(each.size_bytes for each in stores[root])))
    return tuple(found)
