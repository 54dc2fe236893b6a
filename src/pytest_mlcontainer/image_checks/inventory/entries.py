"""The contents of an image as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pytest_mlcontainer.model import Pairs, Platform


class EntryKind(enum.Enum):
    """What a member of a layer is; the value stands for it in stored inventories."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"
    HARDLINK = "h"
    OTHER = "o"
    WHITEOUT = "w"
    OPAQUE = "q"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer.

    Args:
        path: from the image's root, without a slash at its beginning. That of a whiteout is what
            it removes from the layers below; that of an opaque one the folder that it empties.
        size_bytes: of a file's content; 0 for all else.
        digest: SHA-256 of a file's content in hex; empty for small files and for all else.
        target: of a link as it is written; of a hard link the path in the same layer.
    """

    path: str
    kind: EntryKind
    size_bytes: int = 0
    digest: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class GpuCode:
    """A file with programs for GPUs.

    Args:
        targets: `sm_80` for machine code, `compute_90` for PTX, sorted.
    """

    path: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerContent:
    """What a layer holds, whatever image it is in.

    Args:
        size_bytes: of the content of its files.
        texts: contents of the small files that say what is installed, by path.
    """

    size_bytes: int
    entries: tuple[Entry, ...]
    gpu_code: tuple[GpuCode, ...] = ()
    texts: Pairs = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image.

    Args:
        digest: of its unpacked tar stream, as the image's configuration has it.
        blob: the name under which the engine sent it.
        sent_bytes: of that: compressed, where the engine keeps it so.
        instruction: what made it, as the image's history has it; empty where that does not say.
    """

    digest: str
    blob: str
    sent_bytes: int
    instruction: str
    content: LayerContent

    @property
    def size_bytes(self) -> int:
        """Of the content of its files."""
        return self.content.size_bytes


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that an image holds for one platform.

    Args:
        digest: of its configuration, `sha256:…`.
        layers: from the base up.
        env: variables of its configuration.
        notes: what could not be read, for whoever wonders.
    """

    platform: Platform
    digest: str
    layers: tuple[Layer, ...]
    env: Pairs = ()
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Of the files of all layers, also of those that a later layer hides."""
        return sum(layer.size_bytes for layer in self.layers)
