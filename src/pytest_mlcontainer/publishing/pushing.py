"""Sending tested images: content first, the index last, so that half a push changes no tag."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial

from pytest_mlcontainer.engines import ImageStore, LogLine
from pytest_mlcontainer.engines.distribution import INDEX, MANIFEST, Descriptor, Repository
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Image, PublishedImage
from pytest_mlcontainer.publishing.attestations import (
    NAMES,
    Attestation,
    as_json,
    attestation_manifest,
)
from pytest_mlcontainer.publishing.saved import SavedImage, read_saved, sha256
from pytest_mlcontainer.temporary import temporary_folder


@dataclass(frozen=True)
class CheckedImage:
    """One image to publish.

    Args:
        image: as it was when it was tested.
        engine: that has it.
    """

    image: Image
    engine: ImageStore


def push_image(
    repository: Repository,
    tested: CheckedImage,
    attestations: tuple[Attestation, ...],
    log: LogLine,
) -> tuple[PublishedImage, tuple[Descriptor, ...]]:
    """Send one platform, without any tag.

    Returns:
        It, and its entries in the index.

    Raises:
        EngineError: the engine's image is another one now, or it does not hand it out.
        RegistryError: the registry does not take it.
    """
    platform = tested.image.platform
    saved = _send_content(repository, tested, log)
    config = saved.config_descriptor
    repository.push_blob(config, saved.config)
    content = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.to_json(),
            "layers": [layer.descriptor.to_json() for layer in saved.layers],
        }
    )
    manifest = Descriptor(MANIFEST, sha256(content), len(content), platform)
    repository.push_manifest(content, MANIFEST, manifest.digest)
    entries = [manifest]
    if attestations:
        beside = attestation_manifest(repository.name, manifest, attestations)
        for descriptor, blob in beside.blobs:
            repository.push_blob(descriptor, blob)
        repository.push_manifest(beside.content, MANIFEST, beside.descriptor.digest)
        entries.append(beside.descriptor)
    published = PublishedImage(
        platform=platform,
        manifest=manifest.digest,
        config=config.digest,
        layers=saved.diff_ids,
        size_bytes=sum(layer.descriptor.size_bytes for layer in saved.layers),
        attested=tuple(NAMES[each.predicate] for each in attestations),
    )
    return published, tuple(entries)


def push_tagged(repository: Repository, image: Image, engine: ImageStore, log: LogLine) -> str:
    """Send one platform under the repository's tag; returns the digest of its manifest.

    Raises:
        EngineError, RegistryError: see `push_image`.
    """
    published, _entries = push_image(repository, CheckedImage(image, engine), (), log)
    sent = repository.read_manifest(published.manifest)
    repository.push_manifest(sent.content, sent.media_type, repository.name.tag)
    return published.manifest


def push_index(repository: Repository, entries: tuple[Descriptor, ...]) -> str:
    """Send the index under the repository's tag; returns its digest."""
    content = as_json(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in entries],
        }
    )
    repository.push_manifest(content, INDEX, repository.name.tag)
    return sha256(content)


def _send_content(repository: Repository, tested: CheckedImage, log: LogLine) -> SavedImage:
    """Send the layers of what the engine has, which has to be what was tested."""
    image, engine = tested.image, tested.engine
    now = engine.find_image(image.reference, image.platform)
    if now is None or now.digest != image.digest:
        raise _is_another(image, "nothing" if now is None else now.digest)
    stream = engine.save(image.reference, image.platform)
    if stream is None:
        raise EngineError(
            "the engine hands out no image, so that nothing can be pushed",
            f"{image.reference} for {image.platform}",
            "push from an engine that has `docker save`",
        )
    with closing(stream), temporary_folder() as folder:
        take = partial(repository.push_blob, log=log)
        saved = read_saved(stream, image.platform, folder, take)
    if image.layers and saved.diff_ids != image.layers:
        raise _is_another(image, f"layers {', '.join(saved.diff_ids)}")
    return saved


def _is_another(image: Image, found: str) -> EngineError:
    return EngineError(
        f"the image for {image.platform} is not the one that was tested any more",
        f"{image.reference}: tested was {image.digest}, the engine has {found}",
        "somebody has tagged or removed it meanwhile: run again",
    )
