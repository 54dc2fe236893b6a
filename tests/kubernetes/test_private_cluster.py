"""What tests rely on of the cluster that `scripts/cluster` sets up."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_NEEDED = ("KUBECONFIG", "KUBECTL", "HELPER_IMAGE", "REGISTRY", "NODE_REGISTRY", "REGISTRY_CA")
_PATIENCE_S = 120.0
_SERVE = "echo in > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"


@dataclass(frozen=True)
class PrivateCluster:
    """The cluster by its kubectl, in a namespace of one test."""

    variables: dict[str, str]
    namespace: str

    def kubectl(self, *arguments: str, given: object = None, kubeconfig: str = "") -> str:
        """What a command of kubectl prints; `given` is its input, as JSON."""
        done = self.try_kubectl(*arguments, given=given, kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_kubectl(
        self, *arguments: str, given: object = None, kubeconfig: str = ""
    ) -> subprocess.CompletedProcess[str]:
        command = (self.variables["KUBECTL"], "-n", self.namespace, *arguments)
        return subprocess.run(
            command,
            env={**os.environ, "KUBECONFIG": kubeconfig or self.variables["KUBECONFIG"]},
            input="" if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )

    def read(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def start(self, name: str, script: str, image: str = "", **spec: object) -> None:
        """Start a pod that runs a script of busybox's shell."""
        container = {
            "name": "program",
            "image": image or self.variables["HELPER_IMAGE"],
            "command": ["/bin/sh", "-c", script],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "containers": [container],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                **spec,
            },
        }
        self.kubectl("create", "-f", "-", given=pod)

    def phase(self, name: str) -> str:
        return str(self.read("pod", name)["status"]["phase"])

    def printed(self, name: str) -> str:
        """What a pod has printed when it has ended well."""
        wait_until(lambda: self.phase(name) in ("Succeeded", "Failed"))
        assert self.phase(name) == "Succeeded", self.kubectl("describe", "pod", name)
        return self.kubectl("logs", name)

    def serve(self, name: str, node: str) -> str:
        """Start a pod that serves HTTP; its address."""
        self.start(name, _SERVE, nodeName=node)
        wait_until(lambda: self.phase(name) == "Running")
        return str(self.read("pod", name)["status"]["podIP"])

    def reaches(self, name: str, address: str) -> bool:
        asked = ("exec", name, "--", "wget", "-T", "2", "-qO-", f"http://{address}:8080/")
        return self.try_kubectl(*asked).stdout == "in\n"


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, "waited for nothing"
        time.sleep(0.2)


@pytest.fixture
def cluster() -> Iterator[PrivateCluster]:
    """The cluster that `make cluster-up` made; skipped where there is none."""
    names = {name: name if name == "KUBECONFIG" else f"MLCONTAINER_TEST_{name}" for name in _NEEDED}
    missing = [name for name in names.values() if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no private cluster: {', '.join(missing)} not set; `make test-cluster`")
    variables = {name: os.environ[variable] for name, variable in names.items()}
    found = PrivateCluster(variables, f"test-{uuid.uuid4().hex[:12]}")
    found.kubectl("create", "namespace", found.namespace)
    # Its account is made a moment later, and pods are refused before that.
    wait_until(lambda: found.try_kubectl("get", "serviceaccount", "default").returncode == 0)
    yield found
    found.kubectl("delete", "namespace", found.namespace, "--wait=false")


def of_registry(cluster: PrivateCluster, path: str) -> Any:
    """What the registry has at a path, asked from this machine."""
    kind = "application/vnd.oci.image.index.v1+json"
    url = f"https://{cluster.variables['REGISTRY']}/v2/{path}"
    trusted = ssl.create_default_context(cafile=cluster.variables["REGISTRY_CA"])
    with urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
    ).open(urllib.request.Request(url, headers={"Accept": kind}), timeout=30) as answer:
        return json.load(answer)


def test_nodes_of_both_architectures_are_ready(cluster: PrivateCluster) -> None:
    nodes = {
        node["metadata"]["name"]: (
            node["status"]["nodeInfo"]["architecture"],
            node["metadata"]["labels"]["kubernetes.io/arch"],
        )
        for node in cluster.read("nodes")["items"]
    }
    assert set(nodes) == {"node1", "node2"}
    assert all(said == labelled for said, labelled in nodes.values())
    assert {said for said, _ in nodes.values()} == {"amd64", "arm64"}


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_pod_of_each_architecture_runs_where_the_scheduler_sends_it(
    architecture: str, cluster: PrivateCluster
) -> None:
    """By the digest of the platform's manifest: a runtime takes its own platform of an index."""
    entries = of_registry(cluster, "helper/manifests/1")["manifests"]
    (digest,) = (e["digest"] for e in entries if e["platform"]["architecture"] == architecture)
    image = f"{cluster.variables['NODE_REGISTRY']}/helper@{digest}"
    cluster.start("uname", "uname -m", image, nodeSelector={"kubernetes.io/arch": architecture})
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
    assert cluster.printed("uname").strip() == machine
    node = cluster.read("pod", "uname")["spec"]["nodeName"]
    assert cluster.read("node", node)["metadata"]["labels"]["kubernetes.io/arch"] == architecture


@pytest.mark.parametrize(("server", "client"), [("node1", "node2"), ("node2", "node1")])
def test_policies_are_enforced_on_both_nodes(
    server: str, client: str, cluster: PrivateCluster
) -> None:
    """Who may come in, by the labels of pods on another node; and who may go nowhere."""
    address = cluster.serve("server", server)
    for name in ("friend", "stranger"):
        cluster.serve(name, client)
        wait_until(lambda name=name: cluster.reaches(name, address))  # type: ignore[misc]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "friends"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
        },
    }
    cluster.kubectl("create", "-f", "-", given=policy)
    wait_until(lambda: not cluster.reaches("stranger", address))
    assert cluster.reaches("friend", address)
    policy["metadata"] = {"name": "nowhere"}
    policy["spec"] = {
        "podSelector": {"matchLabels": {"app": "friend"}},
        "policyTypes": ["Egress"],
    }
    cluster.kubectl("create", "-f", "-", given=policy)
    wait_until(lambda: not cluster.reaches("friend", address))


def test_the_level_of_a_namespace_is_enforced(cluster: PrivateCluster) -> None:
    """Pod Security: what is restricted refuses a pod that asks for more, in words."""
    level = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", cluster.namespace, level)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy"},
        "spec": {
            "containers": [
                {"name": "c", "image": "x.test/x:1", "securityContext": {"privileged": True}}
            ]
        },
    }
    done = cluster.try_kubectl("create", "-f", "-", given=pod)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr


def test_a_kubelet_lets_nobody_in_without_a_certificate(cluster: PrivateCluster) -> None:
    addresses = [
        each["address"]
        for node in cluster.read("nodes")["items"]
        for each in node["status"]["addresses"]
        if each["type"] == "InternalIP"
    ]
    assert len(addresses) == 2
    trusted = ssl.create_default_context(cafile=cluster.variables["REGISTRY_CA"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
    )
    for address in addresses:
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(f"https://{address}:10250/pods", timeout=30)
        assert refused.value.code == 401
        refused.value.close()


def test_a_node_may_change_itself_and_no_other(cluster: PrivateCluster) -> None:
    """NodeRestriction: what a kubelet holds is of no use against others."""
    folder = Path(cluster.variables["KUBECONFIG"]).parent / "certificates"
    own = str(folder / "node1.kubeconfig")
    name = f"test.example/{cluster.namespace}"
    cluster.kubectl("annotate", "node", "node1", f"{name}=1", kubeconfig=own)
    cluster.kubectl("annotate", "node", "node1", f"{name}-", kubeconfig=own)
    done = cluster.try_kubectl("annotate", "node", "node2", f"{name}=1", kubeconfig=own)
    assert done.returncode != 0
    assert "Forbidden" in done.stderr or "forbidden" in done.stderr
