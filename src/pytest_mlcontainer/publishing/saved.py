"""An image as an engine hands it out → its configuration and its layers, packed to be sent.

Nothing is made anew: the configuration is the engine's own, byte for byte, and so are the layers,
which are compressed where the engine keeps them unpacked.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.engines.distribution import CONFIG, LAYER, Descriptor
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inventory.archive import is_layer
from pytest_mlcontainer.image_checks.inventory.layers import clean_path
from pytest_mlcontainer.image_checks.inventory.unpacking import GZIP, ZSTD, unpacked
from pytest_mlcontainer.model import Platform
from pytest_mlcontainer.outputs.tar import Content, DamagedTarError, TarMemberKind, read_members

# As in `unpacking`: many times faster, and not for every machine.
try:
    from isal import isal_zlib

    _compressor: Callable[[], Any] = lambda: isal_zlib.compressobj(2, wbits=31)  # noqa: E731
except ImportError:
    _compressor = lambda: zlib.compressobj(6, wbits=31)  # noqa: E731

Take = Callable[[Descriptor, Path], object]
_PIECE_BYTES: Final = 1 << 17
_HEAD_BYTES: Final = 512
_MOST_JSON_BYTES: Final = 16 << 20
_REMEDY: Final = "run again; if it stays so, try `docker save IMAGE >/dev/null`, and tell us"


@dataclass(frozen=True)
class PackedLayer:
    """A layer as it is sent.

    Args:
        diff_id: digest of the same, unpacked.
    """

    descriptor: Descriptor
    diff_id: str


@dataclass(frozen=True)
class SavedImage:
    """One image.

    Args:
        config: its configuration, byte for byte as the engine has it.
    """

    platform: Platform
    config: bytes
    layers: tuple[PackedLayer, ...]

    @property
    def config_descriptor(self) -> Descriptor:
        return Descriptor(CONFIG, sha256(self.config), len(self.config))

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in self.layers)


def sha256(content: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_saved(stream: Iterable[bytes], platform: Platform, folder: Path, take: Take) -> SavedImage:
    """Read an image from what an engine sends of it.

    Args:
        stream: as `ImageStore.save` gives it.
        folder: for one layer at a time.
        take: is given each layer, packed, in a file that goes when it returns.

    Raises:
        EngineError: the stream is cut off, damaged, or without that platform.
    """
    try:
        seen = _read_members(stream, folder, take)
        config, names = _choose(seen, platform)
        layers = tuple(seen.layers[seen.links.get(name, name)] for name in names)
        _check_layers(config, layers)
    except (DamagedTarError, KeyError) as error:
        what = "what the engine sends of the image cannot be read"
        raise EngineError(what, str(error), _REMEDY) from error
    return SavedImage(platform, config, layers)


@dataclass
class _SavedMembers:
    """What the stream has brought so far, by the name of its member."""

    layers: dict[str, PackedLayer] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def _read_members(stream: Iterable[bytes], folder: Path, take: Take) -> _SavedMembers:
    seen, content = _SavedMembers(), Content(stream)
    for header in read_members(content):
        name = clean_path(header.name)
        if header.kind is TarMemberKind.SYMLINK:
            above = name.rpartition("/")[0]
            seen.links[name] = clean_path(f"{above}/{header.target}")
        elif header.kind is TarMemberKind.HARDLINK:
            seen.links[name] = clean_path(header.target)
        elif header.kind is TarMemberKind.FILE:
            head = b""
            while len(head) < _HEAD_BYTES and (piece := content.read(_HEAD_BYTES - len(head))):
                head += piece
            if is_layer(name, head):
                file = folder / "layer"
                seen.layers[name] = layer = _pack(head, _pieces(content), file)
                take(layer.descriptor, file)
                file.unlink()
            elif head[:1] in b"{[" and header.size_bytes <= _MOST_JSON_BYTES:
                seen.documents[name] = head + b"".join(_pieces(content))
    return seen


def _pieces(content: Content) -> Iterator[bytes]:
    while piece := content.read(_PIECE_BYTES):
        yield piece.tobytes()


def _pack(head: bytes, rest: Iterator[bytes], file: Path) -> PackedLayer:
    """Write a layer to a file, compressed."""
    kind, packed, plain = LAYER, hashlib.sha256(), hashlib.sha256()
    with file.open("wb") as written:

        def write(data: bytes) -> bytes:
            packed.update(data)
            written.write(data)
            return data

        if head.startswith((GZIP, ZSTD)):
            kind += "+gzip" if head.startswith(GZIP) else "+zstd"
            for piece in unpacked(write(head), map(write, rest)):
                plain.update(piece)
        else:
            kind += "+gzip"
            compressor = _compressor()
            for piece in _chained(head, rest):
                plain.update(piece)
                write(compressor.compress(piece))
            write(compressor.flush())
    size = file.stat().st_size
    descriptor = Descriptor(kind, f"sha256:{packed.hexdigest()}", size)
    return PackedLayer(descriptor, f"sha256:{plain.hexdigest()}")


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _choose(seen: _SavedMembers, platform: Platform) -> tuple[bytes, tuple[str, ...]]:
    """The configuration of a platform, and the names of its layers."""
    listed = _parse(seen.documents.get("manifest.json", b""))
    there = []
    for each in listed if isinstance(listed, list) else ():
        name = clean_path(str(each.get("Config")))
        config = seen.documents.get(seen.links.get(name, name), b"")
        raw = _parse(config)
        if not isinstance(raw, dict):
            continue
        found = Platform(*(str(raw.get(key) or "") for key in ("os", "architecture", "variant")))
        there.append(str(found))
        if (found.os, found.architecture) == (platform.os, platform.architecture):
            return config, tuple(clean_path(str(layer)) for layer in each.get("Layers") or ())
    raise EngineError(
        f"what the engine sends of the image has nothing for {platform}",
        f"there is: {', '.join(there)}" if there else "it has no manifest.json",
        _REMEDY,
    )


def _check_layers(config: bytes, layers: tuple[PackedLayer, ...]) -> None:
    """What the configuration says of its layers is what they are."""
    said = (_parse(config).get("rootfs") or {}).get("diff_ids") or []
    if [layer.diff_id for layer in layers] != said:
        raise DamagedTarError("its layers are not those that its configuration names")


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
