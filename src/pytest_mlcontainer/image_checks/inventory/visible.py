"""Which files a container sees, and which of them later layers hide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_mlcontainer.image_checks.inventory.entries import Entry, EntryKind, Layer

_REMOVES = (EntryKind.WHITEOUT, EntryKind.OPAQUE)


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry, and the number of its layer, from 0."""

    layer: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file that takes room in its layer and that no container sees.

    Args:
        layer: that holds it.
        by: the layer that deletes or overwrites it.
        replacement: what stands in its place in that layer; None where it is deleted.
    """

    layer: int
    entry: Entry
    by: int
    replacement: Entry | None


@dataclass(frozen=True)
class VisibleFiles:
    """What is left when all layers lie on one another.

    Args:
        files: everything but folders that a container sees, sorted by path.
        hidden: files whose content nothing leads to any more.
    """

    files: tuple[Placed, ...]
    hidden: tuple[Hidden, ...]


@dataclass(slots=True)
class _PathNode:
    """One path: what stands there, and what lies below it."""

    placed: Placed | None = None
    below: dict[str, _PathNode] = field(default_factory=dict)


@dataclass(slots=True)
class _HiddenBy:
    by: int
    replacement: Entry | None


# By number of the layer and path.
_Fates = dict[tuple[int, str], _HiddenBy]


def resolve(layers: tuple[Layer, ...]) -> VisibleFiles:
    """Lay the layers on one another, as an engine does.

    A layer's whiteouts act on the layers below it alone, wherever they stand in it. A file stays as
    long as one of its hard links does.
    """
    root = _PathNode()
    fates: _Fates = {}
    for number, layer in enumerate(layers):
        for entry in layer.content.entries:
            if entry.kind in _REMOVES:
                _remove(root, entry, number, fates)
        for entry in layer.content.entries:
            if entry.kind not in _REMOVES:
                _put(root, Placed(number, entry), fates)
    visible = sorted(_walk(root), key=lambda each: each.entry.path)
    return VisibleFiles(tuple(visible), tuple(_hidden(layers, fates)))


def _remove(root: _PathNode, entry: Entry, number: int, fates: _Fates) -> None:
    *folders, name = entry.path.split("/")
    node = root
    for part in folders:
        found = node.below.get(part)
        if found is None:
            return
        node = found
    gone = node.below.get(name) if entry.path else root
    if gone is None:
        return
    if entry.kind is EntryKind.WHITEOUT and entry.path:
        del node.below[name]
        _note(gone, number, None, fates)
    else:
        for below in gone.below.values():
            _note(below, number, None, fates)
        gone.below.clear()


def _put(root: _PathNode, placed: Placed, fates: _Fates) -> None:
    node, entry = root, placed.entry
    for part in entry.path.split("/") if entry.path else ():
        node = node.below.setdefault(part, _PathNode())
    before = node.placed
    if before is not None and before.layer == placed.layer:
        before = None  # the same name twice in one layer, which no engine writes
    if before is not None and entry.kind is not EntryKind.FOLDER:
        _note_one(before, placed.layer, entry, fates)
    if entry.kind is not EntryKind.FOLDER and node.below:
        for below in node.below.values():
            _note(below, placed.layer, None, fates)
        node.below.clear()
    elif before is not None and entry.kind is EntryKind.FOLDER:
        _note_one(before, placed.layer, None, fates)
    node.placed = placed


def _note(node: _PathNode, by: int, replacement: Entry | None, fates: _Fates) -> None:
    left = [node]
    while left:
        each = left.pop()
        left += each.below.values()
        if each.placed is not None:
            _note_one(each.placed, by, replacement, fates)


def _note_one(placed: Placed, by: int, replacement: Entry | None, fates: _Fates) -> None:
    if placed.entry.kind in (EntryKind.FILE, EntryKind.HARDLINK):
        fates[placed.layer, placed.entry.path] = _HiddenBy(by, replacement)


def _walk(root: _PathNode) -> Iterator[Placed]:
    left = [root]
    while left:
        each = left.pop()
        left += each.below.values()
        if each.placed is not None and each.placed.entry.kind is not EntryKind.FOLDER:
            yield each.placed


def _hidden(layers: tuple[Layer, ...], fates: _Fates) -> Iterator[Hidden]:
    for number, layer in enumerate(layers):
        linked: set[str] = {
            entry.target
            for entry in layer.content.entries
            if entry.kind is EntryKind.HARDLINK and (number, entry.path) not in fates
        }
        for entry in layer.content.entries:
            fate = fates.get((number, entry.path))
            if entry.kind is EntryKind.FILE and fate is not None and entry.path not in linked:
                yield Hidden(number, entry, fate.by, fate.replacement)
