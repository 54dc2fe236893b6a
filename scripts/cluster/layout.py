"""Where everything of one private cluster lies, and by which addresses and ports it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.engine import emulation
from scripts.engine.folders import CLUSTER_PREFIX, StateFolder, chosen_base
from scripts.engine.network import Network

# How nodes name the registry. This machine has another name for it, as is usual.
NODE_REGISTRY = "registry.test:5000"
# The port of each component on the host's address of the cluster, if it is free there.
PREFERRED_PORTS = {
    "etcd": 2379,
    "etcd-peers": 2380,
    "apiserver": 6443,
    "controller-manager": 10257,
    "scheduler": 10259,
    "registry": 5000,
}
LOOPBACK_REGISTRY = "registry-loopback"


class ClusterLayout(StateFolder):
    """The paths and names of the private cluster in `base`."""

    variable = "CLUSTER_DIR"
    owner = "cluster"
    marker = "cluster.lock"
    prefix = CLUSTER_PREFIX
    longest_socket = "/node1/containerd.sock.ttrpc"

    @property
    def certificates(self) -> Path:
        return self.base / "certificates"

    @property
    def authority(self) -> Path:
        """The certificate by which all others are signed."""
        return self.certificates / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's."""
        return self.base / "kubeconfig"

    def kubeconfig_of(self, component: str) -> Path:
        return self.certificates / f"{component}.kubeconfig"


def layout_from(environ: Mapping[str, str]) -> ClusterLayout:
    """The cluster's directory: CLUSTER_DIR, or .cluster beside the scripts' folder."""
    return ClusterLayout(chosen_base(ClusterLayout, environ, ".cluster"))


@dataclass(frozen=True)
class Addresses:
    """How one private /16 is shared out."""

    pool: Network

    def _subnet(self, number: int) -> Network:
        return list(self.pool.subnets(new_prefix=24))[number]

    @property
    def nodes(self) -> Network:
        return self._subnet(0)

    @property
    def host(self) -> str:
        """This machine's address on the bridge: of the control plane and the registry."""
        return str(self.nodes[1])

    def node(self, number: int) -> str:
        return str(self.nodes[10 + number])

    def pods(self, number: int) -> Network:
        """The addresses of the pods of a node."""
        return self._subnet(number)

    @property
    def services(self) -> Network:
        return list(self.pool.subnets(new_prefix=20))[8]


@dataclass(frozen=True)
class ClusterNode:
    """One node: a network and a mount namespace of this machine."""

    number: int
    architecture: emulation.Architecture

    @property
    def name(self) -> str:
        return f"node{self.number}"


def plan_nodes() -> tuple[ClusterNode, ...]:
    """A node of this machine's architecture, and one whose kubelet is emulated.

    Tried on amd64 alone; an arm64 machine would emulate amd64's kubelet.
    """
    return (ClusterNode(1, emulation.native()), ClusterNode(2, emulation.foreign()))


@dataclass(frozen=True)
class Cluster:
    """A cluster whose programs, addresses and ports are settled."""

    layout: ClusterLayout
    # Kubernetes' own programs, and the folder into which packages were unpacked.
    programs: Path
    packages: Path
    addresses: Addresses
    ports: Mapping[str, int]

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        return plan_nodes()

    def folder(self, node: ClusterNode) -> Path:
        return self.layout.base / node.name

    def containerd_socket(self, node: ClusterNode) -> Path:
        return self.folder(node) / "containerd.sock"

    def url(self, component: str) -> str:
        return f"https://{self.addresses.host}:{self.ports[component]}"

    @property
    def host_registry(self) -> str:
        """How this machine names the registry."""
        return f"127.0.0.1:{self.ports[LOOPBACK_REGISTRY]}"

    def as_state(self) -> dict[str, Any]:
        """What `cluster_from_state` makes it of again."""
        return {
            "programs": str(self.programs),
            "packages": str(self.packages),
            "pool": str(self.addresses.pool),
            "ports": dict(self.ports),
        }


def cluster_from_state(layout: ClusterLayout, state: Mapping[str, Any]) -> Cluster | None:
    """The cluster that earlier runs recorded, or None where they did not come so far."""
    try:
        return Cluster(
            layout,
            Path(state["programs"]),
            Path(state["packages"]),
            Addresses(Network(state["pool"])),
            {name: int(state["ports"][name]) for name in (*PREFERRED_PORTS, LOOPBACK_REGISTRY)},
        )
    except (KeyError, TypeError, ValueError):
        return None
