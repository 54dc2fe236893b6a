"""What every engine promises, held by a real cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines import Engine, EngineRequest
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.model import KeepPolicy, Owner
from pytest_mlcontainer.testing import EngineContract
from tests.kubernetes.clusters import TestCluster


class TestClusterEngine(EngineContract):
    base = "python:3.13-slim"

    @pytest.fixture(autouse=True)
    def _there(self, test_cluster: TestCluster) -> None:
        self._cluster = test_cluster

    def open(self, request: EngineRequest) -> Engine:
        return open_engine(request)

    def request(
        self,
        owner: Owner,
        keep: KeepPolicy = KeepPolicy.NONE,
        on_keep: Callable[[str], None] = lambda _id: None,
    ) -> EngineRequest:
        return self._cluster.request(owner, keep=keep, on_keep=on_keep)
