"""Looking for an engine that already works: then nothing needs to be set up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from . import emulation

DEFAULT_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Endpoint:
    """An engine that works, and what a person should know about it."""

    url: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absence:
    """Why there is no engine to use."""

    why: str


def find_endpoint(environ: Mapping[str, str]) -> Endpoint | Absence:
    """The engine that docker itself would use here, if it answers and can build."""
    docker = shutil.which("docker")
    if docker is None:
        return Absence("there is no docker command")
    url = environ.get("DOCKER_HOST") or _context_url(docker) or DEFAULT_SOCKET
    server = _server(docker, url)
    if server is None:
        return Absence(f"no engine answers at {url}")
    if not _has_buildx(docker):
        return Absence(f"the engine at {url} answers, but `docker buildx` is not installed")
    return Endpoint(url, _missing_emulation(url, server))


def _has_buildx(docker: str) -> bool:
    done = subprocess.run((docker, "buildx", "version"), capture_output=True)
    return done.returncode == 0


def _context_url(docker: str) -> str:
    """Where the chosen docker context points; empty when that cannot be told."""
    template = "{{.Endpoints.docker.Host}}"
    done = subprocess.run(
        (docker, "context", "inspect", "--format", template), capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _server(docker: str, url: str) -> str | None:
    """The architecture of the engine at `url`, or None when it does not answer in time."""
    command = (docker, "version", "--format", "{{json .Server.Arch}}")
    environ = {**os.environ, "DOCKER_HOST": url}
    environ.pop("DOCKER_CONTEXT", None)
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=10)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    try:
        return str(json.loads(done.stdout))
    except ValueError:
        return ""


def _missing_emulation(url: str, server: str) -> tuple[str, ...]:
    """A note when an engine on this machine cannot run the other platform."""
    if not url.startswith("unix://") or sys.platform != "linux":
        return ()
    other = emulation.foreign()
    if server == other.debian or emulation.handler(other) is not None:
        return ()
    return (
        f"linux/{other.debian} is not emulated on this machine: install qemu-user-static and "
        f"binfmt-support, or run `docker run --privileged --rm tonistiigi/binfmt "
        f"--install {other.debian}`",
    )
