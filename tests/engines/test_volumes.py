"""Volumes: whatever brings one about, its labels tell whose it is."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.engines.docker.mounts import plan_mounts, volumes_of
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import LABEL, Owner, Platform
from pytest_mlcontainer.owners import current_owner

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BASE = "python:3.13-slim"
AMD64 = Platform("linux", "amd64")


@pytest.fixture
def owner() -> Owner:
    return current_owner(uuid.uuid4().hex)


@pytest.fixture
def opened(owner: Owner) -> Iterator[DockerEngine]:
    engine = DockerEngine(None, os.environ, owner)
    yield engine
    engine.remove_session(keep_containers=False)
    engine.disconnect()


@pytest.fixture
def image_with_volumes(engine: docker.APIClient) -> Iterator[str]:
    """An image that asks for two volumes, one of them where a run may have a tmpfs."""
    name = f"volumes-{uuid.uuid4().hex[:12]}"
    made = engine.create_container(BASE, ["true"])["Id"]
    changes = ['VOLUME ["/srv/data/", "/tmp"]', "WORKDIR /srv"]
    engine.commit(made, name, "made", changes=changes)
    engine.remove_container(made)
    yield f"{name}:made"
    engine.remove_image(f"{name}:made", force=True)


@pytest.fixture
def spec(opened: DockerEngine) -> Callable[..., ContainerSpec]:
    def make(image: str = BASE, **more: object) -> ContainerSpec:
        return ContainerSpec(image, opened.native(), command=("true",), **more)  # type: ignore[arg-type]

    return make


def owners_of_volumes(engine: docker.APIClient, container: str) -> dict[str, str | None]:
    """Where a container has volumes → whose each says that it is."""
    return {
        mount["Destination"]: (engine.inspect_volume(mount["Name"])["Labels"] or {}).get(
            f"{LABEL}.session"
        )
        for mount in engine.inspect_container(container)["Mounts"]
    }


def test_a_volume_that_the_engine_makes_anew_says_whose_it_is(
    engine: docker.APIClient, opened: DockerEngine, owner: Owner, spec: Callable[..., ContainerSpec]
) -> None:
    """As when the end of a session has removed it, just before a container that names it."""
    names = [f"mlcontainer-{owner.session[:12]}-{kind}" for kind in ("read", "write")]
    made = spec(volumes=((names[0], "/a"),), writable_volumes=((names[1], "/b"),), scratch=("/c",))

    with opened.container(made) as container:
        owners = owners_of_volumes(engine, container.id)

    assert owners == {"/a": owner.session, "/b": owner.session, "/c": owner.session}
    assert opened.remove_session(keep_containers=False)
    left = engine.volumes()["Volumes"] or ()
    assert not [each["Name"] for each in left if each["Name"] in names]


@pytest.mark.parametrize("read_only", [False, True])
def test_volumes_of_an_image_say_whose_they_are(
    engine: docker.APIClient,
    opened: DockerEngine,
    owner: Owner,
    spec: Callable[..., ContainerSpec],
    image_with_volumes: str,
    read_only: bool,
) -> None:
    with opened.container(spec(image_with_volumes, read_only=read_only)) as container:
        owners = owners_of_volumes(engine, container.id)
        names = [mount["Name"] for mount in engine.inspect_container(container.id)["Mounts"]]

    expected = ["/srv/data"] if read_only else ["/srv/data", "/tmp"]  # there /tmp is in memory
    assert owners == dict.fromkeys(expected, owner.session)
    left = {each["Name"] for each in engine.volumes()["Volumes"] or ()}
    assert not left & set(names)


def test_a_copy_of_a_folder_works_in_an_image_with_volumes(
    engine: docker.APIClient,
    opened: DockerEngine,
    spec: Callable[..., ContainerSpec],
    image_with_volumes: str,
) -> None:
    """The container that holds the copy has the image's volumes beside it."""
    elsewhere = spec(image_with_volumes, copy=("/usr/local/bin", "/elsewhere"))

    with opened.container(elsewhere) as container:
        container.start()
        mounts = engine.inspect_container(container.id)["Mounts"]
        assert container.get("/elsewhere/python3") is not None

    assert sorted(mount["Destination"] for mount in mounts) == ["/elsewhere", "/srv/data", "/tmp"]


def test_nothing_is_made_for_a_session_that_ends(
    engine: docker.APIClient, opened: DockerEngine, owner: Owner, spec: Callable[..., ContainerSpec]
) -> None:
    opened.close()

    name = f"mlcontainer-{owner.session[:12]}-late"
    with (
        pytest.raises(EngineError, match="this test session is ending"),
        opened.container(spec(volumes=((name, "/a"),))),
    ):
        pass
    assert name not in {each["Name"] for each in engine.volumes()["Volumes"] or ()}


def test_a_mount_stands_once_at_a_place() -> None:
    """Where a run has something else, the image's own volume would be a second mount."""
    planned = plan_mounts(
        ContainerSpec("image", AMD64, volumes=(("data", "/srv/data/"),)),
        {"whose": "ours"},
        "unix:///var/run/docker.sock",
        ("/srv/data", "/srv/cache"),
    )

    assert [mount["Target"] for mount in planned] == ["/srv/data/", "/srv/cache"]
    assert all(mount["VolumeOptions"]["Labels"] == {"whose": "ours"} for mount in planned)


def test_an_image_names_its_volumes_in_any_form() -> None:
    raw: dict[str, Any] = {"Config": {"Volumes": {"/b/": {}, "/b": {}, "a": {}}}}

    assert volumes_of(raw) == ("/a", "/b")
    assert volumes_of({"Config": {"Volumes": None}}) == ()
