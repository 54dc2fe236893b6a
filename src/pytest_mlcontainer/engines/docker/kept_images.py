"""Images that stay on an engine for the next session, within a budget of disk and age.

A build of which nothing has changed still costs what it takes to give an engine the image again,
which grows with its size (3.4 s instead of 1.4 s for 0.8 GB). An image that has a name is there
already. So what was built has a second name, one for each project and platform, which the next
build moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import docker
from docker.errors import APIError, ImageNotFound

from pytest_mlcontainer.engines.docker.sessions import list_images
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


def kept_reference(repository: str, platform: Platform) -> str:
    """The second name of a project's image, whether there is one or not."""
    return f"{_kept_name(repository)}:{platform.slug}"


def find_kept(api: docker.APIClient) -> tuple[KeptImage, ...]:
    """All of them, of whatever project, the one that was used last first."""
    found = []
    for raw in list_images(api, filters={"label": [LABEL]}):
        for tag in raw.get("RepoTags") or ():
            if tag.startswith(PREFIX):
                project = (raw.get("Labels") or {}).get(f"{LABEL}.project", "")
                found.append(KeptImage(tag, project, int(raw.get("Size") or 0), age_s(api, tag)))
    return tuple(sorted(found, key=lambda image: (image.age_s is None, image.age_s or 0.0)))


def past_budget(
    images: Iterable[KeptImage], limit_bytes: int, longest_s: float = LONGEST_S
) -> tuple[KeptImage, ...]:
    """Those that were not used for too long, or are too large by themselves, and of the others
    those not used for longest.

    Args:
        images: the one that was used last first.
        limit_bytes: what the others may take together.
    """
    total, found = 0, []
    for image in images:
        past = image.age_s is not None and image.age_s > longest_s
        if past or image.size_bytes > limit_bytes:
            found.append(image)
            continue
        total += image.size_bytes
        if total > limit_bytes:
            found.append(image)
    return tuple(found)


def trim_kept(api: docker.APIClient, limit_bytes: int, unwanted: Collection[str] = ()) -> bool:
    """Hold what is kept to its budget.

    Args:
        unwanted: repositories of which nothing is kept.

    Returns:
        Whether anything was removed.
    """
    names = tuple(f"{_kept_name(repository)}:" for repository in unwanted)
    images = find_kept(api)
    not_wanted = tuple(image for image in images if image.name.startswith(names))
    wanted = (image for image in images if image not in not_wanted)
    removed = False
    for image in (*not_wanted, *past_budget(wanted, limit_bytes)):
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
        return (datetime.fromisoformat(now) - datetime.fromisoformat(tagged)).total_seconds()
    except (ValueError, TypeError):  # no time, or one without a zone
        return None


def _kept_name(repository: str) -> str:
    return PREFIX + repository.rpartition("/")[2]
