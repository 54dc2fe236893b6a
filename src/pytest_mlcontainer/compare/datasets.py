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
    kept = frozenset(
        root
        for root in _roots(actual) & _roots(expected)
        if all(_folder_of(root, side) is not None for side in (actual, expected))
        and not _is_ruled(root, (*actual, *expected), rules)
    )
    return _folded(actual, kept), _folded(expected, kept)


def _is_ruled(root: str, outputs: Outputs, rules: tuple[Rule, ...]) -> bool:
    patterns = [rule.output for rule in rules if not names(rule.output, root)]
    return any(names(rule, each.name) for rule in patterns for each in _below(root, outputs))


def _roots(outputs: Outputs) -> frozenset[str]:
    """The outermost folders that say they are a store, or a part of one."""
    named = {
        folder
        for folder, _slash, file in (each.name.rpartition("/") for each in outputs)
        if folder and file in ROOTS
    }
    return frozenset(name for name in named if named.isdisjoint(_above(name)))


def _above(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def _below(root: str, outputs: Outputs) -> Outputs:
    return tuple(each for each in outputs if each.name.startswith(f"{root}/"))


def _folder_of(root: str, outputs: Outputs) -> Path | None:
    """Where the store is on this machine; None where its files are not all there."""
    places: set[Path] = set()
    for each in _below(root, outputs):
        inside = Path(each.name[len(root) + 1 :]).parts
        if each.summary is not None or each.path.parts[-len(inside) :] != inside:
            return None
        places.add(each.path.parents[len(inside) - 1])
    return places.pop() if len(places) == 1 else None


def _folded(outputs: Outputs, roots: frozenset[str]) -> Outputs:
    stores: list[Output] = []
    rest = outputs
    for root in sorted(roots):
        files = _below(root, outputs)
        place = _folder_of(root, outputs)
        assert place is not None
        stores.append(Output(root, place, sum(each.size_bytes for each in files)))
        rest = tuple(each for each in rest if not each.name.startswith(f"{root}/"))
    return (*rest, *stores)
