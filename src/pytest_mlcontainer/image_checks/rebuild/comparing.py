"""Two builds of one image, held against each other."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.image_checks.rebuild.archive import (
    ArchivedFile,
    ArchivedLayer,
    ImageArchive,
)
from pytest_mlcontainer.outputs.tar import TarMemberKind

MOST_BYTES: Final = 8 << 20
"""Of the largest file whose bytes are looked at."""

MOST_BYTES_TOGETHER: Final = 128 << 20
"""Of all such files of a layer."""


class DifferenceKind(enum.Enum):
    """How a file of a layer differs between two builds."""

    CONTENT = "has other bytes"
    FIRST_ONLY = "is in the first build alone"
    SECOND_ONLY = "is in the second build alone"
    ATTRIBUTES = "has other attributes"
    ORDER = "comes at another place in the layer"


@dataclass(frozen=True)
class FileChange:
    """One file that differs.

    Args:
        before, after: its bytes in the first and in the second build; None where they were not
            read, or it is not there.
        attributes: which differ, with both values.
    """

    path: str
    kind: DifferenceKind
    before: bytes | None = None
    after: bytes | None = None
    attributes: str = ""


@dataclass(frozen=True)
class LayerChange:
    """One layer that differs.

    Args:
        number: of the layer, from 0 on.
        instruction: what made it, as the history has it.
    """

    number: int
    instruction: str
    files: tuple[FileChange, ...]


def compare_builds(first: ImageArchive, second: ImageArchive) -> tuple[LayerChange, ...]:
    """What differs, layer by layer; a layer that only one build has counts as its files.

    Raises:
        EngineError: one of them cannot be read.
    """
    return tuple(_changes(first, second))


def _changes(first: ImageArchive, second: ImageArchive) -> Iterator[LayerChange]:
    for number in range(max(len(first.layers), len(second.layers))):
        one = first.layers[number] if number < len(first.layers) else None
        other = second.layers[number] if number < len(second.layers) else None
        if one is not None and other is not None and one.digest == other.digest:
            continue
        files = tuple(_files(first, one, second, other))
        yield LayerChange(number, (one or other or first.layers[0]).instruction, files)


def _files(
    first: ImageArchive,
    one: ArchivedLayer | None,
    second: ImageArchive,
    other: ArchivedLayer | None,
) -> Iterator[FileChange]:
    before = {} if one is None else {each.path: each for each in first.files(one)}
    after = {} if other is None else {each.path: each for each in second.files(other)}
    found = list(_compared(before, after))
    changed = frozenset(_looked_at(found, before, after))
    old = {} if one is None else first.read(one, changed, MOST_BYTES)
    new = {} if other is None else second.read(other, changed, MOST_BYTES)
    for each in found:
        yield replace(each, before=old.get(each.path), after=new.get(each.path))
    if not found and tuple(before) != tuple(after):
        moved = next(a for a, b in zip(before, after, strict=True) if a != b)
        yield FileChange(moved, DifferenceKind.ORDER)


def _looked_at(
    found: list[FileChange], before: dict[str, ArchivedFile], after: dict[str, ArchivedFile]
) -> Iterator[str]:
    """Those whose bytes are read: as many as may be."""
    left = MOST_BYTES_TOGETHER
    for each in found:
        if each.kind is DifferenceKind.CONTENT:
            left -= max(before[each.path].size_bytes, after[each.path].size_bytes)
            if left < 0:
                return
            yield each.path


def _compared(
    before: dict[str, ArchivedFile], after: dict[str, ArchivedFile]
) -> Iterator[FileChange]:
    for path in sorted({*before, *after}):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            kind = DifferenceKind.SECOND_ONLY if one is None else DifferenceKind.FIRST_ONLY
            yield FileChange(path, kind)
        elif (one.kind, one.content) != (other.kind, other.content):
            yield FileChange(path, DifferenceKind.CONTENT)
        elif differing := _attributes(one, other):
            yield FileChange(path, DifferenceKind.ATTRIBUTES, attributes=differing)


def _attributes(one: ArchivedFile, other: ArchivedFile) -> str:
    found = []
    if one.mode != other.mode:
        found.append(f"mode {one.mode:o} and {other.mode:o}")
    if one.owner != other.owner:
        found.append(f"owner {one.owner[0]}:{one.owner[1]} and {other.owner[0]}:{other.owner[1]}")
    if one.time_ns != other.time_ns and one.kind is not TarMemberKind.HARDLINK:
        found.append(f"time {one.time_ns / 1e9:.3f} and {other.time_ns / 1e9:.3f}")
    return ", ".join(found)
