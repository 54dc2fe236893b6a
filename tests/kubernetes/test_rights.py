"""The Role that doctor prints is enough, and each right of it is missed when it is not there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.given_files import readable_tar
from pytest_mlcontainer.engines.kubernetes.api import NotThereError
from pytest_mlcontainer.engines.kubernetes.diagnosis import describe_cluster
from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.engines.kubernetes.rights import (
    RIGHTS,
    ClusterFacts,
    Right,
    smallest_role,
)
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.secrets import Disclosed, Redactor, Value
from tests.kubernetes.clusters import TestCluster, finish, script_spec

_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


@pytest.fixture
def role(test_cluster: TestCluster) -> Iterator[dict[str, Any]]:
    """The Role, bound to a service account."""
    made: dict[str, Any] = yaml.safe_load(smallest_role(test_cluster.namespace))
    api, space = test_cluster.api, test_cluster.namespace
    api.post(f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": "tester"}})
    api.post(f"{_RBAC}/{space}/roles", made)
    subject = {"kind": "ServiceAccount", "name": "tester", "namespace": space}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mlcontainer"}
    binding = {"metadata": {"name": "tester"}, "subjects": [subject], "roleRef": reference}
    api.post(f"{_RBAC}/{space}/rolebindings", binding)
    yield made
    for path in (
        f"{_RBAC}/{space}/rolebindings/tester",
        f"{_RBAC}/{space}/roles/mlcontainer",
        f"/api/v1/namespaces/{space}/serviceaccounts/tester",
    ):
        with suppress(NotThereError):
            api.remove(path)


@pytest.fixture
def limited(test_cluster: TestCluster, role: dict[str, Any], tmp_path: Path) -> TestCluster:
    """The cluster for that service account alone."""
    return test_cluster.as_user({"token": test_cluster.token_of("tester")}, tmp_path)


def test_the_role_is_enough(limited: TestCluster, engine: docker.APIClient, tmp_path: Path) -> None:
    """For a run without a network, with inputs and secrets, and for a server."""
    hidden = Redactor((Value("TOKEN", b"s3cret-of-this-test"),))
    given = Disclosed((("TOKEN", "s3cret-of-this-test"),), hidden=hidden)
    with limited.opened() as cluster:
        spec = script_spec("echo done > /tmp/made", secrets=given)
        with cluster.container(spec) as container:
            container.put("/", [readable_tar((("/tmp/given", b"x"),))])
            assert finish(container) == 0
            assert container.get("/tmp/made") is not None
            container.write_logs(tmp_path / "out", tmp_path / "err")
        spec = script_spec("", entrypoint=("python3", "-m", "http.server", "8000"), command=())
        with cluster.launch("server", spec, 8000) as launched:
            launched.start()
            assert launched.url()
        assert cluster.leftovers((), ()) is not None
    facts = _facts(limited)
    assert facts.missing == ()
    assert facts.nodes is None, "a Role of one namespace does not list nodes"


def _facts(cluster: TestCluster) -> ClusterFacts:
    return describe_cluster("kubernetes://", cluster.environ, "nvidia.com/gpu")


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_a_right_that_is_missing_is_named(
    test_cluster: TestCluster, limited: TestCluster, role: dict[str, Any], right: Right
) -> None:
    rules = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if verb != right.verb]}
        if rule["resources"] == [right.resource]
        else rule
        for rule in role["rules"]
    ]
    path = f"{_RBAC}/{test_cluster.namespace}/roles/mlcontainer"
    test_cluster.api.remove(path)
    left = [rule for rule in rules if rule["verbs"]]
    test_cluster.api.post(path.rpartition("/")[0], {**role, "rules": left})
    deadline = time.monotonic() + 10.0
    # The API server learns of a Role's change a moment later.
    while (facts := _facts(limited)).missing != (right,) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert facts.missing == (right,)


@pytest.mark.usefixtures("engine")
def test_without_rights_a_run_says_which(limited: TestCluster, test_cluster: TestCluster) -> None:
    test_cluster.api.remove(f"{_RBAC}/{test_cluster.namespace}/rolebindings/tester")
    owner = current_owner(uuid.uuid4().hex)
    engine = ClusterEngine(limited.request(owner))
    try:
        with (
            pytest.raises(EngineError, match="a right is missing") as raised,
            engine.container(script_spec("true", limits=Limits(network="bridge"))),
        ):
            pass
    finally:
        engine.close()
        engine.disconnect()
    assert "jobs" in raised.value.value
    assert "doctor" in raised.value.remedy
