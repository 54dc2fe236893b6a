"""What a container may do and use: as little as its project says it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.seccomp import ALLOWS_PERSONALITY
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits

_SOCKET = "/var/run/docker.sock"
_CONFINED_TMP_BYTES = 1 << 30
_CONFINED_PROCESSES = 1024  # threads count, and libraries start one for each core
_CONFINED_LOG_BYTES = 1 << 20
_LOG_FILES = 2  # the engine begins a new one when one is full, and removes the oldest


def isolation(spec: ContainerSpec) -> dict[str, Any]:
    """The options of docker-py for it, by name; see `ContainerSpec` and `Limits`."""
    limits = limits_of(spec)
    security = [] if limits.new_privileges else ["no-new-privileges"]
    if spec.personality and not limits.privileged:
        security.append(f"seccomp={ALLOWS_PERSONALITY}")
    log = {"max-size": str(limits.log_bytes), "max-file": str(_LOG_FILES)}
    found: dict[str, Any] = {
        "cap_drop": ["ALL"],
        "cap_add": list(limits.capabilities),
        "security_opt": security,
        "privileged": limits.privileged,
        "pids_limit": limits.processes,
        # With swap on top, a run past its memory would be slow for hours instead of ending.
        "memswap_limit": limits.memory_bytes,
        # Named, because an engine's own default may have no limit.
        "log_config": LogConfig(type=LogConfig.types.JSON, config=log),
    }
    if spec.nofile is not None:
        found["ulimits"] = [Ulimit(name="nofile", soft=spec.nofile, hard=spec.nofile)]
    if spec.confined:
        size = f"size={_CONFINED_TMP_BYTES},"
        found |= {"read_only": True, "tmpfs": {"/tmp": f"{size}mode=1777"}}
    elif spec.read_only:
        found |= {"read_only": True, "tmpfs": {"/tmp": "mode=1777"}}
    return found


def limits_of(spec: ContainerSpec) -> Limits:
    """Its limits; of a confined container, whatever its project was allowed."""
    if not spec.confined:
        return spec.limits
    return replace(
        spec.limits,
        processes=_CONFINED_PROCESSES,
        log_bytes=_CONFINED_LOG_BYTES,
        capabilities=(),
        new_privileges=False,
        privileged=False,
        engine_socket=False,
    )


def socket_mounts(spec: ContainerSpec, address: str) -> list[Mount]:
    """The engine's socket, for a container whose project asks for it in so many words.

    Args:
        address: the engine's.

    Raises:
        EngineError: the engine has no socket on its own machine that is known here.
    """
    if not limits_of(spec).engine_socket:
        return []
    scheme, separator, path = address.partition("://")
    if separator and scheme not in ("unix", "http+unix"):
        raise EngineError(
            "engine-socket needs an engine with a unix socket on this machine",
            address,
            "remove engine-socket = true, or run this with a local engine",
        )
    return [Mount(_SOCKET, path if separator else _SOCKET, type="bind")]
