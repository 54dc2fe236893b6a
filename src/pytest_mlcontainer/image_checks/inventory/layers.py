"""One layer's tar stream → its entries."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inventory.entries import (
    Entry,
    EntryKind,
    GpuCode,
    LayerContent,
)
from pytest_mlcontainer.image_checks.inventory.fatbin import ELF, FatbinScan, cubin_target
from pytest_mlcontainer.image_checks.inventory.kept_texts import MOST_BYTES_TOGETHER, is_kept
from pytest_mlcontainer.outputs.tar import Content, TarHeader, TarMemberKind, read_members

SMALLEST_DIGESTED = 1024
"""Bytes of the smallest file of which the digest is known: below, equal files do not matter."""

_CHUNK = 1 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_KINDS = {
    TarMemberKind.FILE: EntryKind.FILE,
    TarMemberKind.SPARSE: EntryKind.FILE,
    TarMemberKind.FOLDER: EntryKind.FOLDER,
    TarMemberKind.SYMLINK: EntryKind.LINK,
    TarMemberKind.HARDLINK: EntryKind.HARDLINK,
}


@dataclass
class InventoryLimits:
    """What reading one image may still take; each layer takes from it.

    Args:
        entries: members of all layers.
        name_bytes: of their names and the targets of their links.
        text_bytes: of the files whose content is kept; beyond it that is left out and noted.
    """

    entries: int = 4_000_000
    name_bytes: int = 1 << 29
    text_bytes: int = MOST_BYTES_TOGETHER
    left_out: int = 0

    def take(self, header: TarHeader) -> None:
        """Count one member.

        Raises:
            EngineError: that is more than an image has.
        """
        self.entries -= 1
        self.name_bytes -= len(header.name) + len(header.target)
        if self.entries < 0 or self.name_bytes < 0:
            raise EngineError(
                "the image has more files than an image has",
                f"the first too many is {header.name[:200]!r}",
                "turn the check off for this image (`size = false`, `gpu = false`)",
            )


def read_layer(chunks: Iterable[bytes], limits: InventoryLimits) -> LayerContent:
    """Read all members of a layer.

    Args:
        chunks: its tar stream, unpacked.

    Raises:
        DamagedTarError: it is cut off, or none.
        EngineError: there is more than `limits` allow.
    """
    content = Content(chunks)
    entries: list[Entry] = []
    gpu_code: list[GpuCode] = []
    texts: list[tuple[str, str]] = []
    size = 0
    for header in read_members(content):
        limits.take(header)
        entry, targets = _read_entry(header, content, limits, texts)
        if entry is None:
            continue
        size += entry.size_bytes
        entries.append(entry)
        if targets:
            gpu_code.append(GpuCode(entry.path, targets))
    for _rest in chunks:  # behind the end there is padding; a compressed stream has to end
        pass
    return LayerContent(size, tuple(entries), tuple(gpu_code), tuple(texts))


def clean_path(name: str) -> str:
    """A member's name as a path from the image's root; `..` never leads above that."""
    return posixpath.normpath("/" + name).lstrip("/")


def _read_entry(
    header: TarHeader, content: Content, limits: InventoryLimits, texts: list[tuple[str, str]]
) -> tuple[Entry | None, tuple[str, ...]]:
    """The member as an entry, None for what is about the layer itself; and its GPU targets."""
    path = clean_path(header.name)
    folder, _slash, name = path.rpartition("/")
    if name == _OPAQUE:
        return Entry(folder, EntryKind.OPAQUE), ()
    if name.startswith(_WHITEOUT * 2):
        return None, ()  # of the storage driver: `.wh..wh.plnk`, `.wh..wh.aufs`
    if name.startswith(_WHITEOUT):
        return Entry(posixpath.join(folder, name.removeprefix(_WHITEOUT)), EntryKind.WHITEOUT), ()
    kind = _KINDS.get(header.kind, EntryKind.OTHER)
    if kind is EntryKind.FILE:
        return _read_file(path, header.size_bytes, content, limits, texts)
    target = clean_path(header.target) if kind is EntryKind.HARDLINK else header.target
    return Entry(path, kind, target=target), ()


def _read_file(
    path: str,
    size: int,
    content: Content,
    limits: InventoryLimits,
    texts: list[tuple[str, str]],
) -> tuple[Entry, tuple[str, ...]]:
    kept = is_kept(path, size)
    if kept and size > limits.text_bytes:
        limits.left_out, kept = limits.left_out + 1, False
    if not kept and size < SMALLEST_DIGESTED:
        return Entry(path, EntryKind.FILE, size), ()
    digest = hashlib.sha256()
    parts: list[bytes] = []
    scan: FatbinScan | None = None
    targets: tuple[str, ...] = ()
    first = True
    while piece := content.read(_CHUNK):
        if first and bytes(piece[:4]) == ELF:
            cubin = cubin_target(bytes(piece[:64]))
            targets, scan = ((cubin,), None) if cubin else ((), FatbinScan())
        first = False
        digest.update(piece)
        if scan is not None:
            scan.feed(piece)
        if kept:
            parts.append(piece.tobytes())
    if kept:
        limits.text_bytes -= size
        texts.append((path, b"".join(parts).decode("utf-8", "replace")))
    shown = digest.hexdigest() if size >= SMALLEST_DIGESTED else ""
    return Entry(path, EntryKind.FILE, size, shown), scan.targets if scan is not None else targets
