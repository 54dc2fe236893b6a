"""Which manifest of an index is a platform's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from docker.auth import resolve_repository_name

from pytest_mlcontainer.engines.docker.registries.repository import HttpRepository
from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.model import ImageName, Platform

# The classic image store knows one image by a digest, and so one platform of an index.
ONE_IMAGE_BY_DIGEST: Final = "cannot overwrite digest"
_HUB: Final = "docker.io"


def own_reference(pinned: str, platform: Platform, environ: Mapping[str, str]) -> str | None:
    """The reference by which one platform of an index is pulled alone.

    Args:
        pinned: `NAME@DIGEST` of the index.

    Returns:
        None where the registry cannot be asked from here, or has no such platform.
    """
    text, _at, digest = pinned.partition("@")
    try:
        with closing(HttpRepository(registry_name(pinned), environ)) as opened:
            raw = json.loads(opened.read_manifest(digest).content)
    except (RegistryError, ValueError):
        return None
    return next((f"{text}@{each}" for each in own_digests(raw, platform)), None)


def registry_name(reference: str) -> ImageName:
    """Where a reference's image is looked for, as docker reads it."""
    text, _at, digest = reference.partition("@")
    name, slash, last = text.rpartition("/")
    last, _colon, tag = last.partition(":")
    host, repository = resolve_repository_name(f"{name}{slash}{last}")
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageName(host, repository, tag, digest)


def own_digests(raw: Any, platform: Platform) -> Iterator[str]:
    """The digests of a platform's manifests in an index."""
    manifests = raw.get("manifests") if isinstance(raw, dict) else None
    for each in manifests if isinstance(manifests, list) else ():
        found = each.get("platform") or {}
        fits = (found.get("os"), found.get("architecture")) == (platform.os, platform.architecture)
        variant = platform.variant or found.get("variant")
        if fits and variant in (None, "", found.get("variant")):
            yield str(each.get("digest"))
