"""The images in a new cluster's registry: the sandbox of pods, and a busybox to help tests."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from scripts.engine import registry
from scripts.engine.bases import platform
from scripts.engine.emulation import ARCHITECTURES, native

from .api import trusting
from .layout import LOOPBACK_REGISTRY, NODE_REGISTRY, Cluster

PAUSE_IMAGE = f"{NODE_REGISTRY}/pause:1"
HELPER_IMAGE = f"{NODE_REGISTRY}/helper:1"


def push_all(cluster: Cluster) -> None:
    """Push both into the registry.

    Raises:
        SetupError: the registry does not take them.
    """
    port, tls = cluster.ports[LOOPBACK_REGISTRY], trusting(cluster)
    with tempfile.TemporaryDirectory(dir=cluster.layout.base) as name:
        work = Path(name)
        pause = work / "pause"
        pause.mkdir()
        shutil.copy2(cluster.programs / "pause", pause / "pause")
        layer = registry.pack(pause, work / "pause.tar.gz")
        config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
        repository = registry.Repository(port, "pause", tls)
        entry = registry.push_image(repository, layer, platform(native()), config)
        registry.push_index(repository, [entry], ("1",))

        repository, entries = registry.Repository(port, "helper", tls), []
        for architecture in ARCHITECTURES:
            root = cluster.packages / architecture.debian
            layer = registry.pack(root, work / f"{architecture.debian}.tar.gz")
            config = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}
            entries.append(registry.push_image(repository, layer, platform(architecture), config))
        registry.push_index(repository, entries, ("1",))
