"""Images for a cluster's nodes: those of this machine's engine, sent to a registry, or a
registry's own; always by the digest of the platform's manifest.

A node's runtime chooses from an index by its own architecture, whatever the pod's selector says,
and a digest is what makes a result traceable.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.engines import Built, Engine, LogLine, Stream, quiet
from pytest_mlcontainer.engines.distribution import CONFIG, Descriptor, Manifest, Repository
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.engines.docker.images import image_of
from pytest_mlcontainer.engines.docker.registries.platforms import own_digests, registry_name
from pytest_mlcontainer.engines.docker.registries.repository import HttpRepository
from pytest_mlcontainer.engines.protocols import EngineRequest
from pytest_mlcontainer.errors import EngineError, MlContainerError, PlatformError, RegistryError
from pytest_mlcontainer.model import BuildSettings, Image, Pairs, Platform
from pytest_mlcontainer.secrets import NOTHING, Redactor

_TAG_DIGITS: Final = 24


@dataclass(frozen=True)
class NodeImage:
    """An image as a node pulls it."""

    image: Image
    reference: str


class ClusterImages:
    """See `engines.Builder`: the default Docker engine builds and keeps, a registry hands out."""

    def __init__(self, request: EngineRequest) -> None:
        self._request = request
        self._environ, self._settings = request.environ, request.cluster
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Platform], NodeImage] = {}

    @cached_property
    def docker(self) -> Engine:
        """The engine that builds; connected to when it is needed first."""
        request = self._request
        return DockerEngine(None, request.environ, request.owner)

    def node_image(self, reference: str, platform: Platform, log: LogLine = quiet) -> NodeImage:
        """An image with the reference by which a node pulls it; sent to the registry if need be.

        Raises:
            EngineError: it is nowhere, or there is no registry to send it to.
            RegistryError: the registry does not take it.
        """
        with self._lock:
            known = self._known.get((reference, platform))
            if known is None:
                image = self.find_image(reference, platform)
                if image is None:
                    raise EngineError("there is no such image", reference, "build it, or pull it")
                place = self._send(image, platform, log) if "@" not in reference else reference
                known = NodeImage(image, self._for_nodes(place))
                self._known[reference, platform] = known
            return known

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> Built:
        self._registry()  # before minutes are spent on what could not be run
        return self.docker.build(build, platform, tag, labels, log, hidden)

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        if "@" in reference:
            try:
                return self._in_registry(reference, platform)
            except RegistryError:
                return None
        try:
            return self.docker.find_image(reference, platform)
        except EngineError:
            if self._settings.registry is None:
                return None  # images are a registry's, and there need be no engine
            raise

    def pull(self, reference: str, platform: Platform, log: LogLine = quiet) -> str:  # noqa: ARG002 - the protocol's
        name = registry_name(reference)
        with closing(HttpRepository(name, self._environ)) as repository:
            try:
                found = repository.read_manifest(name.digest or name.tag or "latest")
            except RegistryError as error:
                raise EngineError(error.what, error.value, error.remedy) from error
        return f"{name.place}@{_own_digest(found, reference, platform)}"

    def save(self, reference: str, platform: Platform) -> Stream | None:
        return None if "@" in reference else self.docker.save(reference, platform)

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        self.docker.keep_image(reference, repository, platform)

    def find_kept_image(self, repository: str, platform: Platform) -> Image | None:
        return self.docker.find_kept_image(repository, platform)

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        return self.docker.trim_images(limit_bytes, unwanted)

    def remove_images(self, repository: str) -> bool:
        return self.docker.remove_images(repository)

    def close(self) -> None:
        """Refuse new work, and end what runs."""
        if "docker" in vars(self):
            self.docker.close()

    def disconnect(self) -> None:
        """Let go of connections."""
        if "docker" in vars(self):
            self.docker.disconnect()

    def _in_registry(self, reference: str, platform: Platform) -> Image:
        """What a registry says of an image with a digest."""
        name = registry_name(reference)
        with closing(HttpRepository(name, self._environ)) as repository:
            manifest = repository.read_manifest(name.digest)
            own = _own_digest(manifest, reference, platform)
            if own != manifest.digest:
                manifest = repository.read_manifest(own)
            raw = json.loads(manifest.content)
            config = raw["config"]
            descriptor = Descriptor(CONFIG, config["digest"], int(config["size"]))
            said = json.loads(b"".join(repository.read_blob(descriptor)))
        return image_of(f"{name.place}@{own}", _as_inspected(said, raw))

    def _registry(self) -> str:
        if self._settings.registry is None:
            raise EngineError(
                "a cluster's nodes pull images from a registry, and none is named",
                self._request.endpoint or "",
                'write registry = "HOST/PATH" under [tool.mlcontainer.kubernetes]: a repository '
                "that this machine may push to and the nodes may pull from",
            )
        return self._settings.registry

    def _send(self, image: Image, platform: Platform, log: LogLine) -> str:
        """Send an image of this machine's engine, unless the registry has it from before.

        Returns:
            The reference of its manifest.
        """
        digits = image.digest.rpartition(":")[2][:_TAG_DIGITS]
        tag = f"mlcontainer-{digits}-{platform.slug}"
        name = registry_name(f"{self._registry()}:{tag}")
        with closing(HttpRepository(name, self._environ)) as repository, _one_at_a_time(tag):
            found = _digest_of(repository, tag)
            if found is None:
                log(f"pushing the image for {platform} to {name.place}")
                found = self._request.send(name, image, self.docker, log)
            return f"{name.place}@{found}"

    def _for_nodes(self, reference: str) -> str:
        here, there = self._settings.registry, self._settings.node_registry
        place, _at, digest = reference.partition("@")
        if here is not None and there is not None and place == registry_name(here).place:
            return f"{there}@{digest}"
        return reference


def _digest_of(repository: Repository, tag: str) -> str | None:
    try:
        return repository.read_manifest(tag).digest
    except RegistryError:
        return None  # if it is more than missing, sending says so


def _own_digest(manifest: Manifest, reference: str, platform: Platform) -> str:
    """The digest of a platform's own manifest: of an index one of those that it lists."""
    raw = json.loads(manifest.content)
    if "manifests" not in raw:
        return manifest.digest
    own = next(own_digests(raw, platform), None)
    if own is None:
        listed = ", ".join(
            f"{each['platform'].get('os')}/{each['platform'].get('architecture')}"
            for each in raw["manifests"]
            if each.get("platform")
        )
        remedy = f"leave {platform} out of platforms, or name another image"
        raise PlatformError(
            f"the image has nothing for {platform}", f"{reference}: {listed}", remedy
        )
    return own


def _as_inspected(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """An image's configuration, as an engine shows it."""
    sizes = [int(each.get("size") or 0) for each in manifest.get("layers") or ()]
    return {
        "Id": manifest["config"]["digest"],
        "Os": config.get("os"),
        "Architecture": config.get("architecture"),
        "Variant": config.get("variant"),
        "Size": sum(sizes),
        "Config": config.get("config") or {},
        "RootFS": {"Layers": (config.get("rootfs") or {}).get("diff_ids") or ()},
    }


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Let one process of this machine do something at a time: the next finds it done."""
    place = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}.lock"
    with place.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise MlContainerError(
                "a lock cannot be taken", f"{place}: {error}", "remove that file"
            ) from error
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
