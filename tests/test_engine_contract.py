"""What every engine promises, held by Docker's and by one that is folders and processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines import Engine, EngineRequest
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.model import EVERYTHING, Capabilities, Knobs, Limits
from pytest_mlcontainer.testing import EngineContract
from tests.folder_engine import FolderEngine


class TestDockerEngine(EngineContract):
    base = "python:3.13-slim"

    @pytest.fixture(autouse=True)
    def _there(self, engine: docker.APIClient, leaves_nothing: None) -> None:
        """With the base image."""

    def open(self, request: EngineRequest) -> Engine:
        return open_engine(request)

    def environ(self) -> Mapping[str, str]:
        return os.environ


class TestFolderEngine(EngineContract):
    base = "this machine"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self._place = tmp_path / "engine"

    def open(self, request: EngineRequest) -> Engine:
        return FolderEngine(request)

    def endpoint(self) -> str:
        return f"folder://{self._place}"


def test_what_is_asked_for_beyond_the_capabilities_is_named() -> None:
    """Limits by the names of the configuration; those that are as usual are not asked for."""
    nothing = Capabilities(networks=frozenset({"none"}))
    asked = Limits(memory_bytes=1, shm_size_bytes=2, timeout_s=3.0, network="bridge", gpus="all")

    assert nothing.missing_for(Limits(timeout_s=1.0, log_bytes=2)) == ()
    assert nothing.missing_for(asked) == ("memory", "shm-size", "gpus", 'network = "bridge"')
    assert EVERYTHING.missing_for(asked) == ()
    knobs = Knobs(env=(("A", "1"),), hostname="other")
    assert Capabilities(knobs=frozenset({"env"})).missing_knobs(knobs) == ("hostname",)
    assert EVERYTHING.missing_knobs(knobs) == nothing.missing_knobs(Knobs()) == ()
