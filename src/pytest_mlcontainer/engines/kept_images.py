"""Images that stay on an engine for the next session, within a budget of disk and age.

A build of which nothing has changed still costs what it takes to give an engine the image again,
11 to 50 s for one of 3 GB. An image that has a name is there already. So what was built has a
second name, one for each project and platform, which the next build moves.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import docker
from docker.errors import APIError, ImageNotFound

from pytest_mlcontainer.engines.sessions import list_images
from pytest_mlcontainer.model import LABEL, Platform

PREFIX: Final = f"{LABEL}-kept/"
LONGEST_S: Final = 7 * 24 * 3600


@dataclass(frozen=True)
class KeptImage:
    """An image under its second name.

    Args:
        size_bytes: as the engine counts it, layers that others share included.
        age_s: seconds since it was built last, or found unchanged; None where nobody knows.
    """

    name: str
    project: str
    size_bytes: int
    age_s: float | None


def keep_image(api: docker.APIClient, reference: str, repository: str, platform: Platform) -> None:
    """Give an image its second name. An engine that cannot has it built again, and that is all.

    Args:
        repository: under which the project's images are tagged.
    """
    with suppress(APIError):
        api.tag(reference, _kept_name(repository), platform.slug)


def find_kept(api: docker.APIClient) -> tuple[KeptImage, ...]:
    """All of them, of whatever project, the one that was used last first."""
    found = []
    for raw in list_images(api, filters={"label": [LABEL]}):
        for tag in raw.get("RepoTags") or ():
            if tag.startswith(PREFIX):
                project = (raw.get("Labels") or {}).get(f"{LABEL}.project", "")
                found.append(KeptImage(tag, project, int(raw.get("Size") or 0), age_s(api, tag)))
    return tuple(sorted(found, key=lambda image: (image.age_s is None, image.age_s or 0.0)))


def trim_kept(
    api: docker.APIClient,
    limit_bytes: int,
    unwanted: Collection[str] = (),
    longest_s: float = LONGEST_S,
) -> bool:
    """Remove what was not used for too long, then what was not used for longest until all fits.

    Args:
        unwanted: repositories of which nothing is kept.

    Returns:
        Whether anything was removed.
    """
    names = tuple(f"{_kept_name(repository)}:" for repository in unwanted)
    total, removed = 0, False
    for image in find_kept(api):
        total += image.size_bytes
        past = image.age_s is not None and image.age_s > longest_s
        if past or total > limit_bytes or image.name.startswith(names):
            # Not by force: a container may use it.
            with suppress(APIError):
                api.remove_image(image.name)
                removed = True
    return removed


def age_s(api: docker.APIClient, tag: str) -> float | None:
    """Seconds since an image got its tag, by the engine's clock; None when it does not say."""
    try:
        raw: dict[str, Any] = api.inspect_image(tag)
        now = str(api.info().get("SystemTime") or "")
    except (APIError, ImageNotFound):
        return None
    tagged = str((raw.get("Metadata") or {}).get("LastTagTime") or raw.get("Created") or "")
    try:
        return (_time(now) - _time(tagged)).total_seconds()
    except ValueError:
        return None


def _kept_name(repository: str) -> str:
    return PREFIX + repository.rpartition("/")[2]


def _time(text: str) -> datetime:
    """`2026-11-23T19:27:26.086944908Z`, whose nanoseconds Python 3.10 does not read."""
    whole, zone = text[:19], text[-6:] if text[-6:-5] in ("+", "-") else "+00:00"
    return datetime.fromisoformat(f"{whole}{zone}")
