"""What an image holds, layer by layer: read once from the stream that an engine sends.

Nothing is unpacked to disk, and memory goes with the number of files, not with their size. What a
layer says is data: names lead nowhere, links are not followed, sizes are checked.
"""

from __future__ import annotations

from pytest_mlcontainer.image_checks.inventory.archive import read_image
from pytest_mlcontainer.image_checks.inventory.entries import (
    Entry,
    EntryKind,
    GpuCode,
    Inventory,
    Layer,
    LayerContent,
)
from pytest_mlcontainer.image_checks.inventory.stored import StoredLayers
from pytest_mlcontainer.image_checks.inventory.visible import (
    Hidden,
    Placed,
    VisibleFiles,
    resolve,
)

__all__ = [
    "Entry",
    "EntryKind",
    "GpuCode",
    "Hidden",
    "Inventory",
    "Layer",
    "LayerContent",
    "Placed",
    "StoredLayers",
    "VisibleFiles",
    "read_image",
    "resolve",
]
