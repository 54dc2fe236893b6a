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
    host, repository = resolve_repository_name(text)
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    try:
        with closing(HttpRepository(ImageName(host, repository), environ)) as opened:
            raw = json.loads(opened.read_manifest(digest).content)
    except (RegistryError, ValueError):
        return None
    return next((f"{text}@{each}" for each in _digests(raw, platform)), None)


def _digests(raw: Any, platform: Platform) -> Iterator[str]:
    manifests = raw.get("manifests") if isinstance(raw, dict) else None
    for each in manifests if isinstance(manifests, list) else ():
        found = each.get("platform") or {}
        fits = (found.get("os"), found.get("architecture")) == (platform.os, platform.architecture)
        variant = platform.variant or found.get("variant")
        if fits and variant in (None, "", found.get("variant")):
            yield str(each.get("digest"))
