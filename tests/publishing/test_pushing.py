"""Images of two platforms, from the engine into a registry and back, as they were."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import docker
import pytest

from pytest_mlcontainer.engines import Engine
from pytest_mlcontainer.engines.distribution import INDEX
from pytest_mlcontainer.engines.docker.registries.repository import HttpRepository
from pytest_mlcontainer.errors import EngineError, RegistryError
from pytest_mlcontainer.model import Image, ImageName, PublishedImage
from pytest_mlcontainer.publishing.attestations import BILL, PROVENANCE, Attestation, as_json
from pytest_mlcontainer.publishing.pushing import CheckedImage, push_image, push_index
from pytest_mlcontainer.publishing.reading_back import (
    check_same,
    check_tag,
    read_image,
    read_index,
)
from tests.loopback_registry import RegistryProxy, tags_of

ScratchImages = tuple[Engine, list[Image]]
ABOUT = (Attestation(PROVENANCE, {"a": 1}), Attestation(BILL, {"bomFormat": "CycloneDX"}))


@pytest.fixture
def writing(registry: str, repository: str, nobody: dict[str, str]) -> Iterator[HttpRepository]:
    opened = HttpRepository(ImageName(registry, repository, "1"), nobody, push=True)
    yield opened
    opened.close()


def push_all(
    writing: HttpRepository, images: ScratchImages
) -> tuple[str, tuple[PublishedImage, ...]]:
    """Push both platforms; the index's digest, and what was pushed."""
    engine, found = images
    pushed = [push_image(writing, CheckedImage(each, engine), ABOUT, print) for each in found]
    entries = tuple(entry for _image, entries in pushed for entry in entries)
    return push_index(writing, entries), tuple(image for image, _entries in pushed)


def test_what_was_pushed_is_read_back_as_it_was(
    writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """Layers are those of the engine's images, for both platforms; so are configurations."""
    digest, pushed = push_all(writing, scratch_images)
    back = tuple(read_image(writing, entry) for entry in read_index(writing, digest))
    assert back == pushed
    assert [each.layers for each in back] == [each.layers for each in scratch_images[1]]
    assert [each.platform for each in back] == [each.platform for each in scratch_images[1]]
    assert {each.attested for each in back} == {("provenance", "bill of materials")}
    check_tag(writing, digest)


def test_the_configuration_is_the_engines_own_byte_for_byte(
    engine: docker.APIClient, writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """The classic store calls an image by that digest; containerd's by its manifest's."""
    digest, pushed = push_all(writing, scratch_images)
    for image, done in zip(scratch_images[1], pushed, strict=True):
        stream = engine.get_image(image.reference)
        assert config_in(b"".join(stream)) == done.config
    ids = [image.digest for image in scratch_images[1]]
    is_classic = engine.info()["Driver"] == "overlay2"
    assert (ids == [done.config for done in pushed]) is is_classic
    assert digest.startswith("sha256:")


def config_in(archive: bytes) -> str:
    """The digest of the configuration in what `docker save` writes."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        listed = tar.extractfile("manifest.json")
        assert listed is not None
        config = tar.extractfile(json.load(listed)[0]["Config"])
        assert config is not None
        return f"sha256:{hashlib.sha256(config.read()).hexdigest()}"


def test_an_engine_pulls_what_was_pushed(
    engine: docker.APIClient, writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """By the digest of the index, each platform, with docker's own program too."""
    opened, images = scratch_images
    digest, _pushed = push_all(writing, scratch_images)
    name, pulled = writing.name.at(digest), set()
    try:
        for image in images:
            pinned = opened.pull(name, image.platform)
            pulled.add(pinned)
            found = opened.find_image(pinned, image.platform)
            assert found is not None
            assert found.layers == image.layers
            assert found.platform == image.platform
    finally:
        for each in pulled:
            engine.remove_image(each, force=True)


def test_docker_finds_the_attestations(
    writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """`docker buildx imagetools inspect` reads what BuildKit writes."""
    digest, pushed = push_all(writing, scratch_images)
    words = ["docker", "buildx", "imagetools", "inspect", writing.name.at(digest), "--format"]
    shown = subprocess.run([*words, "{{json .Provenance}}"], capture_output=True, check=True)
    raw: dict[str, Any] = json.loads(shown.stdout)
    assert raw == {str(each.platform): {"SLSA": {"a": 1}} for each in pushed}


def test_nothing_is_sent_twice(registry: str, scratch_images: ScratchImages, nobody: dict[str, str],
                               repository: str) -> None:  # fmt: skip
    """Both platforms share their layers here, and a second push has nothing left to send."""
    with RegistryProxy(registry) as proxy:
        writing = HttpRepository(ImageName(proxy.host, repository, "1"), nobody, push=True)
        push_all(writing, scratch_images)
        sent = sum(each.startswith("PATCH") for each in proxy.requests)
        first = push_all(writing, scratch_images)[0]
        assert sum(each.startswith("PATCH") for each in proxy.requests) == sent
        assert push_all(writing, scratch_images)[0] == first
        writing.close()
    # two layers, two configurations, and for each platform a configuration and two statements
    assert sent == 2 + 2 + 2 * 3


def test_an_image_that_was_tagged_anew_is_not_pushed(
    registry: str, repository: str, writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """What has a tested image's name by now may be anything; the registry gets nothing."""
    engine, images = scratch_images
    other = replace(images[0], digest=f"sha256:{'0' * 64}")
    gone = replace(images[0], reference="mlcontainer-test-none:1")
    layers = replace(images[0], layers=("sha256:1",))
    for each in (other, gone, layers):
        with pytest.raises(EngineError, match="is not the one that was tested any more"):
            push_image(writing, CheckedImage(each, engine), (), print)
    assert tags_of(registry, repository) == []


def test_a_push_that_fails_in_the_middle_changes_no_tag(
    registry: str, repository: str, nobody: dict[str, str], scratch_images: ScratchImages
) -> None:
    with RegistryProxy(registry) as proxy:
        writing = HttpRepository(ImageName(proxy.host, repository, "1"), nobody, push=True)
        proxy.add("PUT .*manifests", 403)
        with pytest.raises(RegistryError, match="does not let this login push"):
            push_all(writing, scratch_images)
        writing.close()
    assert tags_of(registry, repository) == []


def test_a_tag_that_was_moved_is_named(
    writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """Somebody else pushes in between: both digests are said, and what stays good."""
    digest, _pushed = push_all(writing, scratch_images)
    other = push_index(writing, ())
    with pytest.raises(RegistryError, match="the tag was moved to something else") as caught:
        check_tag(writing, digest)
    assert digest in caught.value.value
    assert other in caught.value.value
    assert writing.name.at(digest) in caught.value.remedy


def test_something_else_in_the_registry_is_not_taken_for_what_was_tested(
    writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """Whole, and with a digest that is right: another image."""
    digest, pushed = push_all(writing, scratch_images)
    back = read_image(writing, read_index(writing, digest)[0])
    check_same(writing, pushed[0], back)
    for other in (
        replace(back, config="sha256:1"),
        replace(back, layers=back.layers[:1]),
        replace(back, attested=()),
    ):
        with pytest.raises(RegistryError, match="is not what was tested"):
            check_same(writing, pushed[0], other)


def test_one_bit_of_a_layer_is_found(
    registry: str, nobody: dict[str, str], writing: HttpRepository, scratch_images: ScratchImages
) -> None:
    """By the digest of what was sent, also where unpacking fails first."""
    digest, pushed = push_all(writing, scratch_images)
    with RegistryProxy(registry) as proxy:
        name = ImageName(proxy.host, writing.name.repository, "1")
        reading = HttpRepository(name, nobody)
        (entry, _other) = read_index(reading, digest)
        proxy.add("GET .*blobs", "damage")
        with pytest.raises(RegistryError, match="is not what its digest says"):
            read_image(reading, entry)
        assert read_image(reading, entry) == pushed[0]
        reading.close()


def test_what_is_no_image_is_refused(writing: HttpRepository) -> None:
    """Some registries hold charts and models, too."""
    content = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    writing.push_manifest(content, INDEX, "1")
    digest = writing.read_manifest("1").digest
    with pytest.raises(RegistryError, match="this is no image"):
        read_index(writing, digest)
