"""The fixtures of `clusters`, where the client library is installed."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("kubernetes") is not None:
    from tests.kubernetes.clusters import cluster_engine, run, test_cluster

    __all__ = ["cluster_engine", "run", "test_cluster"]
