"""The stream of `docker save`, in each layout that engines write → an `Inventory`.

- OCI layout: `index.json` and `blobs/sha256/…` (engines from 25 on; podman, buildx);
- Docker's own: `manifest.json`, `<id>/layer.tar` (engines before).

Blobs come in any order, so each layer is read as it comes, and the manifest puts them in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inventory.entries import (
    Inventory,
    Layer,
    LayerContent,
)
from pytest_mlcontainer.image_checks.inventory.layers import (
    InventoryLimits,
    clean_path,
    read_layer,
)
from pytest_mlcontainer.image_checks.inventory.unpacking import GZIP, ZSTD, unpacked
from pytest_mlcontainer.model import Pairs, Platform
from pytest_mlcontainer.outputs.tar import (
    Content,
    DamagedTarError,
    TarMemberKind,
    read_members,
)

_BLOB = re.compile(r"blobs/sha256/[0-9a-f]{64}")
# Small, so that what lies behind the end of a compressed frame is not copied again and again.
_PIECE_BYTES = 1 << 17
_HEAD_BYTES = 512
_MOST_JSON_BYTES = 16 << 20
_MOST_JSON_TOGETHER = 64 << 20
_DEEPEST = 4  # an index in an index; BuildKit writes two
_REMEDY = "run again; if it stays so, try `docker save IMAGE >/dev/null`, and tell us"


class LayerCache(Protocol):
    """Layers that are known from before, by the name of their blob, which says their digest."""

    def find(self, blob: str) -> LayerContent | None:
        """What is known of a layer; None where that is nothing."""

    def keep(self, blob: str, content: LayerContent) -> None:
        """Know it from now on."""


@dataclass
class _Seen:
    """What the stream has brought so far, by the name of its member."""

    known: LayerCache | None
    limits: InventoryLimits

    layers: dict[str, tuple[int, LayerContent]] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    json_bytes: int = 0

    def layer(self, name: str) -> tuple[int, LayerContent] | None:
        return self.layers.get(self.links.get(name, name))

    def document(self, name: str) -> Any:
        """The JSON of a member; None where it is missing or none."""
        try:
            return json.loads(self.documents[self.links.get(name, name)])
        except (KeyError, ValueError, RecursionError):
            return None


def read_image(
    stream: Iterable[bytes],
    platform: Platform,
    limits: InventoryLimits | None = None,
    known: LayerCache | None = None,
) -> Inventory:
    """Read an image from what an engine sends of it.

    Args:
        stream: as `ImageStore.save` gives it.
        platform: the one to read, where there are several.
        limits: what that may take.
        known: layers of other images; those are passed by.

    Raises:
        EngineError: the stream is cut off, damaged, without that platform, or too much.
    """
    limits = limits or InventoryLimits()
    try:
        seen = _read_members(stream, _Seen(known, limits))
    except DamagedTarError as error:
        raise EngineError(
            "what the engine sends of the image cannot be read", str(error), _REMEDY
        ) from error
    config, names = _choose(seen, platform)
    layers = tuple(_layers(seen, config, names))
    notes = []
    if limits.left_out:
        notes.append(
            f"{limits.left_out} lists of installed files are too long together and were not read, "
            "so that some files have no known package"
        )
    return Inventory(platform, config.digest, layers, config.env, tuple(notes))


@dataclass(frozen=True)
class _Config:
    """An image's configuration, as far as it matters here."""

    digest: str
    platform: Platform
    env: Pairs
    layer_digests: tuple[str, ...]
    instructions: tuple[str, ...]


def _read_members(stream: Iterable[bytes], seen: _Seen) -> _Seen:
    content = Content(stream)
    for header in read_members(content):
        seen.limits.take(header)
        name = clean_path(header.name)
        if header.kind is TarMemberKind.SYMLINK:
            folder = name.rpartition("/")[0]
            seen.links[name] = clean_path(f"{folder}/{header.target}")
        elif header.kind is TarMemberKind.HARDLINK:
            seen.links[name] = clean_path(header.target)
        elif header.kind is TarMemberKind.FILE:
            _read_member(name, header.size_bytes, content, seen)
    return seen


def _read_member(name: str, size: int, content: Content, seen: _Seen) -> None:
    cache = seen.known if _BLOB.fullmatch(name) else None
    known = None if cache is None else cache.find(name)
    if known is not None:
        seen.layers[name] = size, known
        return
    head = b""
    while len(head) < _HEAD_BYTES and (piece := content.read(_HEAD_BYTES - len(head))):
        head += piece
    if is_layer(name, head):
        left_out = seen.limits.left_out
        layer = read_layer(unpacked(head, _pieces(content)), seen.limits)
        seen.layers[name] = size, layer
        if cache is not None and seen.limits.left_out == left_out:
            cache.keep(name, layer)
    elif head[:1] in b"{[" and size <= _MOST_JSON_BYTES:
        seen.json_bytes += size
        if seen.json_bytes > _MOST_JSON_TOGETHER:
            raise DamagedTarError("there is more JSON in it than any image has")
        seen.documents[name] = head + b"".join(_pieces(content))


def is_layer(name: str, head: bytes) -> bool:
    """Whether a member is a layer, by its name and its first 512 bytes."""
    if head.startswith((GZIP, ZSTD)) or name.endswith("layer.tar"):
        return True
    # An empty layer is nothing but zeros.
    return head[257:262] == b"ustar" or (len(head) == _HEAD_BYTES and not head.strip(b"\0"))


def _pieces(content: Content) -> Iterator[bytes]:
    while piece := content.read(_PIECE_BYTES):
        yield piece.tobytes()


def _choose(seen: _Seen, platform: Platform) -> tuple[_Config, tuple[str, ...]]:
    """The configuration of the platform asked for, and the names of its layers."""
    found = [*_docker_images(seen), *_oci_images(seen, "index.json", _DEEPEST)]
    for config, layers in found:
        if _fits(config.platform, platform) and all(seen.layer(name) for name in layers):
            return config, layers
    there = ", ".join(sorted({str(config.platform) for config, _layers in found}))
    raise EngineError(
        f"what the engine sends of the image has nothing for {platform}",
        f"there is: {there}" if there else "there is no manifest that names its layers",
        _REMEDY,
    )


def _docker_images(seen: _Seen) -> Iterator[tuple[_Config, tuple[str, ...]]]:
    listed = seen.document("manifest.json")
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict):
            continue
        config = _parse_config(seen, str(each.get("Config")))
        names = each.get("Layers") or []
        if config is not None and isinstance(names, list):
            yield config, tuple(clean_path(str(name)) for name in names)


def _oci_images(seen: _Seen, name: str, depth: int) -> Iterator[tuple[_Config, tuple[str, ...]]]:
    index = seen.document(name)
    manifests = index.get("manifests") if isinstance(index, dict) else None
    for each in manifests if isinstance(manifests, list) else ():
        blob = _blob(each)
        document = seen.document(blob)
        if not isinstance(document, dict):
            continue
        if "manifests" in document and depth:
            yield from _oci_images(seen, blob, depth - 1)
            continue
        config = _parse_config(seen, _blob(document.get("config")))
        layers = document.get("layers")
        if config is not None and isinstance(layers, list):
            yield config, tuple(map(_blob, layers))


def _blob(descriptor: Any) -> str:
    """The name of the member that a descriptor points to."""
    text = str(descriptor.get("digest")) if isinstance(descriptor, dict) else ""
    algorithm, _colon, value = text.partition(":")
    return f"blobs/{algorithm}/{value}"


def _parse_config(seen: _Seen, name: str) -> _Config | None:
    raw = seen.document(name)
    if not isinstance(raw, dict) or not isinstance(raw.get("rootfs"), dict):
        return None
    digests = raw["rootfs"].get("diff_ids") or []
    inner = raw.get("config") or {}
    env = inner.get("Env") if isinstance(inner, dict) else None
    platform = Platform(*(str(raw.get(key) or "") for key in ("os", "architecture", "variant")))
    return _Config(
        "sha256:" + name.rpartition("/")[2].removesuffix(".json"),
        platform,
        tuple((key, value) for key, _equals, value in (str(e).partition("=") for e in env or ())),
        tuple(map(str, digests)) if isinstance(digests, list) else (),
        _instructions(raw),
    )


def _instructions(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """What made each layer, as the history says."""
    history = raw.get("history")
    return tuple(
        str(each.get("created_by") or each.get("comment") or "")
        for each in (history if isinstance(history, list) else ())
        if isinstance(each, dict) and not each.get("empty_layer")
    )


def _fits(actual: Platform, wanted: Platform) -> bool:
    return (actual.os, actual.architecture) == (wanted.os, wanted.architecture) and (
        not wanted.variant or not actual.variant or wanted.variant == actual.variant
    )


def _layers(seen: _Seen, config: _Config, names: tuple[str, ...]) -> Iterator[Layer]:
    said = config.instructions if len(config.instructions) == len(names) else ("",) * len(names)
    digests = config.layer_digests if len(config.layer_digests) == len(names) else names
    for name, digest, instruction in zip(names, digests, said, strict=True):
        found = seen.layer(name)
        assert found is not None
        size, content = found
        yield Layer(digest, name, size, instruction, content)
