"""What earlier sessions left on an engine: finding it, judging it, removing it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import docker
from docker.errors import APIError, NotFound

from pytest_mlcontainer.engines import Leftover, LeftoverKind
from pytest_mlcontainer.engines.docker.kept_images import KeptImage, age_s, find_kept
from pytest_mlcontainer.engines.docker.sessions import KEEP_LABEL, list_images
from pytest_mlcontainer.model import LABEL
from pytest_mlcontainer.owners import host_name, is_alive

# An image carries no owner. One that no known session claims may belong to another user's, or to
# one with another cache folder, for as long as a session usually takes.
_UNCLAIMED_S = 3600


class Cleaner:
    """Finds and removes leftovers on one engine; arguments as of `Janitor.leftovers`."""

    def __init__(
        self,
        api: docker.APIClient,
        claimed: Collection[str] = (),
        abandoned: Collection[str] = (),
    ) -> None:
        self._api = api
        self._claimed = frozenset(claimed)
        self._abandoned = frozenset(abandoned) - self._claimed

    def find(self) -> tuple[Leftover, ...]:
        """Everything with our label, in the order in which it can be removed."""
        # The session's own label: a container that a user starts from an image of ours inherits
        # the image's label, and is none of our business.
        ours = {"label": [f"{LABEL}.session"]}
        raw_containers = self._api.containers(all=True, filters=ours)
        containers = tuple(_judge_container(raw) for raw in raw_containers)
        freed = {
            str(raw.get("Image", "")).rpartition(":")[0]
            for raw, container in zip(raw_containers, containers, strict=True)
            if not container.left
        }
        return (
            *containers,
            *(
                _judge(LeftoverKind.NETWORK, raw["Id"], raw["Name"], raw["Labels"])
                for raw in self._api.networks(filters=ours)
            ),
            *(
                _judge(LeftoverKind.VOLUME, raw["Name"], raw["Name"], raw["Labels"])
                for raw in self._api.volumes(filters=ours)["Volumes"] or ()
            ),
            *self._images(self._abandoned | (freed - self._claimed)),
            *map(_judge_kept, find_kept(self._api)),
        )

    def remove(self, thing: Leftover) -> Leftover:
        """Remove one thing; returns it with `left` set when the engine does not let it go."""
        calls: dict[LeftoverKind, Callable[[], object]] = {
            LeftoverKind.CONTAINER: lambda: self._api.remove_container(
                thing.id, force=True, v=True
            ),
            LeftoverKind.NETWORK: lambda: self._api.remove_network(thing.id),
            LeftoverKind.VOLUME: lambda: self._api.remove_volume(thing.id),
            # Without force: an image that a container uses stays.
            LeftoverKind.IMAGE: lambda: self._api.remove_image(thing.id),
        }
        try:
            calls[thing.kind]()
        except NotFound:
            return thing
        except APIError as error:
            return replace(thing, left=f"the engine keeps it: {error.explanation}")
        return thing

    def _images(self, abandoned: frozenset[str]) -> Iterator[Leftover]:
        for raw in list_images(self._api, filters={"label": [LABEL]}):
            for tag in raw.get("RepoTags") or ():
                repository = tag.rpartition(":")[0]
                if not repository.startswith(f"{LABEL}/"):
                    continue
                project = (raw.get("Labels") or {}).get(f"{LABEL}.project", "")
                why = f"built for {project}" if project else "built by a session"
                left = "" if repository in abandoned else self._claim(tag, repository)
                yield Leftover(LeftoverKind.IMAGE, tag, tag, why, left)

    def _claim(self, tag: str, repository: str) -> str:
        """Why an image that no dead session is known to have left must stay, or nothing."""
        if repository in self._claimed:
            return "a living session uses it"
        age = age_s(self._api, tag)
        if age is None or age < _UNCLAIMED_S:
            return (
                "less than an hour old, so a session that is not known here may use it "
                "(`docker rmi` removes it anyway)"
            )
        return ""


def _judge_container(raw: Mapping[str, Any]) -> Leftover:
    name = str((raw.get("Names") or [raw["Id"][:12]])[0]).lstrip("/")
    shown = f"{name} ({raw.get('Image')}, {raw.get('Status')})"
    return _judge(LeftoverKind.CONTAINER, raw["Id"], shown, raw["Labels"])


def _judge_kept(image: KeptImage) -> Leftover:
    why = f"kept for the next session of {image.project}, {image.size_bytes / 1e6:.0f} MB"
    return Leftover(LeftoverKind.IMAGE, image.name, image.name, why)


def _judge(kind: LeftoverKind, id: str, name: str, labels: Mapping[str, str]) -> Leftover:
    """Whose a thing is, and whether it may go."""
    session = labels[f"{LABEL}.session"][:8]
    host, pid = labels.get(f"{LABEL}.host", ""), labels.get(f"{LABEL}.pid", "")
    if host != host_name():
        left = f"only there is it known whether process {pid} still runs: run this there"
        return Leftover(kind, id, name, f"session {session} on {host or 'another machine'}", left)
    started = labels.get(f"{LABEL}.pid-start", "")
    if pid.isdigit() and is_alive(int(pid), started):
        return Leftover(kind, id, name, f"session {session}", f"process {pid} still runs")
    why = "kept by --container-keep" if KEEP_LABEL in labels else f"process {pid} is gone"
    return Leftover(kind, id, name, f"session {session}, {why}")
