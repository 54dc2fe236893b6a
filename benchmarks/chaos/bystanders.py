"""What belongs to others and runs beside: it must be there, unharmed, whatever is killed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import docker
from docker.errors import APIError

from pytest_mlcontainer.model import LABEL
from pytest_mlcontainer.owners import current_owner

BASE = "python:3.13-slim"
_SLEEP = ["python", "-c", "import time; time.sleep(86400)"]


@dataclass(frozen=True)
class Bystander:
    """A running container on a network with a volume, all of one owner, and an image.

    Args:
        whose: in words.
        state: everything of it that must stay as it is.
    """

    whose: str
    container: str
    network: str
    volume: str
    image: str
    state: tuple[str, ...]


@contextmanager
def bystanders(api: docker.APIClient) -> Iterator[tuple[Bystander, ...]]:
    """Three of them: a stranger's, another machine's, and another living session's."""
    elsewhere = {
        LABEL: "true",
        f"{LABEL}.session": uuid.uuid4().hex,
        f"{LABEL}.host": "elsewhere/pid:[1]",
        f"{LABEL}.pid": "1",
        f"{LABEL}.pid-start": "1@00000000",
    }
    living = current_owner(uuid.uuid4().hex).labels() | {LABEL: "true"}
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(_bystander(api, whose, labels))
            for whose, labels in (
                ("a stranger's", {}),
                ("another machine's", elsewhere),
                ("another living session's", living),
            )
        )


def harmed(
    api: docker.APIClient, beside: tuple[Bystander, ...], *, restarted: bool = False
) -> tuple[str, ...]:
    """What is not as it was, one line each.

    Args:
        restarted: the engine was, which ends every container; then they only have to exist.
    """
    found = []
    for each in beside:
        try:
            state = _state(api, each.container, each.network, each.volume, each.image)
            if restarted:
                continue
        except APIError as error:
            found.append(f"{each.whose}: {error.explanation}")
            continue
        found += [
            f"{each.whose}: {now}, was {before}"
            for before, now in zip(each.state, state, strict=True)
            if now != before
        ]
    return tuple(found)


@contextmanager
def _bystander(api: docker.APIClient, whose: str, labels: Mapping[str, str]) -> Iterator[Bystander]:
    token = f"chaos-beside-{uuid.uuid4().hex[:12]}"
    tag = f"{LABEL}/{token}" if labels else token
    with ExitStack() as stack:
        volume = api.create_volume(token, labels=dict(labels))["Name"]
        stack.callback(_quietly, api.remove_volume, volume)
        network = api.create_network(token, labels=dict(labels), internal=True)["Id"]
        stack.callback(_quietly, api.remove_network, network)
        host = api.create_host_config(network_mode=token, binds={volume: {"bind": "/kept"}})
        container = api.create_container(
            BASE, _SLEEP, labels=dict(labels), host_config=host, name=token
        )["Id"]
        stack.callback(_quietly, api.remove_container, container, force=True)
        api.start(container)
        changes = [f'LABEL {name}="{value}"' for name, value in labels.items()]
        api.commit(container, tag, "kept", changes=changes, pause=False)
        image = f"{tag}:kept"
        stack.callback(_quietly, api.remove_image, image)
        state = _state(api, container, network, volume, image)
        yield Bystander(whose, container, network, volume, image, state)


def _state(
    api: docker.APIClient, container: str, network: str, volume: str, image: str
) -> tuple[str, ...]:
    inspected = api.inspect_container(container)
    joined = api.inspect_network(network)
    state = inspected["State"]
    return (
        f"container {state['Status']} as process {state['Pid']} since {state['StartedAt']}",
        f"network {joined['Id']} with {', '.join(sorted(joined['Containers']))}",
        f"volume made at {api.inspect_volume(volume)['CreatedAt']}",
        f"image {api.inspect_image(image)['Id']}",
    )


def _quietly(call: Callable[..., object], *arguments: object, **options: object) -> None:
    with contextlib.suppress(APIError):
        call(*arguments, **options)
