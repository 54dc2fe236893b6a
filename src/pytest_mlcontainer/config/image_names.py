"""The name of an image in a registry, as `docker push` and `docker pull` read it."""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.config.words import show
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import ImageName

# https://github.com/distribution/reference, regexp.go
_PART: Final = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?"
)
_HUB: Final = "docker.io"
_HUB_NAMES: Final = (_HUB, "index.docker.io", "registry-1.docker.io")
_EXAMPLE: Final = "ghcr.io/OWNER/NAME:TAG"


def parse_image_name(text: str) -> ImageName:
    """The parts of a name.

    Raises:
        MlContainerError: it is none.
    """
    rest, at, digest = text.strip().partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong("the digest is none", text, "64 hexadecimal digits follow `@sha256:`")
    head, slash, tail = rest.rpartition("/")
    name, colon, tag = tail.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong("the tag is none", text, "up to 128 letters, digits, `_`, `.` and `-`")
    host, repository = _split(f"{head}{slash}{name}")
    if "://" in text:
        raise _wrong("an address is no name of an image", text, f"write it as {_EXAMPLE}")
    if not _HOST.fullmatch(host):
        raise _wrong("the registry's host is none", text, f"write it as {_EXAMPLE}")
    if not _REPOSITORY.fullmatch(repository):
        letters = "lower-case letters, digits and single separators"
        raise _wrong("this is no name of an image", text, f"{letters}, as in {_EXAMPLE}")
    return ImageName(host, repository, tag, digest)


def parse_push_name(text: str) -> ImageName:
    """The name to publish under; without a tag it is `latest`, as for `docker push`.

    Raises:
        MlContainerError: it is none, has a digest, or is one of Docker Hub's own images.
    """
    name = parse_image_name(text)
    if name.digest:
        what = "a digest cannot be published to: it follows from what is published"
        raise _wrong(what, text, f"leave it out, and name a tag: {_EXAMPLE}")
    if name.host == _HUB and name.repository.startswith("library/"):
        what = "the name has neither a registry nor an account"
        raise _wrong(what, text, f"write it as ACCOUNT/NAME:TAG for Docker Hub, or as {_EXAMPLE}")
    return ImageName(name.host, name.repository, name.tag or "latest")


def parse_pinned_name(text: str) -> ImageName:
    """A name with the digest that it has to have.

    Raises:
        MlContainerError: it has none.
    """
    name = parse_image_name(text)
    if not name.digest:
        raise _wrong(
            "there is no digest, so what is tested could be another image tomorrow",
            text,
            "name it as REF@sha256:…; `docker buildx imagetools inspect REF` prints the digest",
        )
    return name


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and (any(mark in first for mark in ".:[") or first == "localhost")
    host, repository = (first, rest) if is_host else (_HUB, name)
    if host in _HUB_NAMES:
        return _HUB, repository if "/" in repository else f"library/{repository}"
    return host, repository


def _wrong(what: str, text: str, remedy: str) -> MlContainerError:
    return MlContainerError(what, show(text), remedy)
