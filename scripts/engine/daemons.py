"""The daemons of the private engine: a loopback registry and dockerd."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from . import network, processes, tools
from .folders import write_whole
from .layout import Layout


@dataclass(frozen=True)
class Choice:
    """What may differ between two starts of the same private engine."""

    store: str
    gpu_hook: bool


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def answers(path: Path, timeout_s: float = 3) -> bool:
    """Whether a Docker engine listens on this socket."""
    connection = UnixConnection(str(path), timeout_s)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, ValueError):
        return False
    finally:
        connection.close()


def registry_answers(port: int) -> bool:
    """Whether a registry listens on this loopback port."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/v2/", timeout=3
        ) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def start_registry(layout: Layout, preferred_port: int) -> tuple[processes.Daemon, int]:
    """Start the registry; returns it and its port."""
    path = stop_registry(layout)
    port = network.free_port(preferred_port)
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(layout.registry_data)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    write_whole(path, json.dumps(config, indent=1))
    command = ("docker-registry", "serve", str(path))
    log = layout.logs / "registry.log"
    daemon = processes.start(command, tools.environ(layout), log)
    processes.wait_until(lambda: registry_answers(port), daemon, log, "The registry")
    return daemon, port


def stop_registry(layout: Layout) -> Path:
    """End the registry, whether or not it was recorded; the path of its configuration."""
    path = layout.base / "registry.json"
    for daemon in processes.running_with("docker-registry", str(path)):
        processes.stop(daemon, 5)
    return path


def configuration(
    layout: Layout, choice: Choice, pool: network.Network, port: int
) -> dict[str, Any]:
    """dockerd's configuration; everything lies below the engine's directory."""
    classic = {"storage-driver": "overlay2"} if choice.store == "overlay2" else {}
    mtu = network.default_mtu()
    return {
        **classic,
        "hosts": [layout.docker_host],
        "data-root": str(layout.data_root(choice.store)),
        "exec-root": str(layout.exec_root),
        "pidfile": str(layout.base / "docker.pid"),
        "bridge": layout.ident,
        "mtu": mtu,
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": str(mtu)}},
        "default-address-pools": [{"base": str(network.networks_pool(pool)), "size": 24}],
        "iptables": False,
        "ip6tables": False,
        "cgroup-parent": f"/{layout.ident}",
        # Devices by name (CDI) need no vendor's runtime: a test describes one here.
        "features": {"containerd-snapshotter": choice.store == "containerd", "cdi": True},
        "cdi-spec-dirs": [str(layout.cdi)],
        "registry-mirrors": [f"http://127.0.0.1:{port}"],
        "shutdown-timeout": 5,
        "log-level": "warn",
    }


def start_dockerd(layout: Layout, config: dict[str, Any], gpu_hook: bool) -> processes.Daemon:
    """Start dockerd, after clearing what one that was killed left behind."""
    clear_remains(layout)
    layout.cdi.mkdir(parents=True, exist_ok=True)
    path = layout.base / "daemon.json"
    write_whole(path, json.dumps(config, indent=1, sort_keys=True))
    environ = tools.environ(layout)
    if gpu_hook:
        environ["PATH"] = f"{_gpu_hook(layout)}:{environ['PATH']}"
    log = layout.logs / "dockerd.log"
    command = ("dockerd", "--config-file", str(path))
    daemon = processes.start(command, environ, log)
    processes.wait_until(lambda: answers(layout.socket), daemon, log, "dockerd")
    return daemon


def clear_remains(layout: Layout) -> None:
    """End what an earlier dockerd left, whether or not it was recorded, and remove its files."""
    containerd_config = layout.exec_root / "containerd" / "containerd.toml"
    for program, config, wait_s in (
        ("dockerd", layout.base / "daemon.json", 30),
        ("containerd", containerd_config, 5),
    ):
        for daemon in processes.running_with(program, str(config)):
            processes.stop(daemon, wait_s)
    processes.end_orphans(layout.containerd_socket)
    for path in (layout.socket, layout.base / "docker.pid", layout.containerd_socket):
        path.unlink(missing_ok=True)
    for path in (layout.exec_root / "containerd").glob("*.pid"):
        path.unlink()


def _gpu_hook(layout: Layout) -> Path:
    """A folder with the hook whose presence makes dockerd pass GPU requests on; it does nothing."""
    hook = layout.base / "gpu-hook" / "nvidia-container-runtime-hook"
    write_whole(hook, "#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    return hook.parent


def mounts_below(folder: Path) -> tuple[str, ...]:
    """Mount points below a folder, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = (line.split()[4].replace("\\040", " ") for line in lines)
    return tuple(sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True))


def remove_cgroups(ident: str) -> None:
    """Remove the control groups that containers were put into; only empty ones can go."""
    root = Path("/sys/fs/cgroup")
    for top in (*root.glob(ident), *root.glob(f"*/{ident}")):
        for folder in sorted(top.glob("**/"), reverse=True):
            try:
                folder.rmdir()
            except OSError:
                continue


def remove_runtime_folders() -> None:
    """Remove the empty folders that dockerd and containerd make below /run, if none runs."""
    if processes.program_runs("dockerd") or processes.program_runs("containerd"):
        return
    for name in ("containerd/s", "containerd", "docker/plugins", "docker"):
        with contextlib.suppress(OSError):
            (Path("/run") / name).rmdir()


def remove_folder(folder: Path) -> None:
    """Delete a folder whatever is in it."""
    shutil.rmtree(folder, ignore_errors=True)
