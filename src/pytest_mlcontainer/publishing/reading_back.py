"""Reading back what was published, from the registry itself, and holding it against the tests.

Every byte comes from the registry: an engine would take from its own store what it has already,
and so find out nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_mlcontainer.engines import LogLine, quiet
from pytest_mlcontainer.engines.distribution import INDEXES, Descriptor, Manifest, Repository
from pytest_mlcontainer.errors import MlContainerError, RegistryError
from pytest_mlcontainer.image_checks.inventory.unpacking import unpacked
from pytest_mlcontainer.model import Platform, PublishedImage
from pytest_mlcontainer.outputs.tar import DamagedTarError
from pytest_mlcontainer.publishing.attestations import NAMES

_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")
_SUBJECT = "vnd.docker.reference.digest"
_LEAST_HEAD = 512


@dataclass(frozen=True)
class IndexEntry:
    """One platform of an index.

    Args:
        attested: manifests with statements of it.
    """

    image: Descriptor
    attested: tuple[Descriptor, ...] = ()


def read_index(repository: Repository, digest: str) -> tuple[IndexEntry, ...]:
    """The platforms that a digest stands for; of a single image, that one.

    Raises:
        RegistryError: the registry has none, or it is of a kind that is not known.
    """
    manifest = repository.read_manifest(digest)
    raw = _object(repository, manifest)
    if "manifests" not in raw:
        config = _object_of_blob(repository, _descriptor(raw.get("config")))
        platform = _platform(config)
        kind = manifest.media_type
        return (IndexEntry(Descriptor(kind, digest, len(manifest.content), platform)),)
    listed = tuple(map(_descriptor, raw["manifests"]))
    entries = tuple(
        IndexEntry(
            each,
            tuple(
                other
                for other in listed
                if _ATTESTATION in other.annotations
                and (_SUBJECT, each.digest) in other.annotations
            ),
        )
        for each in listed
        if each.platform is not None
        and each.platform.os != "unknown"
        and each.media_type not in INDEXES
    )
    if not entries:
        raise _not_an_image(repository, digest, f"{manifest.media_type} without any image")
    return entries


def read_image(repository: Repository, entry: IndexEntry, log: LogLine = quiet) -> PublishedImage:
    """Read all of one platform, and hold each part against its digest.

    Raises:
        RegistryError: something is missing, damaged, or not what it says it is.
    """
    image = entry.image
    assert image.platform is not None
    raw = _object(repository, repository.read_manifest(image.digest))
    config = _descriptor(raw.get("config"))
    layers = tuple(map(_descriptor, raw.get("layers") or ()))
    diff_ids = tuple(_diff_id(repository, layer, log) for layer in layers)
    said = _object_of_blob(repository, config)
    wanted = tuple((said.get("rootfs") or {}).get("diff_ids") or ())
    if diff_ids != wanted:
        raise RegistryError(
            "layers in the registry are not those of the image's configuration",
            f"{repository.name.at(image.digest)}: {_first_differing(diff_ids, wanted)}",
            "publish it again under another tag, and tell whoever runs the registry",
        )
    return PublishedImage(
        platform=image.platform,
        manifest=image.digest,
        config=config.digest,
        layers=diff_ids,
        size_bytes=sum(layer.size_bytes for layer in layers),
        attested=tuple(_attested(repository, entry)),
    )


def check_same(repository: Repository, pushed: PublishedImage, found: PublishedImage) -> None:
    """Hold what was read back against what was tested and pushed.

    Raises:
        RegistryError: it is something else.
    """
    for what, wanted, there in (
        ("configuration", pushed.config, found.config),
        ("layers", pushed.layers, found.layers),
        ("attestations", pushed.attested, found.attested),
    ):
        if wanted != there:
            raise RegistryError(
                f"what the registry has for {pushed.platform} is not what was tested",
                f"{repository.name.at(pushed.manifest)}: its {what}: tested {_text(wanted)}, "
                f"read back {_text(there)}",
                "do not use it: publish again, and tell whoever runs the registry",
            )


def check_tag(repository: Repository, digest: str) -> None:
    """See that the tag still stands for what was pushed.

    Raises:
        RegistryError: it does not.
    """
    name = repository.name
    found = repository.read_manifest(name.tag).digest
    if found != digest:
        raise RegistryError(
            "the tag was moved to something else since it was pushed",
            f"{name}: pushed {digest}, now it is {found}",
            f"somebody else pushes to this tag: use {name.at(digest)}, which is what was tested, "
            "or give each its own tag",
        )


def _attested(repository: Repository, entry: IndexEntry) -> Iterator[str]:
    for each in entry.attested:
        raw = _object(repository, repository.read_manifest(each.digest))
        for layer in map(_descriptor, raw.get("layers") or ()):
            kind = dict(layer.annotations).get("in-toto.io/predicate-type", "")
            statement = _object_of_blob(repository, layer)
            algorithm, _colon, value = entry.image.digest.partition(":")
            subjects = [subject.get("digest") or {} for subject in statement.get("subject") or ()]
            if any(subject.get(algorithm) == value for subject in subjects):
                yield NAMES.get(kind, kind)


def _diff_id(repository: Repository, layer: Descriptor, log: LogLine) -> str:
    log(f"reading back {layer.digest}")
    digest, pieces = hashlib.sha256(), repository.read_blob(layer)
    head = b""
    while len(head) < _LEAST_HEAD and (piece := next(pieces, b"")):
        head += piece
    try:
        # Whoever reads a generator and fails closes it, and its end is needed below.
        for piece in unpacked(head, iter(partial(next, pieces), None)):
            digest.update(piece)
    except DamagedTarError as error:
        for _rest in pieces:  # at whose end the digest tells who has damaged it
            pass
        raise RegistryError(
            "a layer in the registry cannot be unpacked",
            f"{repository.name.place}, {layer.digest}: {error}",
            "publish it again under another tag",
        ) from error
    for _rest in pieces:  # behind the end of what is compressed; its digest counts all the same
        pass
    return f"sha256:{digest.hexdigest()}"


def _object_of_blob(repository: Repository, descriptor: Descriptor) -> dict[str, Any]:
    content = b"".join(repository.read_blob(descriptor))
    return _object(repository, Manifest(content, descriptor.media_type, descriptor.digest))


def _object(repository: Repository, manifest: Manifest) -> dict[str, Any]:
    try:
        raw = json.loads(manifest.content)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise _not_an_image(repository, manifest.digest, manifest.media_type or "no kind")
    return raw


def _descriptor(raw: Any) -> Descriptor:
    """A descriptor; what is missing in it will not be found."""
    values = raw if isinstance(raw, dict) else {}
    platform, marks = values.get("platform"), values.get("annotations")
    return Descriptor(
        str(values.get("mediaType") or ""),
        str(values.get("digest") or ""),
        int(values.get("size") or 0),
        _platform(platform) if isinstance(platform, dict) else None,
        tuple((str(key), str(value)) for key, value in marks.items())
        if isinstance(marks, dict)
        else (),
    )


def _platform(raw: dict[str, Any]) -> Platform:
    variant = "" if raw.get("architecture") == "arm64" else str(raw.get("variant") or "")
    return Platform(str(raw.get("os") or ""), str(raw.get("architecture") or ""), variant)


def _not_an_image(repository: Repository, digest: str, kind: str) -> MlContainerError:
    return RegistryError(
        "this is no image",
        f"{repository.name.at(digest)}: {kind}",
        "name the digest of an image, or of an index of images",
    )


def _first_differing(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if len(found) != len(wanted):
        return f"{len(wanted)} are named, {len(found)} are there"
    at = next(n for n, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
    return f"layer {at} is {found[at]}, named is {wanted[at]}"


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "none"
