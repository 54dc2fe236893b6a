"""The fixtures of `clusters`, where the client library is installed; and who has the cluster."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("kubernetes") is not None:
    from tests.kubernetes.clusters import cluster_engine, run, test_cluster

    __all__ = ["cluster_engine", "run", "test_cluster"]


@pytest.fixture
def alone() -> None:
    """For a test that does something to nodes: no other one runs on the cluster meanwhile."""


@pytest.fixture(autouse=True)
def _has_the_cluster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who wants it alone stands at the door, so that nobody goes in past them."""
    kind = fcntl.LOCK_EX if "alone" in request.fixturenames else fcntl.LOCK_SH
    folder = Path(tempfile.gettempdir())
    names = (f"mlcontainer-tests-{name}.lock" for name in ("door", "cluster"))
    door, cluster = ((folder / name).open("a") for name in names)
    with door, cluster:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(cluster, kind)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
