"""What a real cluster refuses, ends or loses is named, and is no verdict about the project."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

pytest.importorskip("kubernetes")

from kubernetes.client import ApiClient

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.errors import EngineError, EngineLostError, GpuError, PlatformError
from pytest_mlcontainer.model import Limits, Platform
from tests.kubernetes.clusters import ARM64, TestCluster, finish, private_folder, script_spec
from tests.loopback_registry import Certificates, docker_config, running_registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _base(engine: docker.APIClient) -> None:
    """The base image, on the engine that sends it."""


def remove_pods(cluster: TestCluster, container: str) -> None:
    for pod in cluster.api.list("pods", f"batch.kubernetes.io/job-name={container}")["items"]:
        cluster.api.delete("pods", pod["metadata"]["name"], grace_s=1)


def fails(
    cluster: TestCluster, spec: ContainerSpec, kind: type[EngineError], **settings: Any
) -> EngineError:
    """The error of a pod that never runs."""
    changed = replace(cluster.settings, **{"pending_s": 6.0, **settings})
    with cluster.opened(changed) as engine, pytest.raises(kind) as raised:  # noqa: SIM117
        with engine.container(spec) as container:
            container.start()
    assert raised.value.remedy or isinstance(raised.value, EngineLostError)
    return raised.value


@contextmanager
def a_namespace(
    cluster: TestCluster, *things: tuple[str, Any], labels: dict[str, str] | None = None
) -> Iterator[TestCluster]:
    """The cluster by a namespace of a test's own, with what is in it by its kind."""
    name = f"mlcontainer-tests-{uuid.uuid4().hex[:8]}"
    about = {"name": name, "labels": labels or {}}
    cluster.api.post("/api/v1/namespaces", {"metadata": about})
    try:
        for kind, thing in things:
            cluster.api.post(f"/api/v1/namespaces/{name}/{kind}", thing)
        yield replace(cluster, namespace=name)
    finally:
        cluster.api.remove(f"/api/v1/namespaces/{name}")


def test_a_platform_without_a_node(test_cluster: TestCluster) -> None:
    settings = {"node_selector": (("kubernetes.io/arch", "s390x"),)}
    error = fails(test_cluster, script_spec("true"), PlatformError, **settings)
    assert "affinity/selector" in error.value


def test_more_memory_than_any_node_has(test_cluster: TestCluster) -> None:
    spec = script_spec("true", limits=Limits(memory_bytes=1 << 50))
    assert "has room" in fails(test_cluster, spec, EngineError).what


def test_a_gpu_where_there_is_none(test_cluster: TestCluster) -> None:
    spec = script_spec("true", limits=Limits(gpus="1"))
    fails(test_cluster, spec, GpuError, gpu_resource="example.com/gpu")


def test_a_helper_image_that_is_nowhere(test_cluster: TestCluster) -> None:
    nowhere = test_cluster.settings.helper_image.rpartition(":")[0] + ":none"
    error = fails(
        test_cluster,
        script_spec("true", limits=Limits(network="bridge")),
        EngineError,
        helper_image=nowhere,
        pending_s=90.0,
    )
    assert "does not find the image" in error.what
    assert "helper-image" in error.remedy


def test_a_pod_whose_helper_fails_is_told_before_its_time_is_over(
    test_cluster: TestCluster,
) -> None:
    other = [{"name": "prepare", "image": test_cluster.settings.helper_image, "command": ["/none"]}]
    template = json.dumps({"spec": {"initContainers": other}})
    spec = script_spec("true", limits=Limits(network="bridge"))
    error = fails(test_cluster, spec, EngineError, pod=template, pending_s=600.0)
    assert "does not start" in error.what
    assert "prepare: StartError" in error.value


def test_a_registry_that_is_not_named(test_cluster: TestCluster) -> None:
    error = fails(test_cluster, script_spec("true"), EngineError, registry=None)
    assert "registry = " in error.remedy


def test_a_namespace_that_is_not_there(test_cluster: TestCluster) -> None:
    with (
        test_cluster.opened(endpoint="kubernetes:///there-is-none") as engine,
        pytest.raises(EngineError, match="no such namespace"),
        engine.container(script_spec("true", limits=Limits(network="bridge"))),
    ):
        pass


def test_a_pod_that_somebody_removes_is_lost_and_no_verdict(
    test_cluster: TestCluster, cluster_engine: ClusterEngine
) -> None:
    with cluster_engine.container(script_spec("sleep 60")) as container:
        container.start()
        begun = time.monotonic()
        remove_pods(test_cluster, container.id)
        with pytest.raises(EngineLostError, match="removed"):
            container.wait(60.0)
        assert time.monotonic() - begun < 15.0


def test_a_job_that_a_queue_suspends_waits(test_cluster: TestCluster) -> None:
    """Longer than a pod may wait for its node: Kueue lets it go when there is room."""
    api, waits = test_cluster.api, replace(test_cluster.settings, pending_s=8.0)
    told: list[str] = []
    spec = script_spec("true", limits=Limits(network="bridge"), log=told.append)
    with test_cluster.opened(waits) as engine, engine.container(spec) as container:
        api.merge("jobs", container.id, {"spec": {"suspend": True}})
        selector = f"batch.kubernetes.io/job-name={container.id}"
        while api.list("pods", selector)["items"]:
            time.sleep(0.2)
        resumed = threading.Timer(
            14.0, api.merge, ("jobs", container.id, {"spec": {"suspend": False}})
        )
        resumed.start()
        assert finish(container) == 0
        resumed.join()
    assert any("suspended" in line for line in told)


def test_a_policy_that_admits_no_pod_is_told_in_its_words(test_cluster: TestCluster) -> None:
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    with a_namespace(test_cluster, labels=level) as strict:
        spec = script_spec("true", limits=Limits(network="bridge", user="0"))
        error = fails(strict, spec, EngineError, pending_s=60.0)
        assert "do not admit" in error.what
        assert "PodSecurity" in error.value
        assert "USER 1000" in error.remedy
        # One that is not root passes, network policy and all.
        with strict.opened() as engine:
            spec = script_spec("id -u", limits=Limits(user="1000:1000"))
            with engine.container(spec) as container:
                assert finish(container) == 0


QUOTAS = {
    # what it holds, of which words, and the remedy
    "memory": ("requests.memory", "64Mi", "exceeded quota", "ResourceQuota raised"),
    "limits": ("limits.cpu", "4", "must specify limits.cpu", "set memory and cpus"),
    "jobs": ("count/jobs.batch", "0", "exceeded quota", "ResourceQuota raised"),
}


@pytest.mark.parametrize("kind", QUOTAS)
def test_a_quota_is_named(test_cluster: TestCluster, kind: str) -> None:
    """Of pods, which the Job's events tell, and of Jobs, which the API refuses."""
    name, most, words, remedy = QUOTAS[kind]
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {name: most}}}
    with a_namespace(test_cluster, ("resourcequotas", quota)) as limited:
        path = f"/api/v1/namespaces/{limited.namespace}/resourcequotas/q"
        while "hard" not in test_cluster.api.read(path).get("status", {}):
            time.sleep(0.1)
        spec = script_spec("true", limits=Limits(network="bridge", memory_bytes=1 << 30))
        error = fails(limited, spec, EngineError, pending_s=60.0)
    assert words in error.value
    assert remedy in error.remedy


# What ends a run that has begun


def pod_name(cluster: TestCluster, container: str) -> str:
    listed = cluster.api.list("pods", f"batch.kubernetes.io/job-name={container}")["items"]
    return str(listed[0]["metadata"]["name"])


def test_a_pod_that_is_evicted_from_its_node_is_lost(
    test_cluster: TestCluster, cluster_engine: ClusterEngine
) -> None:
    """By the Eviction API, as `kubectl drain` does it."""
    with cluster_engine.container(script_spec("sleep 60")) as container:
        container.start()
        name = pod_name(test_cluster, container.id)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        path = f"/api/v1/namespaces/{test_cluster.namespace}/pods/{name}/eviction"
        test_cluster.api.post(path, eviction)
        with pytest.raises(EngineLostError) as raised:
            container.wait(60.0)
    assert "evicted from its node" in raised.value.what
    assert "drains" in raised.value.remedy


def test_a_program_past_its_disk_is_evicted(cluster_engine: ClusterEngine) -> None:
    """It did so itself, so that it is not run again."""
    spec = script_spec(
        "head -c 60000000 /dev/zero > /tmp/large; sleep 100", limits=Limits(disk_bytes=20_000_000)
    )
    with cluster_engine.container(spec) as container:
        container.start()
        with pytest.raises(EngineError) as raised:
            container.wait(90.0)
    assert "more to its disk than it may" in raised.value.what
    assert not isinstance(raised.value, EngineLostError)


@contextmanager
def patched_node(
    cluster: TestCluster, name: str, below: str, change: Any, back: Any
) -> Iterator[None]:
    """Something is another about a node, for a while."""
    patch(cluster, f"/api/v1/nodes/{name}{below}", change)
    try:
        yield
    finally:
        patch(cluster, f"/api/v1/nodes/{name}{below}", back)


def patch(cluster: TestCluster, path: str, change: Any) -> None:
    """As `kubectl patch --type=merge`, for whatever has a path."""
    url = f"{cluster.api.address.server}{path}"
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = ApiClient(cluster.api.configuration).call_api("PATCH", url, headers, change)
    assert answer.status == 200, answer.response.data


def test_a_pod_that_makes_room_for_another_is_lost(test_cluster: TestCluster) -> None:
    """A node's only slot, and a pod of a higher priority that wants it."""
    api, space = test_cluster.api, test_cluster.namespace
    resource = f"example.com/{uuid.uuid4().hex[:12]}"
    change = {"status": {"capacity": {resource: "1"}, "allocatable": {resource: "1"}}}
    back = {"status": {"capacity": {resource: None}, "allocatable": {resource: None}}}
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    api.post(classes, {"metadata": {"name": f"{space}-low"}, "value": 10})
    api.post(classes, {"metadata": {"name": f"{space}-high"}, "value": 1000})
    settings = replace(test_cluster.settings, priority_class=f"{space}-low", gpu_resource=resource)
    try:
        with (
            patched_node(test_cluster, "node1", "/status", change, back),
            test_cluster.opened(settings) as engine,
            engine.container(script_spec("sleep 60", limits=Limits(gpus="1"))) as container,
        ):
            container.start()
            other = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "high"},
                "spec": {
                    "priorityClassName": f"{space}-high",
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "c",
                            "image": test_cluster.settings.helper_image,
                            "command": ["/bin/busybox", "sleep", "60"],
                            "resources": {"limits": {resource: "1"}},
                        }
                    ],
                },
            }
            api.create("pods", other)
            try:
                with pytest.raises(EngineLostError) as raised:
                    container.wait(60.0)
            finally:
                api.delete("pods", "high", grace_s=0)
    finally:
        for name in ("low", "high"):
            api.remove(f"{classes}/{space}-{name}")
    assert "preempted" in raised.value.what
    assert "priority-class" in raised.value.remedy


def test_a_pod_past_the_clusters_deadline_is_named(test_cluster: TestCluster) -> None:
    settings = replace(test_cluster.settings, pod='{"spec": {"activeDeadlineSeconds": 6}}')
    spec = script_spec("sleep 60", limits=Limits(network="bridge"))
    with test_cluster.opened(settings) as engine, engine.container(spec) as container:
        container.start()
        with pytest.raises(EngineError) as raised:
            container.wait(60.0)
    assert "deadline" in raised.value.what
    assert not isinstance(raised.value, EngineLostError)


def test_a_namespace_that_is_being_deleted(test_cluster: TestCluster) -> None:
    """Something in it holds it, as it does where a controller is gone."""
    held = {"metadata": {"name": "held", "finalizers": ["example.com/never"]}}
    with a_namespace(test_cluster, ("configmaps", held)) as ending:
        path = f"/api/v1/namespaces/{ending.namespace}"
        try:
            test_cluster.api.remove(path)
            for network in ("none", "bridge"):
                spec = script_spec("true", limits=Limits(network=network))
                error = fails(ending, spec, EngineError)
                assert error.what == "the cluster's namespace is being deleted"
        finally:
            patch(test_cluster, f"{path}/configmaps/held", {"metadata": {"finalizers": None}})


def test_a_limit_range_is_named(test_cluster: TestCluster) -> None:
    limits = {
        "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "512Mi"}}]},
    }
    with a_namespace(test_cluster, ("limitranges", limits)) as limited:
        spec = script_spec("true", limits=Limits(network="bridge", memory_bytes=1 << 30))
        error = fails(limited, spec, EngineError, pending_s=60.0)
    assert "maximum memory usage per Container" in error.value
    assert "LimitRange" in error.remedy


def test_a_pod_of_a_node_that_is_lost_can_be_run_again(
    test_cluster: TestCluster, alone: None
) -> None:
    """Its kubelet is killed. A pod of its own says how long a node may be away."""
    keys = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    soon = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for key in keys
    ]
    settings = replace(test_cluster.settings, tolerations=json.dumps(soon))
    with (
        test_cluster.opened(settings) as engine,
        engine.container(script_spec("sleep 100")) as container,
    ):
        container.start()
        node = test_cluster.api.get("pods", pod_name(test_cluster, container.id))["spec"][
            "nodeName"
        ]
        part("stop", f"kubelet-{node}")
        try:
            with pytest.raises(EngineLostError) as raised:
                container.wait(90.0)
        finally:
            part("start", f"kubelet-{node}")
    assert "node is lost" in raised.value.what


def test_a_pod_goes_with_its_session_where_the_controllers_are_away(
    test_cluster: TestCluster, alone: None
) -> None:
    """What counts pods for their Job would hold them until one of those comes back."""
    with test_cluster.opened() as engine:
        try:
            with engine.container(script_spec("sleep 600")) as container:
                container.start()
                job = container.id
                part("stop", "controller-manager")
            engine.remove_session(keep_containers=False)
            selector, deadline = f"batch.kubernetes.io/job-name={job}", time.monotonic() + 15.0
            while (left := test_cluster.api.list("pods", selector)["items"]) and (
                time.monotonic() < deadline
            ):
                time.sleep(0.2)
        finally:
            part("start", "controller-manager")
    assert not left


def part(what: str, name: str) -> None:
    """Kill a part of the private cluster, or start it again."""
    environ = {**os.environ, "CLUSTER_DIR": str(private_folder())}
    command = (sys.executable, "scripts/cluster", what, name)
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)


@contextmanager
def registry_with_login(cluster: TestCluster, folder: Path) -> Iterator[str]:
    """The private cluster's images behind a password, where its nodes reach them."""
    private = private_folder()
    pair = (private / "certificates" / f"registry.{end}" for end in ("crt", "key"))
    tls = Certificates(private / "certificates" / "ca.crt", *pair)
    address = cluster.api.address.server.rpartition("//")[2].partition(":")[0]
    images = private / "images"
    with running_registry(folder, tls=tls, login=True, storage=images, address=address) as host:
        known = private / "node1" / "certs.d" / host
        known.mkdir()
        authority = f'ca = "{tls.authority}"\n'
        (known / "hosts.toml").write_text(f'[host."https://{host}"]\n{authority}')
        yield host
        shutil.rmtree(known)


def test_a_node_pulls_with_the_right_login_alone(test_cluster: TestCluster, tmp_path: Path) -> None:
    api, spec = test_cluster.api, script_spec("true", limits=Limits(network="bridge"))
    with registry_with_login(test_cluster, tmp_path) as host:
        own: dict[str, Any] = {"node_registry": f"{host}/tests", "pending_s": 60.0}
        error = fails(test_cluster, spec, EngineError, **own)
        assert "not allowed to pull the image" in error.what
        assert "pull-secrets" in error.remedy
        config = docker_config(tmp_path / "docker", host) / "config.json"
        secret = {
            "metadata": {"name": "login"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(config.read_bytes()).decode()},
        }
        api.create("secrets", secret)
        right = replace(test_cluster.settings, pull_secrets=("login",), **own)
        with test_cluster.opened(right) as engine, engine.container(spec) as container:
            assert finish(container) == 0


def test_a_taint_that_keeps_pods_away(test_cluster: TestCluster, alone: None) -> None:
    taint = {"key": "example.com/gpus", "value": "only", "effect": "NoSchedule"}
    with patched_node(
        test_cluster, "node2", "", {"spec": {"taints": [taint]}}, {"spec": {"taints": None}}
    ):
        spec = script_spec("true", ARM64, limits=Limits(network="bridge"))
        error = fails(test_cluster, spec, EngineError)
        assert "untolerated taint" in error.value
        assert "tolerations" in error.remedy
        own = replace(
            test_cluster.settings,
            tolerations=json.dumps([{"key": taint["key"], "operator": "Exists"}]),
        )
        with test_cluster.opened(own) as engine, engine.container(spec) as container:
            assert finish(container) == 0


def test_an_image_of_another_architecture(
    test_cluster: TestCluster, engine: docker.APIClient
) -> None:
    """On a node that is said to run it, and does not; its shell would read it as a script."""
    header = b"\x7fELF\2\2\1" + bytes(9) + struct.pack(">HHI", 2, 22, 1) + bytes(100)
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        for name, content in (("program", header), ("script", b"#!/program\necho it ran\n")):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            tar.addfile(entry, io.BytesIO(content))
    image, platform = f"tests-{uuid.uuid4().hex[:12]}", Platform("linux", "s390x")
    asked = {"fromSrc": "-", "repo": image, "tag": "1", "platform": str(platform)}
    create = f"{engine.base_url}/v{engine.api_version}/images/create"
    engine.post(create, data=files.getvalue(), params=asked).raise_for_status()
    amd64 = replace(test_cluster.settings, node_selector=(("kubernetes.io/arch", "amd64"),))
    try:
        with test_cluster.opened(amd64) as cluster:
            for program in ("/program", "/script"):
                spec = ContainerSpec(
                    f"{image}:1", platform, entrypoint=(program,), command=(),
                    limits=Limits(network="bridge"),
                )  # fmt: skip
                with (
                    cluster.container(spec) as container,
                    pytest.raises(PlatformError, match="cannot run linux/s390x"),
                ):
                    container.start()
    finally:
        engine.remove_image(f"{image}:1")
