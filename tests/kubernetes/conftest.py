"""A cluster for the tests: the one that `make cluster-up` made, or any that KUBECONFIG names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import pytest

from pytest_mlcontainer.engines import EngineRequest, ImageStore, LogLine
from pytest_mlcontainer.engines.registry import open_repository
from pytest_mlcontainer.model import ClusterSettings, Image, ImageName, Owner, Platform
from pytest_mlcontainer.publishing.pushing import push_tagged

REGISTRY = "MLCONTAINER_TEST_REGISTRY"
NODE_REGISTRY = "MLCONTAINER_TEST_NODE_REGISTRY"
HELPER_IMAGE = "MLCONTAINER_TEST_HELPER_IMAGE"
EMULATED = "MLCONTAINER_TEST_EMULATED"
PLATFORMS = "MLCONTAINER_TEST_PLATFORMS"


@dataclass(frozen=True)
class TestCluster:
    """Where the tests run pods."""

    settings: ClusterSettings
    environ: Mapping[str, str]
    namespace: str
    platforms: tuple[Platform, ...]

    __test__ = False

    @property
    def url(self) -> str:
        return f"kubernetes:///{self.namespace}"

    def request(self, owner: Owner, **more: object) -> EngineRequest:
        """To open the cluster with."""
        return EngineRequest(
            self.url,
            self.environ,
            owner,
            cluster=self.settings,
            send=self.send,
            **more,  # type: ignore[arg-type]
        )

    def send(self, name: ImageName, image: Image, store: ImageStore, log: LogLine) -> str:
        """As the pipeline does it."""
        with closing(open_repository(name, self.environ, push=True)) as repository:
            return push_tagged(repository, image, store, log)


@pytest.fixture(scope="session")
def test_cluster() -> TestCluster:
    """Of the environment's variables; without them these tests are skipped."""
    missing = [name for name in ("KUBECONFIG", REGISTRY) if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no cluster: {', '.join(missing)} not set; `make test-cluster` has one")
    emulated = os.environ.get(EMULATED, "").split()
    settings = ClusterSettings(
        registry=os.environ[REGISTRY],
        node_registry=os.environ.get(NODE_REGISTRY) or None,
        emulated=tuple(Platform(*each.split("/")) for each in emulated),
        helper_image=os.environ.get(HELPER_IMAGE) or ClusterSettings.helper_image,
    )
    platforms = os.environ.get(PLATFORMS, "linux/amd64").split()
    return TestCluster(
        settings, os.environ, "default", tuple(Platform(*each.split("/")) for each in platforms)
    )
