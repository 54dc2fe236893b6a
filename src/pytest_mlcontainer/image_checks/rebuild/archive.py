"""An image as BuildKit's OCI exporter writes it: its layers, and the files of one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inventory.layers import clean_path
from pytest_mlcontainer.image_checks.inventory.unpacking import unpacked
from pytest_mlcontainer.outputs.tar import (
    Content,
    DamagedTarError,
    TarHeader,
    TarMemberKind,
    moment_ns,
    read_members,
)

_CHUNK: Final = 1 << 20
_HEAD_BYTES: Final = 512
_FILES: Final = (TarMemberKind.FILE, TarMemberKind.SPARSE)


@dataclass(frozen=True)
class ArchivedLayer:
    """One layer.

    Args:
        digest: of its unpacked tar stream.
        blob: name of the member that has it.
        instruction: what made it, as the history has it; "" where that does not say.
    """

    digest: str
    blob: str
    instruction: str


@dataclass(frozen=True)
class ArchivedFile:
    """One member of a layer.

    Args:
        place: how many come before it.
        content: digest of a file's bytes; the target of a link; "" for all else.
        time_ns: when it was changed, since the epoch.
    """

    path: str
    place: int
    kind: TarMemberKind
    size_bytes: int
    mode: int
    owner: tuple[int, int]
    content: str
    time_ns: int


class ImageArchive:
    """What was built, in a file.

    Raises:
        EngineError: it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with tarfile.open(file) as tar:
                index = _document(tar, "index.json")
                manifest = _document(tar, _blob(index["manifests"][0]))
                self.config: Mapping[str, Any] = _document(tar, _blob(manifest["config"]))
            blobs = tuple(map(_blob, manifest["layers"]))
            self.layers: tuple[ArchivedLayer, ...] = tuple(_layers(self.config, blobs))
        except (OSError, tarfile.TarError, ValueError, KeyError, IndexError, TypeError) as error:
            raise _unreadable(f"{type(error).__name__}: {error}") from error

    def files(self, layer: ArchivedLayer) -> tuple[ArchivedFile, ...]:
        """All members of a layer, in their order."""
        return tuple(
            _archived(header, place, content)
            for place, (header, content) in enumerate(self._members(layer))
        )

    def read(
        self, layer: ArchivedLayer, paths: Collection[str], most_bytes: int
    ) -> dict[str, bytes]:
        """The bytes of some files of a layer; of each no more than so many."""
        found = {}
        for header, content in self._members(layer):
            path = clean_path(header.name)
            if path in paths and header.kind in _FILES and header.size_bytes <= most_bytes:
                found[path] = b"".join(bytes(piece) for piece in _pieces(content))
        return found

    def _members(self, layer: ArchivedLayer) -> Iterator[tuple[TarHeader, Content]]:
        try:
            with tarfile.open(self._file) as tar:
                stream = tar.extractfile(layer.blob)
                assert stream is not None
                content = Content(unpacked(stream.read(_HEAD_BYTES), _chunks(stream)))
                for header in read_members(content):
                    yield header, content
        except (OSError, tarfile.TarError, KeyError, DamagedTarError) as error:
            raise _unreadable(f"{layer.blob}: {error}") from error


def _unreadable(why: str) -> EngineError:
    return EngineError("what was built cannot be read", why, "run again, and tell us if it stays")


def _document(tar: tarfile.TarFile, name: str) -> Any:
    stream = tar.extractfile(name)
    assert stream is not None
    return json.load(stream)


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _layers(config: Mapping[str, Any], blobs: tuple[str, ...]) -> Iterator[ArchivedLayer]:
    history = [each for each in config.get("history") or () if not each.get("empty_layer")]
    said = [str(each.get("created_by") or each.get("comment") or "") for each in history]
    made = said if len(said) == len(blobs) else [""] * len(blobs)
    for digest, blob, instruction in zip(config["rootfs"]["diff_ids"], blobs, made, strict=True):
        yield ArchivedLayer(str(digest), blob, instruction)


def _archived(header: TarHeader, place: int, content: Content) -> ArchivedFile:
    found = header.target
    if header.kind in _FILES:
        digest = hashlib.sha256()
        for piece in _pieces(content):
            digest.update(piece)
        found = digest.hexdigest()
    owner = (header.uid, header.gid)
    time = moment_ns(header.time) or 0
    path = clean_path(header.name)
    return ArchivedFile(
        path, place, header.kind, header.size_bytes, header.mode, owner, found, time
    )


def _pieces(content: Content) -> Iterator[memoryview]:
    while piece := content.read(_CHUNK):
        yield piece


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece
