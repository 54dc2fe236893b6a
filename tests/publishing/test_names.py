"""Names of images in registries, as docker reads them."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.config.image_names import (
    parse_image_name,
    parse_pinned_name,
    parse_push_name,
)
from pytest_mlcontainer.errors import MlContainerError

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("ghcr.io/acme/bikes:1.4", "ghcr.io", "acme/bikes", "1.4"),
        ("acme/bikes", "docker.io", "acme/bikes", ""),
        ("python:3.13-slim", "docker.io", "library/python", "3.13-slim"),
        ("index.docker.io/acme/bikes", "docker.io", "acme/bikes", ""),
        ("localhost/bikes:a", "localhost", "bikes", "a"),
        ("127.0.0.1:5000/a/b/c_d.e-f:x", "127.0.0.1:5000", "a/b/c_d.e-f", "x"),
        ("[::1]:5000/a:x", "[::1]:5000", "a", "x"),
        ("r.example:443/a", "r.example:443", "a", ""),
    ],
)
def test_a_name_has_these_parts(text: str, host: str, repository: str, tag: str) -> None:
    name = parse_image_name(text)
    assert (name.host, name.repository, name.tag, name.digest) == (host, repository, tag, "")
    assert parse_image_name(str(name)) == name
    assert parse_image_name(f"{text}@{DIGEST}").at(DIGEST) == f"{host}/{repository}@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ghcr.io/Acme/bikes", "no name of an image"),
        ("ghcr.io/acme/bikes:", "the tag is none"),
        ("ghcr.io/acme/bikes:a b", "the tag is none"),
        ("ghcr.io/acme/bikes@sha256:12", "the digest is none"),
        ("https://ghcr.io/acme/bikes", "an address is no name"),
        ("ghcr.io/acme//bikes:1", "no name of an image"),
        ("-x.io/a:1", "host is none"),
        ("", "no name of an image"),
    ],
)
def test_what_is_no_name_is_refused(text: str, what: str) -> None:
    with pytest.raises(MlContainerError, match=what) as caught:
        parse_image_name(text)
    assert caught.value.remedy


def test_a_push_needs_a_place_and_takes_no_digest() -> None:
    """Docker Hub's own names, without an account, can be nobody's; `latest` is docker's default."""
    assert str(parse_push_name("acme/bikes")) == "docker.io/acme/bikes:latest"
    with pytest.raises(MlContainerError, match="neither a registry nor an account"):
        parse_push_name("bikes:1")
    with pytest.raises(MlContainerError, match="a digest cannot be published to"):
        parse_push_name(f"acme/bikes@{DIGEST}")


def test_a_pinned_name_has_a_digest() -> None:
    assert parse_pinned_name(f"acme/bikes:1@{DIGEST}").digest == DIGEST
    with pytest.raises(MlContainerError, match="there is no digest"):
        parse_pinned_name("acme/bikes:1")
