"""A cluster whose policies rewrite pods: told, and refused where another program would run."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.kubernetes.api import NotThereError
from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits
from tests.kubernetes.clusters import TestCluster, finish, script_spec

_POLICIES = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolic"
pytestmark = pytest.mark.usefixtures("engine")


def patch(operation: str, path: str, value: object) -> str:
    """A policy's expression: of Google's Common Expression Language, which JSON is part of."""
    written = json.dumps(value)
    if isinstance(value, dict):
        fields = ", ".join(f"{key}: {json.dumps(each)}" for key, each in value.items())
        written = f"Object.spec.{path.partition('/')[0]}{{{fields}}}"
    return f'[JSONPatch{{op: "{operation}", path: "/spec/{path}", value: {written}}}]'


@contextmanager
def rewriting(cluster: TestCluster, expression: str) -> Iterator[None]:
    """Pods of the test's namespace are changed as an expression says."""
    name = f"mlcontainer-tests-{uuid.uuid4().hex[:8]}"
    created = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    own = {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}
    rules = {"resourceRules": [{**created, "resources": ["pods"]}], "namespaceSelector": own}
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    policy = {
        "matchConstraints": rules,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [mutation],
    }
    about = {"metadata": {"name": name}}
    try:
        cluster.api.post(f"{_POLICIES}ies", {**about, "spec": policy})
    except NotThereError:
        pytest.skip("the cluster has no MutatingAdmissionPolicy; that of `make cluster-up` does")
    cluster.api.post(f"{_POLICIES}ybindings", {**about, "spec": {"policyName": name}})
    try:
        wait_until_pods_are(cluster, changed=True)
        yield
    finally:
        cluster.api.remove(f"{_POLICIES}ybindings/{name}")
        cluster.api.remove(f"{_POLICIES}ies/{name}")
        wait_until_pods_are(cluster, changed=False)


def wait_until_pods_are(cluster: TestCluster, *, changed: bool) -> None:
    """The API server hears of a policy, and of its end, a moment later."""
    container = {
        "name": "c",
        "image": "i.example/i:1",
        "env": [{"name": "A", "value": "1"}],
        "securityContext": {"runAsNonRoot": True},
    }
    first = {"name": "f", "image": "i.example/i:1"}
    tried = {"containers": [container], "initContainers": [first]}
    pod = {"metadata": {"name": "tried"}, "spec": tried}
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"

    def made() -> Any:
        """As it would be."""
        spec = cluster.api.post(f"{path}?dryRun=All", pod)["spec"]
        found = [[each.get(key) for key in container] for each in spec["containers"]]
        return found, len(spec["initContainers"])

    deadline = time.monotonic() + 60.0
    while (made() != ([[*container.values()]], 1)) != changed:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_container_that_is_added_is_told(test_cluster: TestCluster) -> None:
    beside = {
        "name": "beside",
        "image": test_cluster.settings.helper_image,
        "command": ["/bin/busybox", "sleep", "600"],
    }
    assert told_of(test_cluster, patch("add", "containers/-", beside)) == {
        "container beside was added"
    }


def test_a_security_context_that_is_changed_is_told(test_cluster: TestCluster) -> None:
    expression = patch("add", "containers/0/securityContext/runAsUser", 1234)
    said = told_of(test_cluster, expression, "[ $(id -u) = 1234 ]")
    assert said == {"runAsUser of securityContext of program: 1234, and not None"}


def told_of(cluster: TestCluster, expression: str, script: str = "true") -> set[str]:
    """What is said of a pod that is changed and runs a script nevertheless."""
    told: list[str] = []
    spec = script_spec(script, limits=Limits(network="bridge"), log=told.append)
    with (
        rewriting(cluster, expression),
        cluster.opened() as engine,
        engine.container(spec) as container,
    ):
        assert finish(container) == 0
    begin = "the cluster has changed the pod: "
    return {line.removeprefix(begin) for line in told if line.startswith(begin)}


@pytest.mark.parametrize("what", ["image", "variable"])
def test_another_program_is_no_run_of_the_project(test_cluster: TestCluster, what: str) -> None:
    changes = {
        "image": patch("replace", "containers/0/image", test_cluster.settings.helper_image),
        "variable": patch("replace", "containers/0/env/0/value", "other"),
    }
    error = refused(test_cluster, changes[what])
    assert "something else in the pod than the project's program" in error.what
    said = {"image": f"image {test_cluster.settings.helper_image}", "variable": "value of GIVEN"}
    assert said[what] in error.value
    assert "except the namespace" in error.remedy


def test_a_container_that_is_added_and_does_not_run_is_named(test_cluster: TestCluster) -> None:
    """It is not the image of the project that cannot be pulled."""
    nowhere = test_cluster.settings.helper_image.rpartition(":")[0] + ":none"
    error = refused(
        test_cluster, patch("add", "initContainers/0", {"name": "beside", "image": nowhere})
    )
    assert "that the cluster has added" in error.what
    assert "beside: ImagePullBackOff" in error.value


def refused(cluster: TestCluster, expression: str) -> EngineError:
    """Why a pod that is changed does not run."""
    spec = script_spec("true", limits=Limits(network="bridge"), env=(("GIVEN", "1"),))
    with (
        rewriting(cluster, expression),
        cluster.opened() as engine,
        pytest.raises(EngineError) as raised,
    ):
        run(engine, spec)
    return raised.value


def run(engine: ClusterEngine, spec: ContainerSpec) -> None:
    with engine.container(spec) as container:
        container.start()
