"""What was published in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_mlcontainer.model.basics import Platform
from pytest_mlcontainer.model.results import Failure


@dataclass(frozen=True)
class PublishedImage:
    """One platform of what was published.

    Args:
        manifest: digest by which this platform alone is pulled.
        config: digest of its configuration, the same as that of the image that was tested.
        layers: digests of its unpacked layers, as tested and as read back from the registry.
        size_bytes: of its layers as they are sent.
        attested: what its attestations are: `provenance`, `bill of materials`.
    """

    platform: Platform
    manifest: str
    config: str
    layers: tuple[str, ...]
    size_bytes: int
    attested: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publication:
    """What came of `--container-push`.

    Args:
        asked: the name that was asked for.
        reference: `REPOSITORY@sha256:…` of the index; "" where nothing was published.
        images: those that the index holds; all of them were read back.
        held_back: why nothing was pushed, though nothing went wrong in pushing; "" where it was.
        failure: what went wrong in pushing or in reading back.
        notes: what has to be known besides.
    """

    asked: str
    reference: str = ""
    images: tuple[PublishedImage, ...] = ()
    held_back: str = ""
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def worked(self) -> bool:
        """Whether it was published, and read back as it was tested."""
        return bool(self.reference) and self.failure is None


def publication_to_json(publication: Publication) -> dict[str, Any]:
    """It as mappings, lists and scalars."""
    raw = asdict(publication)
    raw["images"] = [
        {
            **asdict(each),
            "platform": str(each.platform),
            "layers": list(each.layers),
            "attested": list(each.attested),
        }
        for each in publication.images
    ]
    raw["notes"] = list(publication.notes)
    return raw


def publication_from_json(raw: Mapping[str, Any]) -> Publication:
    """What `publication_to_json` was given."""
    failure = raw["failure"]
    return Publication(
        asked=str(raw["asked"]),
        reference=str(raw["reference"]),
        images=tuple(map(_image_from_json, raw["images"])),
        held_back=str(raw["held_back"]),
        failure=None if failure is None else Failure(**failure),
        notes=tuple(str(note) for note in raw["notes"]),
    )


def _image_from_json(raw: Mapping[str, Any]) -> PublishedImage:
    return PublishedImage(
        platform=Platform(*str(raw["platform"]).split("/", 2)),
        manifest=str(raw["manifest"]),
        config=str(raw["config"]),
        layers=tuple(str(each) for each in raw["layers"]),
        size_bytes=int(raw["size_bytes"]),
        attested=tuple(str(each) for each in raw["attested"]),
    )
