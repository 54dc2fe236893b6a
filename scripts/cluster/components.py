"""The processes of a cluster, as data: command lines, and how to see that each is of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts.engine.folders import write_whole
from scripts.engine.network import Network

from . import api
from .certificates import SERVICE_ACCOUNTS
from .layout import (
    LOOPBACK_REGISTRY,
    PREFERRED_PORTS,
    Addresses,
    Cluster,
    ClusterLayout,
    ClusterNode,
)

# A node is given up soon, so that tests of lost nodes are short; its kubelet reports in time.
NODE_GRACE = "12s"
KUBELET_PORT = 10250
_ROUTER_HEALTH_PORT = 20244


@dataclass(frozen=True)
class Component:
    """One process that runs as long as its cluster."""

    name: str
    command: tuple[str, ...]
    # An argument that no process has but those of this cluster: a path in its directory.
    mark: str
    is_ready: Callable[[], bool]
    # The node in whose namespaces it runs; None is this machine.
    node: ClusterNode | None = None
    limit_s: float = 60


def plan_components(cluster: Cluster) -> tuple[Component, ...]:
    """All of them, in the order in which they need each other."""
    nodes = cluster.nodes
    return (
        _etcd(cluster),
        _registry(cluster, "registry", cluster.addresses.host),
        _registry(cluster, LOOPBACK_REGISTRY, "127.0.0.1"),
        *(_containerd(cluster, node) for node in nodes),
        _apiserver(cluster),
        _controller_manager(cluster),
        _scheduler(cluster),
        *(_kubelet(cluster, node) for node in nodes),
        *(_router(cluster, node) for node in nodes),
    )


def _pair(cluster: Cluster, name: str) -> tuple[str, str]:
    """The paths of a certificate and its key."""
    folder = cluster.layout.certificates
    return str(folder / f"{name}.crt"), str(folder / f"{name}.key")


def _etcd(cluster: Cluster) -> Component:
    data = str(cluster.layout.base / "etcd")
    certificate, key = _pair(cluster, "etcd")
    clients, peers = cluster.url("etcd"), cluster.url("etcd-peers")
    authority = str(cluster.layout.authority)
    command = (
        *("etcd", "--name", "etcd", "--data-dir", data, "--unsafe-no-fsync"),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", f"etcd={peers}"),
        *("--cert-file", certificate, "--key-file", key),
        *("--trusted-ca-file", authority, "--client-cert-auth"),
        *("--peer-cert-file", certificate, "--peer-key-file", key),
        *("--peer-trusted-ca-file", authority, "--peer-client-cert-auth"),
    )
    ready = partial(api.is_well, cluster, "etcd", "/health", "etcd-client")
    return Component("etcd", command, data, ready)


def _apiserver(cluster: Cluster) -> Component:
    authority = str(cluster.layout.authority)
    certificate, key = _pair(cluster, "apiserver")
    etcd_certificate, etcd_key = _pair(cluster, "etcd-client")
    kubelet_certificate, kubelet_key = _pair(cluster, "apiserver-kubelet")
    accounts = cluster.layout.certificates / f"{SERVICE_ACCOUNTS}.key"
    command = (
        *("kube-apiserver", "--bind-address", cluster.addresses.host),
        *("--secure-port", str(cluster.ports["apiserver"])),
        *("--advertise-address", cluster.addresses.host),
        *("--service-cluster-ip-range", str(cluster.addresses.services)),
        *("--tls-cert-file", certificate, "--tls-private-key-file", key),
        *("--client-ca-file", authority, "--authorization-mode", "Node,RBAC"),
        *("--enable-admission-plugins", "NodeRestriction", "--allow-privileged"),
        # Tests have pods rewritten by policies of this kind.
        *("--feature-gates", "MutatingAdmissionPolicy=true"),
        *("--runtime-config", "admissionregistration.k8s.io/v1beta1=true"),
        *("--etcd-servers", cluster.url("etcd"), "--etcd-cafile", authority),
        *("--etcd-certfile", etcd_certificate, "--etcd-keyfile", etcd_key),
        *("--kubelet-certificate-authority", authority),
        *("--kubelet-client-certificate", kubelet_certificate),
        *("--kubelet-client-key", kubelet_key),
        *("--kubelet-preferred-address-types", "InternalIP"),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-signing-key-file", str(accounts)),
        *("--service-account-key-file", str(accounts.with_suffix(".pub"))),
    )
    ready = partial(api.is_well, cluster, "apiserver", "/readyz")
    return Component("apiserver", command, certificate, ready)


def _served(cluster: Cluster, name: str) -> tuple[str, ...]:
    """What the controller manager and the scheduler have in common."""
    certificate, key = _pair(cluster, name)
    own = str(cluster.layout.kubeconfig_of(name))
    return (
        *("--kubeconfig", own, "--authentication-kubeconfig", own),
        *("--authorization-kubeconfig", own, "--leader-elect=false"),
        *("--bind-address", cluster.addresses.host, "--secure-port", str(cluster.ports[name])),
        *("--tls-cert-file", certificate, "--tls-private-key-file", key),
    )


def _controller_manager(cluster: Cluster) -> Component:
    name = "controller-manager"
    accounts = cluster.layout.certificates / f"{SERVICE_ACCOUNTS}.key"
    command = (
        *("kube-controller-manager", *_served(cluster, name)),
        *("--root-ca-file", str(cluster.layout.authority), "--use-service-account-credentials"),
        *("--service-account-private-key-file", str(accounts)),
        *("--node-monitor-grace-period", NODE_GRACE, "--node-monitor-period", "2s"),
    )
    ready = partial(api.is_well, cluster, name, "/healthz")
    return Component(name, command, str(cluster.layout.kubeconfig_of(name)), ready)


def _scheduler(cluster: Cluster) -> Component:
    name = "scheduler"
    ready = partial(api.is_well, cluster, name, "/healthz")
    mark = str(cluster.layout.kubeconfig_of(name))
    return Component(name, ("kube-scheduler", *_served(cluster, name)), mark, ready)


def _registry(cluster: Cluster, name: str, address: str) -> Component:
    """One of two that serve the same images: to nodes, and to this machine."""
    config = str(cluster.layout.base / f"{name}.json")
    port = cluster.ports[name]
    return Component(
        name,
        ("docker-registry", "serve", config),
        config,
        partial(api.listens, address, port),
    )


def write_registry_configurations(cluster: Cluster) -> None:
    """Write what both registries are started with."""
    certificate, key = _pair(cluster, "registry")
    for name, address in (("registry", cluster.addresses.host), (LOOPBACK_REGISTRY, "127.0.0.1")):
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(cluster.layout.base / "images")},
                "delete": {"enabled": True},
            },
            "http": {
                "addr": f"{address}:{cluster.ports[name]}",
                "tls": {"certificate": certificate, "key": key},
            },
        }
        write_whole(cluster.layout.base / f"{name}.json", json.dumps(config, indent=1))


def _containerd(cluster: Cluster, node: ClusterNode) -> Component:
    config = str(cluster.folder(node) / "containerd.toml")
    ready = partial(api.listens_at, str(cluster.containerd_socket(node)))
    return Component(
        f"containerd-{node.name}", ("containerd", "--config", config), config, ready, node
    )


def _kubelet(cluster: Cluster, node: ClusterNode) -> Component:
    """Its node has the architecture that the kubelet was built for, whatever else says another."""
    emulated = node.number > 1
    program = "kubelet" + (f"-{node.architecture.debian}" if emulated else "")
    config = str(cluster.folder(node) / "kubelet.json")
    address = cluster.addresses.node(node.number)
    command = (
        *(str(cluster.programs / program), "--config", config),
        *("--kubeconfig", str(cluster.layout.kubeconfig_of(node.name))),
        *("--hostname-override", node.name, "--node-ip", address),
    )
    ready = partial(_node_is_ready, cluster, node)
    limit_s = 180 if emulated else 60
    return Component(f"kubelet-{node.name}", command, config, ready, node, limit_s)


def _node_is_ready(cluster: Cluster, node: ClusterNode) -> bool:
    """Whether its kubelet serves, and the API server has heard from it that it can run pods."""
    if not api.listens(cluster.addresses.node(node.number), KUBELET_PORT):
        return False
    status = api.read(cluster, f"/api/v1/nodes/{node.name}").get("status", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    return conditions.get("Ready") == "True"


def _router(cluster: Cluster, node: ClusterNode) -> Component:
    """Enforces network policies; pods reach each other by routes that the nodes have."""
    own = str(cluster.layout.kubeconfig_of("kube-router"))
    command = (
        *("kube-router", "--kubeconfig", own, "--hostname-override", node.name),
        *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false"),
        *("--run-loadbalancer=false", "--metrics-port", "0"),
        *("--service-cluster-ip-range", str(cluster.addresses.services)),
        *("--health-port", str(_ROUTER_HEALTH_PORT)),
    )
    address = cluster.addresses.node(node.number)
    ready = partial(api.listens, address, _ROUTER_HEALTH_PORT)
    return Component(f"kube-router-{node.name}", command, own, ready, node)


def marks(layout: ClusterLayout) -> frozenset[str]:
    """Arguments by which the processes of any cluster in this directory are known."""
    # Marks are paths: whatever the addresses and ports, they are the same.
    ports = dict.fromkeys((*PREFERRED_PORTS, LOOPBACK_REGISTRY), 0)
    cluster = Cluster(layout, Path(), Path(), Addresses(Network("10.0.0.0/16")), ports)
    return frozenset(component.mark for component in plan_components(cluster))
