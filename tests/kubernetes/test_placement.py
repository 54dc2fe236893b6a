"""Where a pod goes, when, and what it has there: as a project's settings say, on a real cluster."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.model import Limits
from tests.kubernetes.clusters import TestCluster, finish, private_folder, script_spec

pytestmark = pytest.mark.usefixtures("engine")


def test_a_claim_is_an_input(test_cluster: TestCluster, tmp_path: Path) -> None:
    """Read-only, where the program has it: here a folder that the private cluster's nodes have."""
    private_folder()
    (tmp_path / "given").write_text("numbers")
    name, api, space = f"tests-{uuid.uuid4().hex[:8]}", test_cluster.api, test_cluster.namespace
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        **common,
        "capacity": {"storage": "1Mi"},
        "hostPath": {"path": str(tmp_path), "type": "Directory"},
        "claimRef": {"namespace": space, "name": name},
    }
    claim = {**common, "resources": {"requests": {"storage": "1Mi"}}}
    api.post("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
    claims = f"/api/v1/namespaces/{space}/persistentvolumeclaims"
    api.post(claims, {"metadata": {"name": name}, "spec": claim})
    settings = replace(test_cluster.settings, claims=(("/data", name),))
    script = "[ $(cat /data/given) = numbers ] && ! touch /data/new 2>/dev/null"
    try:
        with (
            test_cluster.opened(settings) as engine,
            engine.container(script_spec(script, limits=Limits(network="bridge"))) as container,
        ):
            assert finish(container) == 0
    finally:
        api.remove(f"{claims}/{name}")
        api.remove(f"/api/v1/persistentvolumes/{name}")


def test_an_account_a_priority_and_a_queue_are_the_pods(test_cluster: TestCluster) -> None:
    """Admitted by the cluster, which knows the names; the account's token is given to nobody."""
    name, api = f"tests-{uuid.uuid4().hex[:8]}", test_cluster.api
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    api.post(classes, {"metadata": {"name": name}, "value": 7})
    accounts = f"/api/v1/namespaces/{test_cluster.namespace}/serviceaccounts"
    api.post(accounts, {"metadata": {"name": name}})
    settings = replace(
        test_cluster.settings, service_account=name, priority_class=name, queue="a-queue"
    )
    script = "! ls /var/run/secrets/kubernetes.io 2>/dev/null"
    try:
        with (
            test_cluster.opened(settings) as engine,
            engine.container(script_spec(script, limits=Limits(network="bridge"))) as container,
        ):
            assert finish(container) == 0
            spec = pod_of(test_cluster, container.id)["spec"]
            job = api.get("jobs", container.id)
    finally:
        api.remove(f"{accounts}/{name}")
        api.remove(f"{classes}/{name}")
    assert (spec["priority"], spec["serviceAccountName"]) == (7, name)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "a-queue"


def pod_of(cluster: TestCluster, job: str) -> dict[str, Any]:
    (pod,) = cluster.api.list("pods", f"batch.kubernetes.io/job-name={job}")["items"]
    return dict(pod)
