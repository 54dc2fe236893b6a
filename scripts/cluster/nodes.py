"""Nodes on one machine: namespaces of their own, joined by a bridge, and their configurations.

A node's processes see the whole machine but for its network and for the few folders whose paths
kubelet, containerd and the plugins of the network have built in: these are the node's own, below
the cluster's directory. When the node's processes have ended the kernel takes away all mounts and
interfaces that they made.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts.engine import network, processes
from scripts.engine.folders import write_whole
from scripts.engine.problems import SetupError

from . import control_groups
from .components import KUBELET_PORT
from .images import PAUSE_IMAGE
from .layout import NODE_REGISTRY, Cluster, ClusterNode

# Paths that are built into the programs, and the folder of the node that each is.
OWN_FOLDERS = {
    Path("/var/lib/kubelet"): "kubelet",
    Path("/var/lib/cni"): "cni-state",
    Path("/var/log/containers"): "container-logs",
    Path("/run/netns"): "netns",
    Path("/run/containerd"): "containerd-run",
}
# A kubelet wants to hand mounts on to containerd, so inside of the node they are shared.
# A connection whose process was killed keeps a network namespace, with its interfaces, until the
# kernel gives up telling the other end, which may be gone: that is minutes unless it is told less.
_ENTER = """\
set -e
echo 1 > /proc/sys/net/ipv4/tcp_orphan_retries
mount --make-rshared /
while [ $# -gt 2 ]; do mount --bind "$1" "$2"; shift 2; done
exec "$1" "$2"
"""
# Without this capability a process cannot make itself, or a pod's sandbox, harder to kill.
_CAP_SYS_RESOURCE = 24


def interface(cluster: Cluster, node: ClusterNode) -> str:
    """The host's end of the node's cable; at most 15 characters."""
    return f"{cluster.layout.ident}-{node.number}"


def rules(cluster: Cluster) -> tuple[network.Rule, ...]:
    """Nodes may talk, also where the machine drops what it does not know; others may not enter.

    Without the latter a neighbour of this machine could reach the registry, which asks nobody
    for a password: the kernel takes packets for any address of its own on every interface.
    """
    pool = str(cluster.addresses.pool)
    ours = ("-m", "comment", "--comment", cluster.layout.ident)
    inside = ("-s", pool, "-d", pool, *ours, "-j", "ACCEPT")
    outside = ("!", "-s", pool, "-d", pool, *ours, "-j", "DROP")
    return tuple(
        ("filter", chain, *match) for chain in ("FORWARD", "INPUT") for match in (inside, outside)
    )


def start_holder(
    cluster: Cluster, node: ClusterNode, environ: Mapping[str, str]
) -> processes.Daemon:
    """Start the process that keeps a node's namespaces, and connect these to the bridge.

    Raises:
        SetupError: the kernel refuses; with what was said of it.
    """
    folder = cluster.folder(node)
    mounts: list[str] = []
    for path, name in OWN_FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        mounts += [str(folder / name), str(path)]
    pause = str(cluster.programs / "pause")
    command = ("unshare", "--net", "--mount", "--propagation", "private", "--")
    log = cluster.layout.logs / f"{node.name}.log"
    daemon = processes.start(
        (*command, "sh", "-c", _ENTER, "sh", *mounts, pause, str(folder)), environ, log
    )
    # It is the last of those programs when all mounts are there.
    program = Path(f"/proc/{daemon.pid}/cmdline")

    def has_namespaces() -> bool:
        return program.exists() and program.read_bytes().startswith(f"{pause}\0".encode())

    processes.wait_until(has_namespaces, daemon, log, f"The holder of {node.name}'s namespaces")
    _connect(cluster, node, daemon.pid, environ)
    return daemon


def entering(holder: processes.Daemon) -> tuple[str, ...]:
    """What a command line of the node begins with.

    Not `ip netns exec`: that mounts another /sys, in which the control groups are missing.
    """
    return ("nsenter", "--target", str(holder.pid), "--net", "--mount", "--")


def _connect(cluster: Cluster, node: ClusterNode, pid: int, environ: Mapping[str, str]) -> None:
    """Give the node an interface on the bridge, and routes to other nodes' pods and to the API;
    no way out."""
    addresses, bridge = cluster.addresses, cluster.layout.ident
    cable, inside = interface(cluster, node), ("nsenter", "--target", str(pid), "--net", "--")
    mtu = str(network.default_mtu())
    own = addresses.node(node.number)
    lines = [
        f"ip link add {cable} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {pid}",
        f"ip link set {cable} master {bridge} up",
    ]
    for line in lines:
        network.run(line.split(), environ)
    routes = [
        f"ip route add {addresses.pods(other.number)} via {addresses.node(other.number)}"
        for other in cluster.nodes
        if other != node
    ]
    api = f"{addresses.host}:{cluster.ports['apiserver']}"
    # What kube-proxy would do, for the one service that every cluster has.
    service = f"--destination {addresses.services[1]} --protocol tcp --dport 443"
    for line in (
        f"iptables -t nat -A PREROUTING {service} -j DNAT --to-destination {api}",
        "ip link set lo up",
        f"ip address add {own}/{addresses.nodes.prefixlen} dev eth0",
        "ip link set eth0 up",
        *routes,
    ):
        network.run((*inside, *line.split()), environ)
    network.run(f"ip route replace {addresses.pods(node.number)} via {own}".split(), environ)


def write_configurations(cluster: Cluster, node: ClusterNode) -> None:
    """Write what containerd, the network's plugins and the kubelet of a node are started with."""
    folder = cluster.folder(node)
    write_whole(folder / "containerd.toml", _containerd(cluster, node))
    write_whole(folder / "cni" / "10-pods.conflist", json.dumps(_pod_network(cluster, node)))
    registry = cluster.url("registry")
    hosts = (
        f'server = "{registry}"\nca = "{cluster.layout.authority}"\n'
        f'[host."{registry}"]\ncapabilities = ["pull", "resolve"]\n'
        f'ca = "{cluster.layout.authority}"\n'
    )
    write_whole(folder / "certs.d" / NODE_REGISTRY / "hosts.toml", hosts)
    write_whole(folder / "kubelet.json", json.dumps(_kubelet(cluster, node), indent=1))


def _pod_network(cluster: Cluster, node: ClusterNode) -> dict[str, object]:
    """Pods keep their addresses on the way to other nodes, or policies could not tell them."""
    subnet = str(cluster.addresses.pods(node.number))
    ipam = {
        "type": "host-local",
        "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "mtu": network.default_mtu(),
        "ipam": ipam,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def _containerd(cluster: Cluster, node: ClusterNode) -> str:
    """Its configuration; JSON's strings and truths are also TOML's."""
    folder, root = cluster.folder(node), cluster.packages / "root"
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    runc = f"{cri}.containerd.runtimes.runc"
    tables: dict[str, dict[str, object]] = {
        "grpc": {"address": str(cluster.containerd_socket(node))},
        cri: {"sandbox_image": PAUSE_IMAGE, "restrict_oom_score_adj": not _may_protect()},
        f"{cri}.registry": {"config_path": str(folder / "certs.d")},
        f"{cri}.cni": {"bin_dir": str(root / "usr/lib/cni"), "conf_dir": str(folder / "cni")},
        runc: {"runtime_type": "io.containerd.runc.v2"},
        f"{runc}.options": {"BinaryName": str(cluster.packages / "bin" / "runc")},
    }
    lines = [
        "version = 2",
        f"root = {json.dumps(str(folder / 'containerd'))}",
        f"state = {json.dumps(str(folder / 'containerd-state'))}",
        'disabled_plugins = ["io.containerd.internal.v1.tracing"]',
    ]
    for name, values in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _may_protect() -> bool:
    """Whether sandboxes can be made harder to kill than others when memory runs out."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (effective,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_RESOURCE & 1)


def _kubelet(cluster: Cluster, node: ClusterNode) -> dict[str, object]:
    certificates = cluster.layout.certificates
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": cluster.addresses.node(node.number),
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.layout.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates / f"{node.name}-serving.crt"),
        "tlsPrivateKeyFile": str(certificates / f"{node.name}-serving.key"),
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket(node)}",
        "podLogsDir": str(cluster.folder(node) / "pod-logs"),
        "volumePluginDir": str(cluster.folder(node) / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": control_groups.of_node(cluster.layout.ident, node.name),
        "failCgroupV1": False,
        "failSwapOn": False,
        # Four renewals before the controller manager gives the node up.
        "nodeLeaseDurationSeconds": 12,
        # A machine of a developer may be full; only the last bit of it counts here.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def import_sandbox_image(cluster: Cluster, node: ClusterNode, environ: Mapping[str, str]) -> None:
    """Have the sandbox's image on the node, so that pods start also while the registry is away.

    Raises:
        SetupError: containerd does not get it.
    """
    socket, hosts = cluster.containerd_socket(node), cluster.folder(node) / "certs.d"
    command = ("ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "pull")
    done = subprocess.run(
        (*command, "--hosts-dir", str(hosts), PAUSE_IMAGE),
        env=dict(environ),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SetupError(
            f"{node.name} does not get the sandbox's image from the cluster's registry",
            done.stderr.strip()[-500:],
            f"Logs: {cluster.layout.logs}",
        )
