"""What the product asks of a registry: reading and writing one repository's content.

The words are those of the OCI distribution and image specifications.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pytest_mlcontainer.engines.containers import LogLine, quiet
from pytest_mlcontainer.model import ImageName, Pairs, Platform
from pytest_mlcontainer.secrets import Redactor

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
# Docker's own kinds, from before OCI's; registries still hold them.
INDEXES: Final = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS: Final = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")


@dataclass(frozen=True)
class Descriptor:
    """What an index or a manifest says of something.

    Args:
        platform: in an index, whose image it is; None for what is no image.
    """

    media_type: str
    digest: str
    size_bytes: int
    platform: Platform | None = None
    annotations: Pairs = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in an index or a manifest."""
        raw: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size_bytes,
        }
        if self.platform is not None:
            platform = {"architecture": self.platform.architecture, "os": self.platform.os}
            variant = self.platform.variant
            raw["platform"] = {**platform, **({"variant": variant} if variant else {})}
        return {**raw, **({"annotations": dict(self.annotations)} if self.annotations else {})}


@dataclass(frozen=True)
class Manifest:
    """An index, or a manifest, as a registry has it.

    Args:
        digest: of these very bytes.
    """

    content: bytes
    media_type: str
    digest: str


class Repository(Protocol):
    """One repository of a registry.

    All raise RegistryError: what went wrong, and what to do about it.
    """

    name: ImageName

    @property
    def hidden(self) -> Redactor:
        """Knows the passwords and tokens that are used; they are in no error."""

    def check_push(self) -> None:
        """See that content may be uploaded, without uploading any."""

    def read_manifest(self, reference: str) -> Manifest:
        """The index or manifest with a tag or a digest; of a digest its bytes have it."""

    def read_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The content of a blob, in pieces; after the last one it is known to have its digest."""

    def push_blob(self, descriptor: Descriptor, source: Path | bytes, log: LogLine = quiet) -> bool:
        """Upload a blob that is not there yet; returns whether it was not."""

    def push_manifest(self, content: bytes, media_type: str, reference: str) -> None:
        """Upload an index or a manifest under a tag or its digest."""

    def close(self) -> None:
        """Let go of connections."""
