"""What package managers and libraries keep for another time: where, and how to leave it out."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class CacheKind:
    """A kind of cache.

    Args:
        pattern: of the paths in it; what the group holds is the cache's folder.
        mend: how not to have it in an image.
        needed: it may be there on purpose: weights that a program loads without network.
    """

    name: str
    pattern: re.Pattern[str]
    mend: str
    needed: bool = False


_DOWNLOADS = (
    "where runs may download them, or get them as a mount, leave them out; where they are there on "
    "purpose, add the rule to `ignore`"
)
CACHES = (
    CacheKind(
        "pip's cache",
        re.compile(r"((?:^|.*/)\.cache/pip)/"),
        "RUN --mount=type=cache,target=/{folder} pip install …, or ENV PIP_NO_CACHE_DIR=1",
    ),
    CacheKind(
        "uv's cache",
        re.compile(r"((?:^|.*/)\.cache/uv)/"),
        "RUN --mount=type=cache,target=/{folder} uv sync … with ENV UV_LINK_MODE=copy, "
        "or ENV UV_NO_CACHE=1",
    ),
    CacheKind(
        "poetry's cache",
        re.compile(r"((?:^|.*/)\.cache/pypoetry/(?:cache|artifacts))/"),
        "RUN --mount=type=cache,target=/{folder} poetry install …, or `--no-cache`",
    ),
    CacheKind(
        "conda's packages",
        re.compile(r"((?:^|.*/)(?:[\w.-]*conda\d*|miniforge\d*|mambaforge\d*|micromamba)/pkgs)/"),
        "end the RUN that installs with `&& conda clean --all --yes` (mamba: the same)",
    ),
    CacheKind(
        "apt's lists",
        re.compile(r"(var/lib/apt/lists)/"),
        "end the RUN that calls apt-get update with `&& rm -rf /var/lib/apt/lists/*`",
    ),
    CacheKind(
        "apt's packages",
        re.compile(r"(var/cache/apt)/"),
        "end the RUN that installs with `&& apt-get clean`, "
        "or RUN --mount=type=cache,target=/var/cache/apt …",
    ),
    CacheKind(
        "apk's cache", re.compile(r"(var/cache/apk)/"), "apk add --no-cache …"
    ),
    CacheKind(
        "dnf's cache",
        re.compile(r"(var/cache/(?:dnf|yum|libdnf5))/"),
        "end the RUN that installs with `&& dnf clean all`",
    ),
    CacheKind(
        "npm's cache",
        re.compile(r"((?:^|.*/)\.npm/_cacache)/"),
        "RUN --mount=type=cache,target=/{folder} npm ci",
    ),
    CacheKind(
        "Hugging Face's downloads",
        re.compile(r"((?:^|.*/)\.cache/huggingface)/"),
        _DOWNLOADS,
        needed=True,
    ),
    CacheKind(
        "torch's downloads",
        re.compile(r"((?:^|.*/)\.cache/torch/hub)/"),
        _DOWNLOADS,
        needed=True,
    ),
)  # fmt: skip


def find_cache(path: str) -> tuple[CacheKind, str] | None:
    """The cache that a file is in, with its folder."""
    if "cache" not in path and "pkgs" not in path and "apt" not in path:
        return None  # most files, at once
    for kind in CACHES:
        found = kind.pattern.match(path)
        if found is not None:
            return kind, found[1]
    return None
