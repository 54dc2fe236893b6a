"""A registry on this machine, and images to send to it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines import Engine, EngineRequest
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.model import BuildSettings, Image, Platform
from pytest_mlcontainer.owners import current_owner
from tests.loopback_registry import Certificates, make_certificates, running_registry

PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One without TLS and login: `127.0.0.1:PORT`."""
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """Variables of somebody who has logged in nowhere."""
    return {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}


@pytest.fixture
def repository() -> str:
    """A name that no other test has."""
    return f"tests/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def scratch_images(
    engine: docker.APIClient, tmp_path: Path
) -> Iterator[tuple[Engine, list[Image]]]:
    """Images of both platforms with a megabyte of noise; nothing in them can be run."""
    opened = open_engine(EngineRequest(None, os.environ, current_owner(uuid.uuid4().hex)))
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "noise").write_bytes(os.urandom(1 << 20))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY noise /a\nCOPY noise /b/noise\n")
    name, made = f"mlcontainer-test-{uuid.uuid4().hex[:12]}", []
    try:
        for platform in PLATFORMS:
            build = BuildSettings(folder, folder / "Dockerfile")
            tag = f"{name}:{platform.architecture}"
            opened.build(build, platform, tag, (), lambda _line: None)
            found = opened.find_image(tag, platform)
            assert found is not None
            made.append(found)
        yield opened, made
    finally:
        opened.remove_images(name)
        opened.close()
        opened.disconnect()
