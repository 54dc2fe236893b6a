"""Pushing images to a registry on the loopback interface through its API."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from .problems import SetupError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# Files written here get this time, so that the same packages make the same digest.
EPOCH = "2025-01-01T00:00:00Z"


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says about a blob or another manifest."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Layer:
    """One compressed layer on disk; `diff_id` is the digest before compression."""

    path: Path
    descriptor: Descriptor
    diff_id: str


def pack(root: Path, path: Path) -> Layer:
    """Make a layer of everything below `root`."""
    command = ("tar", "--sort=name", "--numeric-owner", "--clamp-mtime", f"--mtime={EPOCH}",
               "--format=gnu", "-C", str(root), "-c", ".")  # fmt: skip
    plain, packed = hashlib.sha256(), hashlib.sha256()
    # wbits 31 writes a gzip header without name and time; level 1, as disk here costs nothing.
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar, path.open("wb") as output:
        assert tar.stdout is not None
        for chunk in iter(partial(tar.stdout.read, 1 << 20), b""):
            plain.update(chunk)
            size += _write(output, packed, compressor.compress(chunk))
        size += _write(output, packed, compressor.flush())
    if tar.returncode:
        raise SetupError("Packing a base image failed", root, "Free disk space and try again.")
    digest = f"sha256:{packed.hexdigest()}"
    return Layer(path, Descriptor(LAYER, digest, size), f"sha256:{plain.hexdigest()}")


def _write(output: Any, digest: Any, data: bytes) -> int:
    output.write(data)
    digest.update(data)
    return len(data)


@dataclass(frozen=True)
class Repository:
    """One repository of the registry on a loopback port; with `tls`, by HTTPS."""

    port: int
    name: str
    tls: ssl.SSLContext | None = None

    def _connection(self) -> HTTPConnection:
        if self.tls is None:
            return HTTPConnection("127.0.0.1", self.port, timeout=120)
        return HTTPSConnection("127.0.0.1", self.port, timeout=120, context=self.tls)

    def _call(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connection()
        try:
            connection.request(method, url, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer, answer.read()
        except OSError as error:
            raise SetupError(
                "The loopback registry does not answer", f"{method} {url}: {error}", _RETRY
            ) from error
        finally:
            connection.close()

    def has_blob(self, digest: str) -> bool:
        answer, _ = self._call("HEAD", f"/v2/{self.name}/blobs/{digest}")
        return answer.status == 200

    def has_tag(self, tag: str) -> bool:
        answer, _ = self._call("HEAD", f"/v2/{self.name}/manifests/{tag}", None, {"Accept": INDEX})
        return answer.status == 200

    def push_file(self, path: Path, descriptor: Descriptor) -> None:
        """Upload a blob from disk."""
        with path.open("rb") as body:
            self._upload(body, descriptor.digest, descriptor.size)

    def push_json(self, value: Any, media_type: str) -> Descriptor:
        """Upload a blob of JSON."""
        data = json.dumps(value, sort_keys=True).encode()
        descriptor = describe(data, media_type)
        self._upload(data, descriptor.digest, descriptor.size)
        return descriptor

    def _upload(self, body: Any, digest: str, size: int) -> None:
        if self.has_blob(digest):
            return
        started, text = self._call("POST", f"/v2/{self.name}/blobs/uploads/")
        location = started.getheader("Location", "")
        self._expect(202, started, text)
        path = location.partition("/v2/")[2]
        joint = "&" if "?" in path else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        done, text = self._call("PUT", f"/v2/{path}{joint}digest={digest}", body, headers)
        self._expect(201, done, text)

    def push_manifest(self, value: Any, media_type: str, tags: Sequence[str] = ()) -> Descriptor:
        """Upload a manifest or an index, by its digest and under each tag."""
        data = json.dumps(value, sort_keys=True).encode()
        descriptor = describe(data, media_type)
        for reference in (descriptor.digest, *tags):
            url = f"/v2/{self.name}/manifests/{reference}"
            done, text = self._call("PUT", url, data, {"Content-Type": media_type})
            self._expect(201, done, text)
        return descriptor

    def _expect(self, status: int, answer: HTTPResponse, text: bytes) -> None:
        if answer.status != status:
            raise SetupError(
                f"The loopback registry refused an upload to {self.name}",
                f"{answer.status} {text[:300].decode(errors='replace')}",
                _RETRY,
            )


_RETRY = "Take down the engine or cluster that it belongs to, and bring it up again."


def describe(data: bytes, media_type: str) -> Descriptor:
    """The descriptor of these bytes."""
    return Descriptor(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def push_image(
    repository: Repository, layer: Layer, platform: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Push an image of one layer; its entry for an index."""
    repository.push_file(layer.path, layer.descriptor)
    image = {
        **platform,
        "created": EPOCH,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": EPOCH, "created_by": "unpacked from Debian packages"}],
    }
    described = repository.push_json(image, CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described.as_json(),
        "layers": [layer.descriptor.as_json()],
    }
    entry = repository.push_manifest(manifest, MANIFEST).as_json()
    return {**entry, "platform": dict(platform)}


def push_index(
    repository: Repository, entries: Sequence[Mapping[str, Any]], tags: Sequence[str]
) -> str:
    """Join one image per platform under the tags; the digest of the whole."""
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [dict(e) for e in entries]}
    return repository.push_manifest(index, INDEX, tags).digest
