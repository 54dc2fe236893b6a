"""Setting up and removing the private engine, step by step; each step may have been done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import bases, daemons, emulation, links, network, processes, tools
from .folders import read_state, write_state
from .layout import Layout, store_from
from .problems import SetupError, say

OS_RELEASE = Path("/etc/os-release")
HOW_TO_GET_ONE = (
    "Start Docker Engine 23 or newer with buildx (https://docs.docker.com/engine/install/), or "
    "set DOCKER_HOST to one that runs elsewhere, then run this again."
)


@dataclass(frozen=True)
class Wish:
    """What was asked for by environment variables; None leaves it as it is."""

    store: str | None
    gpu_hook: bool | None


def wish_from(environ: Mapping[str, str]) -> Wish:
    """Read ENGINE_STORE and ENGINE_GPU_HOOK."""
    hook = environ.get("ENGINE_GPU_HOOK")
    if hook not in (None, "", "0", "1"):
        raise SetupError("Unknown ENGINE_GPU_HOOK", hook, "Use 1 or 0.")
    return Wish(store_from(environ), hook == "1" if hook else None)


def parse_os_release(text: str) -> dict[str, str]:
    """The fields of os-release."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def check_machine(why: str, os_release: Path = OS_RELEASE) -> str:
    """The release's code name, or an error that names everything that is in the way.

    `why` says why the engine that docker would use here does not do.
    """
    try:
        fields = parse_os_release(os_release.read_text())
    except OSError:
        fields = {}
    distribution = fields.get("ID", "unknown")
    missing = []
    if distribution not in ("debian", "ubuntu"):
        missing.append(f"Debian or Ubuntu (this is {fields.get('PRETTY_NAME', distribution)})")
    if os.geteuid() != 0:
        missing.append(f"root (this is user {os.geteuid()})")
    if missing:
        raise SetupError(
            "No working container engine, and a private one cannot be set up here",
            f"{why}; a private one needs {' and '.join(missing)}",
            HOW_TO_GET_ONE,
        )
    return fields.get("VERSION_CODENAME", "")


def is_up(layout: Layout) -> bool:
    """Whether the private engine's daemons run and dockerd answers."""
    state = read_state(layout)
    return processes.is_running(processes.daemon_from_json(state.get("dockerd"))) and (
        daemons.answers(layout.socket)
    )


def up(layout: Layout, codename: str, wish: Wish) -> None:
    """Bring the private engine up, doing only what is not there yet."""
    state = read_state(layout)
    tools.install(layout, codename)
    _emulate(layout, state)
    pool = _connect(layout, state)
    port = _registry(layout, state)
    _dockerd(layout, state, wish, pool, port)
    links.ensure(layout, state)
    write_state(layout, state)
    bases.ensure(layout, port, codename)
    say(f"engine ready: {state['store']} store, {layout.docker_host}")


def _emulate(layout: Layout, state: dict[str, Any]) -> None:
    """Register qemu for the other architecture, unless somebody else's entry serves."""
    other = emulation.foreign()
    if emulation.mount():
        state["mounted_binfmt"] = True
    if emulation.handler(other, own=layout.ident) is None:
        emulation.register(layout.ident, other, (layout.bin / other.qemu).resolve())
        say(f"registered emulation of linux/{other.debian}")
    write_state(layout, state)


def _connect(layout: Layout, state: dict[str, Any]) -> network.Network:
    """Make the bridge and the rules; returns our address range."""
    environ = tools.environ(layout)
    with network.one_at_a_time():
        pool = network.bridge_range(layout.ident, environ)
        if pool is None:
            if state.get("pool"):
                old = network.rules(network.Network(state["pool"]), layout.ident)
                network.remove_rules(old, environ)
            pool = network.free_range(network.taken_ranges(), int(layout.ident[4:], 16))
            network.make_bridge(layout.ident, network.bridge_network(pool), environ)
    state["pool"] = str(pool)
    if network.forward_packets():
        state["forwarding_was_off"] = True
    write_state(layout, state)
    network.add_rules(network.rules(pool, layout.ident), environ)
    return pool


def _registry(layout: Layout, state: dict[str, Any]) -> int:
    """Start the loopback registry if it does not run; returns its port."""
    daemon = processes.daemon_from_json(state.get("registry"))
    port = int(state.get("registry_port", 0))
    if processes.is_running(daemon) and daemons.registry_answers(port):
        return port
    processes.stop(daemon, 5)
    daemon, port = daemons.start_registry(layout, port)
    state.update(registry=daemon.as_json(), registry_port=port)
    write_state(layout, state)
    return port


def _dockerd(
    layout: Layout, state: dict[str, Any], wish: Wish, pool: network.Network, port: int
) -> None:
    """Start dockerd if it does not run as wished."""
    choice = daemons.Choice(
        wish.store or state.get("store") or "containerd",
        bool(state.get("gpu_hook")) if wish.gpu_hook is None else wish.gpu_hook,
    )
    config = daemons.configuration(layout, choice, pool, port)
    daemon = processes.daemon_from_json(state.get("dockerd"))
    same = state.get("config") == config and bool(state.get("gpu_hook")) == choice.gpu_hook
    if same and processes.is_running(daemon) and daemons.answers(layout.socket):
        return
    processes.stop(daemon, 30)
    daemon = daemons.start_dockerd(layout, config, choice.gpu_hook)
    state.update(
        dockerd=daemon.as_json(), config=config, store=choice.store, gpu_hook=choice.gpu_hook
    )
    write_state(layout, state)
    say(f"dockerd runs with the {choice.store} image store")


def down(layout: Layout) -> None:
    """Remove everything that `up` made, and nothing else."""
    if os.geteuid() != 0:
        raise SetupError(
            "Only root can remove the private engine",
            layout.base,
            "Run `make engine-down` as root.",
        )
    state = read_state(layout)
    processes.end_containers(layout.containerd_socket)
    processes.stop(processes.daemon_from_json(state.get("dockerd")), 30)
    daemons.clear_remains(layout)
    daemons.stop_registry(layout)
    _disconnect(layout, state)
    emulation.unregister(layout.ident)
    if state.get("mounted_binfmt"):
        emulation.unmount_if_unused()
    links.remove(state)
    for point in daemons.mounts_below(layout.base):
        subprocess.run(("umount", "-l", point), capture_output=True)
    daemons.remove_cgroups(layout.ident)
    daemons.remove_runtime_folders()
    daemons.remove_folder(layout.base)
    say(f"removed {layout.base}")


def _disconnect(layout: Layout, state: Mapping[str, Any]) -> None:
    environ = tools.environ(layout)
    if state.get("pool") and shutil.which("iptables", path=environ["PATH"]):
        ours = network.rules(network.Network(state["pool"]), layout.ident)
        network.remove_rules(ours, environ)
    if shutil.which("ip", path=environ["PATH"]):
        network.remove_bridge(layout.ident, environ)
    if state.get("forwarding_was_off") and not network.other_bridges():
        network.FORWARDING.write_text("0")


def describe(layout: Layout) -> tuple[str, ...]:
    """What is there of the private engine, line by line."""
    state = read_state(layout)
    if not state:
        return (f"private   none in {layout.base}",)
    other = emulation.foreign()
    return (
        f"private   {layout.docker_host} ({'up' if is_up(layout) else 'down'})",
        f"store     {state.get('store', '-')}",
        f"gpu hook  {'on' if state.get('gpu_hook') else 'off'}",
        f"registry  127.0.0.1:{state.get('registry_port', '-')}",
        f"network   {layout.ident} {state.get('pool', '-')}",
        f"emulation linux/{other.debian} by {emulation.handler(other) or 'nothing'}",
        f"images    {bases.describe(layout)}",
    )
