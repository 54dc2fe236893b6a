"""`docker` and `docker buildx` for people who set nothing but DOCKER_HOST."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .layout import Layout

DOCKER = Path("/usr/local/bin/docker")
BUILDX = Path("/usr/local/lib/docker/cli-plugins/docker-buildx")


def ensure(layout: Layout, state: dict[str, Any]) -> None:
    """Link what the machine lacks, and record what was made so that `down` takes just that."""
    if shutil.which("docker") is None:
        _link(DOCKER, layout.bin / "docker", state)
    if not _buildx_works():
        _link(BUILDX, layout.bin / "docker-buildx", state)


def _buildx_works() -> bool:
    docker = shutil.which("docker") or str(DOCKER)
    try:
        return subprocess.run((docker, "buildx", "version"), capture_output=True).returncode == 0
    except OSError:
        return False


def _link(path: Path, target: Path, state: dict[str, Any]) -> None:
    if path.is_symlink() and not path.exists():
        path.unlink()
    if path.exists():
        return
    made = [str(f) for f in reversed(path.parents) if not f.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    recorded = state.setdefault("links", {})
    recorded[str(path)] = str(target)
    state["folders"] = [*state.get("folders", ()), *made]


def remove(state: Mapping[str, Any]) -> None:
    """Remove the recorded links that still are ours, and folders made for them once empty."""
    for path, target in state.get("links", {}).items():
        link = Path(path)
        if link.is_symlink() and str(link.readlink()) == target:
            link.unlink()
    for folder in reversed(state.get("folders", ())):
        try:
            Path(folder).rmdir()
        except OSError:
            continue
