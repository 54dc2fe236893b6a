"""Streams as engines send them of an image, made by hand: every layout, every compression."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

PLATFORM = ("linux", "amd64")


def tar_of(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A layer: name → content, or a member without content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member without content, as for `tar_of`."""
    info = tarfile.TarInfo("")
    info.type, info.linkname = kind, target
    return info


def zstd(data: bytes) -> bytes:
    compressed: bytes = import_module("backports.zstd").compress(data)
    return compressed


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def unchanged(data: bytes) -> bytes:
    return data


PACKED: dict[str, Callable[[bytes], bytes]] = {"plain": unchanged, "gzip": gzipped, "zstd": zstd}


@dataclass(frozen=True)
class SavedImage:
    """An image to be sent: its layers as tar streams, each with what made it."""

    layers: Sequence[tuple[str, bytes]]
    platform: tuple[str, str] = PLATFORM
    env: Sequence[str] = ()

    def config(self) -> bytes:
        history: list[dict[str, Any]] = [{"created_by": "ENV A=b", "empty_layer": True}]
        history += [{"created_by": made_by} for made_by, _tar in self.layers]
        return json.dumps(
            {
                "os": self.platform[0],
                "architecture": self.platform[1],
                "config": {"Env": list(self.env)},
                "rootfs": {"type": "layers", "diff_ids": [_digest(t) for _by, t in self.layers]},
                "history": history,
            }
        ).encode()


def oci_layout(*images: SavedImage, compression: str = "gzip", manifest: bool = True) -> bytes:
    """As Docker sends it from 25 on, blobs in the order of their names.

    Args:
        manifest: with Docker's own `manifest.json`, too.
    """
    blobs: dict[str, bytes] = {}
    listed, docker = [], []
    for image in images:
        layers = [_add(blobs, PACKED[compression](tar)) for _by, tar in image.layers]
        config = _add(blobs, image.config())
        whole = {"schemaVersion": 2, "config": _to(config), "layers": list(map(_to, layers))}
        listed.append(_to(_add(blobs, json.dumps(whole).encode())))
        docker.append({"Config": _name(config), "Layers": list(map(_name, layers))})
    inner = _add(blobs, json.dumps({"schemaVersion": 2, "manifests": listed}).encode())
    files = {_name(digest): blobs[digest] for digest in sorted(blobs)}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [_to(inner)]}).encode()
    if manifest:
        files["manifest.json"] = json.dumps(docker).encode()
    return tar_of({**files, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})


def docker_layout(image: SavedImage) -> bytes:
    """As Docker sent it before 25; a layer that is there twice is a link the second time."""
    files: dict[str, bytes | tarfile.TarInfo] = {}
    names: list[str] = []
    known: dict[bytes, str] = {}
    for number, (_made_by, tar) in enumerate(image.layers):
        name = f"{number:064x}/layer.tar"
        names.append(name)
        files[name] = special(tarfile.SYMTYPE, f"../{known[tar]}") if tar in known else tar
        known.setdefault(tar, name)
        files[f"{number:064x}/VERSION"] = b"1.0"
    config = _digest(image.config()).partition(":")[2] + ".json"
    files[config] = image.config()
    files["manifest.json"] = json.dumps([{"Config": config, "Layers": names}]).encode()
    return tar_of(files)


def in_pieces(data: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _add(blobs: dict[str, bytes], data: bytes) -> str:
    blobs[_digest(data)] = data
    return _digest(data)


def _name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _to(digest: str) -> dict[str, str]:
    return {"digest": digest}
