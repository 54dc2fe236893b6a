"""What is said of an image beside it: where it comes from, and what is in it.

Both are in-toto statements, in a manifest of the index as BuildKit writes it, so that
`docker buildx imagetools inspect` and `docker scout` find them. They are not signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_mlcontainer.engines.distribution import CONFIG, MANIFEST, Descriptor
from pytest_mlcontainer.model import ImageName, Platform
from pytest_mlcontainer.publishing.saved import sha256

PROVENANCE: Final = "https://slsa.dev/provenance/v1"
BILL: Final = "https://cyclonedx.org/bom"
NAMES: Final = {PROVENANCE: "provenance", BILL: "bill of materials"}
_IN_TOTO: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_UNKNOWN: Final = Platform("unknown", "unknown")


@dataclass(frozen=True)
class Attestation:
    """One statement.

    Args:
        predicate: the kind, as its URL.
        content: of that kind.
    """

    predicate: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class AttestationManifest:
    """Statements of one image, as they are sent.

    Args:
        blobs: its configuration, and the statements.
        descriptor: as it stands in the index.
    """

    content: bytes
    blobs: tuple[tuple[Descriptor, bytes], ...]
    descriptor: Descriptor


def attestation_manifest(
    name: ImageName, image: Descriptor, attestations: tuple[Attestation, ...]
) -> AttestationManifest:
    """The manifest for statements of one image, which its digest names."""
    statements = [(each, _statement(name, image, each)) for each in attestations]
    layers = [
        (
            Descriptor(
                _IN_TOTO,
                sha256(text),
                len(text),
                annotations=(("in-toto.io/predicate-type", each.predicate),),
            ),
            text,
        )
        for each, text in statements
    ]
    config = as_json(
        {
            "architecture": _UNKNOWN.architecture,
            "os": _UNKNOWN.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [each.digest for each, _text in layers]},
        }
    )
    described = Descriptor(CONFIG, sha256(config), len(config))
    content = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described.to_json(),
            "layers": [each.to_json() for each, _text in layers],
        }
    )
    marks = (
        ("vnd.docker.reference.digest", image.digest),
        ("vnd.docker.reference.type", "attestation-manifest"),
    )
    descriptor = Descriptor(MANIFEST, sha256(content), len(content), _UNKNOWN, marks)
    return AttestationManifest(content, ((described, config), *layers), descriptor)


def as_json(value: Any) -> bytes:
    """A value, always in the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _statement(name: ImageName, image: Descriptor, attestation: Attestation) -> bytes:
    algorithm, _colon, value = image.digest.partition(":")
    subject = {"name": f"pkg:docker/{name.repository}@{name.tag}", "digest": {algorithm: value}}
    return as_json(
        {
            "_type": _STATEMENT,
            "subject": [subject],
            "predicateType": attestation.predicate,
            "predicate": dict(attestation.content),
        }
    )
