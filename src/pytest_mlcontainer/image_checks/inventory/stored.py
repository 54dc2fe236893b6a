"""What was read of images, kept on this machine: an image that did not change is not read again.

Layers have files of their own, since images share them, and most of an image stays when its sources
change. What is damaged, or of another version of this program, reads as missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_mlcontainer.image_checks.inventory.entries import (
    Entry,
    EntryKind,
    GpuCode,
    Inventory,
    Layer,
    LayerContent,
)
from pytest_mlcontainer.model import Platform
from pytest_mlcontainer.storage import clear, digest, read_object, write_json

_VERSION = 1
MOST_BYTES = 400 << 20
"""Of all files together; those that have not been asked for longest go first."""


class StoredLayers:
    """Layers in a folder, by the name of their blob.

    Args:
        folder: made when the first one comes.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def find(self, blob: str) -> LayerContent | None:
        """See `LayerCache`."""
        file = self._file(blob)
        raw = read_object(file)
        if raw is None or raw.get("version") != _VERSION:
            return None
        with suppress(OSError):
            os.utime(file)
        try:
            return _content_from_json(raw)
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    def keep(self, blob: str, content: LayerContent) -> None:
        """See `LayerCache`."""
        _write(self._file(blob), _content_to_json(content))
        trim(self._folder, self._most_bytes)

    def find_image(self, image: str, platform: Platform) -> Inventory | None:
        """All of an image; None where some of it is not known.

        Args:
            image: its digest on its engine.
        """
        raw = read_object(self._image_file(image, platform))
        if raw is None or raw.get("version") != _VERSION:
            return None
        try:
            layers = []
            for each in raw["layers"]:
                content = self.find(str(each["blob"]))
                if content is None:
                    return None
                layers.append(
                    Layer(each["digest"], each["blob"], each["sent"], each["by"], content)
                )
            env = tuple((str(name), str(value)) for name, value in raw["env"])
            return Inventory(platform, str(raw["digest"]), tuple(layers), env)
        except (KeyError, TypeError, ValueError):
            return None

    def keep_image(self, image: str, inventory: Inventory) -> None:
        """Know it from now on; one of which not everything could be read is not kept."""
        if inventory.notes:
            return
        for layer in inventory.layers:
            if not self._file(layer.blob).exists():
                _write(self._file(layer.blob), _content_to_json(layer.content))
        value = {
            "version": _VERSION,
            "digest": inventory.digest,
            "env": list(inventory.env),
            "layers": [
                {
                    "blob": layer.blob,
                    "digest": layer.digest,
                    "sent": layer.sent_bytes,
                    "by": layer.instruction,
                }
                for layer in inventory.layers
            ],
        }
        _write(self._image_file(image, inventory.platform), value)

    def _file(self, blob: str) -> Path:
        return self._folder / f"layer-{digest([blob])}.json"

    def _image_file(self, image: str, platform: Platform) -> Path:
        return self._folder / f"image-{digest([image, str(platform)])}.json"


def trim(folder: Path, most_bytes: int) -> None:
    """Remove the files that were asked for longest ago, until the others are no more than that."""
    found = []
    for file in folder.iterdir():
        with suppress(OSError):
            status = file.stat()
            found.append((status.st_mtime_ns, status.st_size, file))
    total = sum(size for _time, size, _file in found)
    for _time, size, file in sorted(found, key=lambda each: each[0]):
        if total <= most_bytes:
            return
        clear(file)
        total -= size


def _write(file: Path, value: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, value)


def _content_to_json(content: LayerContent) -> dict[str, Any]:
    """Columns rather than records: a layer has 100,000 entries, and most share their folder."""
    folders: dict[str, int] = {}
    numbers, names = [], []
    for each in content.entries:
        folder, _slash, name = each.path.rpartition("/")
        numbers.append(folders.setdefault(folder, len(folders)))
        names.append(name)
    return {
        "version": _VERSION,
        "size": content.size_bytes,
        "folders": list(folders),
        "folder": numbers,
        "name": names,
        "kind": "".join(each.kind.value for each in content.entries),
        "bytes": [each.size_bytes for each in content.entries],
        "digest": [each.digest for each in content.entries],
        "target": {str(n): each.target for n, each in enumerate(content.entries) if each.target},
        "gpu": [[each.path, list(each.targets)] for each in content.gpu_code],
        "texts": [list(each) for each in content.texts],
    }


def _content_from_json(raw: Mapping[str, Any]) -> LayerContent:
    kinds = {kind.value: kind for kind in EntryKind}
    folders, targets = raw["folders"], raw["target"]
    columns = zip(raw["folder"], raw["name"], raw["kind"], raw["bytes"], raw["digest"], strict=True)
    entries = tuple(
        Entry(
            f"{folders[folder]}/{name}" if folders[folder] else name,
            kinds[kind],
            size,
            content_digest,
            targets.get(str(number), "") if targets else "",
        )
        for number, (folder, name, kind, size, content_digest) in enumerate(columns)
    )
    return LayerContent(
        int(raw["size"]),
        entries,
        tuple(GpuCode(path, tuple(found)) for path, found in raw["gpu"]),
        tuple((path, text) for path, text in raw["texts"]),
    )
