"""Bringing a cluster up and down, whole or one process of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.engine import emulation, network, processes
from scripts.engine.daemons import mounts_below, remove_folder
from scripts.engine.folders import read_state, write_state
from scripts.engine.problems import SetupError, say

from . import (
    access,
    cache,
    certificates,
    control_groups,
    images,
    machine,
    nodes,
    packages,
    programs,
)
from .components import Component, marks, plan_components, write_registry_configurations
from .layout import (
    LOOPBACK_REGISTRY,
    PREFERRED_PORTS,
    Addresses,
    Cluster,
    ClusterLayout,
    ClusterNode,
    cluster_from_state,
    plan_nodes,
)

_KILL_S = 10
_FULL_BYTES = 32 << 20


class Starter:
    """Starts the processes of one cluster and records each as soon as it runs."""

    def __init__(self, cluster: Cluster, state: dict[str, Any]) -> None:
        self.cluster = cluster
        self.state = state
        self.environ = packages.program_path(cluster.packages, cluster.programs)
        self.components = {each.name: each for each in plan_components(cluster)}

    def daemon(self, name: str) -> processes.Daemon | None:
        """The recorded process of a component, or the holder of a node's namespaces."""
        return processes.daemon_from_json(self.state.get("daemons", {}).get(name))

    def runs(self, name: str) -> bool:
        return processes.is_running(self.daemon(name))

    def record(self, name: str, daemon: processes.Daemon) -> None:
        self.state.setdefault("daemons", {})[name] = daemon.as_json()
        write_state(self.cluster.layout, self.state)

    def start(self, *names: str) -> None:
        """Start components that do not run; `wait` says when they are of use."""
        for name in names:
            if self.runs(name):
                continue
            component = self.components[name]
            command = component.command
            if component.node is not None:
                command = (*nodes.entering(self._holder(component.node)), *command)
            self.record(name, processes.start(command, self.environ, self._log(name)))

    def wait(self, *names: str) -> None:
        """Wait until started components are of use.

        Raises:
            SetupError: one is not; with its last words.
        """
        for name in names:
            component, daemon = self.components[name], self.daemon(name)
            if daemon is not None:
                log, limit_s = self._log(name), component.limit_s
                processes.wait_until(component.is_ready, daemon, log, name, limit_s)

    def stop(self, name: str) -> None:
        """Kill one process as a crash would, and wait until it is gone."""
        kill(filter(None, (self.daemon(name),)))

    def _holder(self, node: ClusterNode) -> processes.Daemon:
        daemon = self.daemon(node.name)
        if daemon is None or not processes.is_running(daemon):
            raise SetupError(
                "The namespaces of a node are gone", node.name, "Run `make cluster-up` again."
            )
        return daemon

    def _log(self, name: str) -> Path:
        return self.cluster.layout.logs / f"{name}.log"


def kill(daemons: Iterable[processes.Daemon]) -> None:
    """Kill processes at once, and wait until all are gone."""
    running = [each for each in daemons if processes.is_running(each)]
    for each in running:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
    for each in running:
        processes.wait_gone(each, _KILL_S)


def starter(layout: ClusterLayout) -> Starter | None:
    """The cluster that is recorded as complete, or None."""
    state = read_state(layout)
    cluster = cluster_from_state(layout, state)
    return Starter(cluster, state) if cluster and state.get("complete") else None


def is_up(layout: ClusterLayout) -> bool:
    """Whether all processes of a complete cluster run and are of use."""
    known = starter(layout)
    return known is not None and all(
        known.runs(name) and component.is_ready() for name, component in known.components.items()
    )


def up(layout: ClusterLayout, environ: Mapping[str, str]) -> Cluster:
    """Bring the cluster up: as it was where only processes of it are missing, or else anew.

    Raises:
        SetupError: this machine cannot have one, or a part of it fails.
    """
    known = starter(layout)
    if known is not None and _has_namespaces(known) and is_current(known.cluster):
        for name in known.components:  # each when those that it needs are of use
            known.start(name)
            known.wait(name)
        return known.cluster
    root = cache.cache_root(environ)
    codename = machine.check_machine(environ, root)
    if any(path.name != layout.marker for path in layout.base.iterdir()):
        say("removing a cluster that is not whole, or of other versions")
    clear(layout, root)
    machine.check_room(layout.base)
    built = programs.ensure(root, environ)
    unpacked = packages.ensure(root, codename, environ)
    return _up_anew(layout, root, built, unpacked)


def is_anything_there(layout: ClusterLayout) -> bool:
    """Whether there is something to take down.

    A directory that was deleted by hand, or partly, below a running cluster is still ours: that
    cluster's bridge is named after it.
    """
    if network.has_bridge(layout.ident):
        layout.base.mkdir(parents=True, exist_ok=True)
        (layout.base / layout.marker).touch()
    return layout.base.exists()


def is_current(cluster: Cluster) -> bool:
    """Whether its programs are those that these scripts would build, and are still there."""
    are_there = cluster.programs.exists() and cluster.packages.exists()
    return are_there and cluster.programs.name == programs.folder_name()


def _has_namespaces(known: Starter) -> bool:
    bridge = network.has_bridge(known.cluster.layout.ident)
    return bridge and all(known.runs(node.name) for node in known.cluster.nodes)


def _up_anew(layout: ClusterLayout, root: Path, built: Path, unpacked: Path) -> Cluster:
    state: dict[str, Any] = {"cache": str(root)}
    write_state(layout, state)
    environ = packages.program_path(unpacked, built)
    _emulate(layout, state, unpacked)
    addresses = _connect(layout, environ)
    cluster = Cluster(layout, built, unpacked, addresses, _free_ports(addresses))
    state.update(cluster.as_state())
    write_state(layout, state)
    network.add_rules(nodes.rules(cluster), environ)
    control_groups.make(layout.ident, tuple(node.name for node in cluster.nodes))
    certificates.make_all(cluster, environ)
    write_registry_configurations(cluster)
    try:
        _start_all(Starter(cluster, state), root)
    except SetupError:
        # A full disk shows in no log, for these are on it as well.
        machine.check_room(layout.base, _FULL_BYTES)
        raise
    state["complete"] = True
    write_state(layout, state)
    say(f"cluster ready: {len(cluster.nodes)} nodes, {cluster.url('apiserver')}")
    return cluster


def _start_all(known: Starter, root: Path) -> None:
    """Start everything, each as early as it can be, for they take their time side by side."""
    cluster = known.cluster
    known.start("etcd", "registry", LOOPBACK_REGISTRY)
    with cache.mount_points(root, tuple(nodes.OWN_FOLDERS)):
        for node in cluster.nodes:
            nodes.write_configurations(cluster, node)
            known.record(node.name, nodes.start_holder(cluster, node, known.environ))
    runtimes = [f"containerd-{node.name}" for node in cluster.nodes]
    known.start(*runtimes)
    known.wait("etcd")
    known.start("apiserver")
    known.wait("registry", LOOPBACK_REGISTRY, *runtimes)
    images.push_all(cluster)
    for node in cluster.nodes:
        nodes.import_sandbox_image(cluster, node, known.environ)
    known.wait("apiserver")
    access.grant(cluster)
    kubelets = [f"kubelet-{node.name}" for node in cluster.nodes]
    known.start("controller-manager", "scheduler", *kubelets)
    known.wait("controller-manager", "scheduler", *kubelets)
    # They end where the API server does not know their node yet.
    routers = [f"kube-router-{node.name}" for node in cluster.nodes]
    known.start(*routers)
    known.wait(*routers)


def _emulate(layout: ClusterLayout, state: dict[str, Any], unpacked: Path) -> None:
    """Register qemu for the other architecture, unless an entry is there to stay."""
    other = emulation.foreign()
    if emulation.mount():
        state["mounted_binfmt"] = True
        write_state(layout, state)
    if emulation.handler(other, own=layout.ident) is None:
        emulation.register(layout.ident, other, packages.qemu(unpacked))
        say(f"registered emulation of linux/{other.debian}")


def _connect(layout: ClusterLayout, environ: Mapping[str, str]) -> Addresses:
    """Make the bridge on addresses that nobody uses."""
    with network.one_at_a_time():
        start = int(layout.ident.removeprefix(layout.prefix), 16)
        addresses = Addresses(network.free_range(network.taken_ranges(), start))
        network.make_bridge(layout.ident, addresses.nodes, environ)
    return addresses


def _free_ports(addresses: Addresses) -> dict[str, int]:
    ports = {
        name: network.free_port(port, addresses.host) for name, port in PREFERRED_PORTS.items()
    }
    return {**ports, LOOPBACK_REGISTRY: network.free_port(0)}


def down(layout: ClusterLayout, environ: Mapping[str, str]) -> None:
    """Remove everything that `up` made but the cache of programs, and nothing else.

    Raises:
        SetupError: this user may not.
    """
    if os.geteuid() != 0:
        raise SetupError(
            "Only root can remove the private cluster",
            layout.base,
            "Run `make cluster-down` as root.",
        )
    root = Path(read_state(layout).get("cache") or cache.cache_root(environ))
    clear(layout, root)
    remove_folder(layout.base)
    say(f"removed {layout.base}; what was built stays in {root} ({cache.size_mib(root)} MiB)")


def clear(layout: ClusterLayout, root: Path) -> None:
    """End all processes of a cluster, whole or not, and remove all but the directory's marker."""
    state = read_state(layout)
    cluster = cluster_from_state(layout, state)
    _end_processes(layout, state)
    control_groups.end_all(layout.ident)
    if cluster is not None:
        environ = packages.program_path(cluster.packages, cluster.programs)
        if shutil.which("iptables", path=environ["PATH"]):
            network.remove_rules(nodes.rules(cluster), environ)
    _remove_interfaces(layout.ident)
    emulation.unregister(layout.ident)
    if state.get("mounted_binfmt"):
        emulation.unmount_if_unused()
    for point in mounts_below(layout.base):
        subprocess.run(("umount", "-l", point), capture_output=True)
    cache.remove_mount_points(root, _other_clusters)
    for path in layout.base.iterdir():
        if path.name != layout.marker:
            remove_folder(path) if path.is_dir() else path.unlink()


def _end_processes(layout: ClusterLayout, state: Mapping[str, Any]) -> None:
    """Kill what is recorded, and what a run that was killed had no time to record."""
    recorded = map(processes.daemon_from_json, state.get("daemons", {}).values())
    holders = [str(layout.base / node.name) for node in plan_nodes()]
    kill((*filter(None, recorded), *processes.started_with(*marks(layout), *holders)))
    for node in plan_nodes():
        processes.end_orphans(layout.base / node.name / "containerd.sock")


def _remove_interfaces(ident: str) -> None:
    """Remove the nodes' cables and the bridge, with all routes; also without programs unpacked."""
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    for path in Path("/sys/class/net").glob(f"{ident}-*"):
        # One whose other end goes with its namespace may be gone by itself meanwhile.
        command = ("ip", "link", "delete", "dev", path.name)
        subprocess.run(command, env=environ, capture_output=True)
    network.remove_bridge(ident, environ)


def _other_clusters() -> bool:
    """Whether another cluster's bridge is there: its nodes use the same folders of the machine."""
    return any(Path("/sys/class/net").glob(f"{ClusterLayout.prefix}*/bridge"))


def component(known: Starter, name: str) -> Component:
    """A component by its name.

    Raises:
        SetupError: there is none of this name.
    """
    if name not in known.components:
        raise SetupError(
            "The cluster has no such part", name, f"Use one of: {', '.join(known.components)}."
        )
    return known.components[name]
