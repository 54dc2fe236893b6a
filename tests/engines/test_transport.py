"""How requests travel to an engine."""

from __future__ import annotations

import os

import docker
import pytest

from pytest_mlcontainer.engines.docker.connect import open_client
from tests.sample_project import BASE


def test_files_come_through_a_local_socket_as_they_are(engine: docker.APIClient) -> None:
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        pytest.skip("this engine is not reached by a socket of this machine")
    made = engine.create_container(BASE)["Id"]
    url = f"{engine.base_url}/v{engine.api_version}/containers/{made}/archive"
    try:
        with open_client(None, os.environ) as client:
            said = client.get(url, params={"path": "/etc/services"}, stream=True)
            with said:
                assert said.ok
                assert "Content-Encoding" not in said.headers
        asked = {"Accept-Encoding": "gzip"}
        with engine.get(url, params={"path": "/etc/services"}, headers=asked, stream=True) as said:
            assert said.headers["Content-Encoding"] == "gzip", "this test would prove nothing"
    finally:
        engine.remove_container(made, force=True)
