"""A container with an image's default command: started, watched until it is ready, and stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.engines import (
    Container,
    ContainerHealth,
    ContainerSpec,
    Engine,
    Exit,
    FirstProcess,
    HealthState,
    ObservedContainer,
)
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.image_checks.start.declared import DeclaredStart
from pytest_mlcontainer.model import Image

STEADY_S: Final = 5.0
"""For which a command has to run where nothing else says that it is up."""

_POLL_S: Final = 0.25
_GRACE_S: Final = 30.0  # beyond a health check's own limits, for a busy engine
_SILENT_S: Final = 15.0  # after which an engine that says nothing of a health check has none
_ENDING_S: Final = 20.0
_LISTENING: Final = "0A"
_LOOPBACK_4: Final = "7F"  # the last byte comes first
_LOOPBACK_6: Final = ("00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


@dataclass(frozen=True)
class Listener:
    """A TCP socket that waits for connections; `loopback` for those of its own machine alone."""

    port: int
    loopback: bool


@dataclass(frozen=True)
class Observed:
    """What was seen of one start.

    Args:
        refused: why it did not start; None where it did.
        ended: how it ended by itself; None where it was still running.
        ran_s: until it ended, or was ready, or its time was up.
        ready: it was up in time, as far as that can be told.
        listeners: None where that cannot be told.
        user: number of the user of its first process; None where that cannot be told.
        stopped: how it ended when it was asked to; None where it had ended before.
        stop_s: how long that took.
        words: the last that it printed.
        written: paths of its own file system that it made or changed.
    """

    refused: RunError | None = None
    ended: Exit | None = None
    ran_s: float = 0.0
    ready: bool = False
    listeners: tuple[Listener, ...] | None = None
    health: ContainerHealth | None = None
    first: FirstProcess | None = None
    user: int | None = None
    stopped: Exit | None = None
    stop_s: float = 0.0
    words: str = ""
    written: tuple[str, ...] = ()


def observe(
    engine: Engine, spec: ContainerSpec, image: Image, declared: DeclaredStart, *, stops: bool
) -> Observed:
    """Start it, and see how it goes.

    Args:
        stops: it is asked to end once it is up.

    Raises:
        EngineError: the engine goes away or does not answer.
    """
    with engine.container(spec) as container:
        try:
            container.start()
        except RunError as error:
            return Observed(refused=error)
        return _watch(container, image, declared, stops=stops)


def _watch(container: Container, image: Image, declared: DeclaredStart, *, stops: bool) -> Observed:
    began = time.monotonic()
    ended, ready, health = _await(container, image, declared)
    ran_s = time.monotonic() - began
    first = container.first_process() if isinstance(container, ObservedContainer) else None
    listeners = None if ended else _listeners(container, declared.network)
    user = None if ended else _user(container, first)
    stopped, stop_s = None, 0.0
    if ended is None and stops and ready:
        began = time.monotonic()
        container.kill(math.ceil(declared.stop_timeout_s))
        stopped = container.wait(_ENDING_S)
        stop_s = time.monotonic() - began
    return Observed(
        ended=ended,
        ran_s=ran_s,
        ready=ready,
        listeners=listeners,
        health=health,
        first=first,
        user=user,
        stopped=stopped,
        stop_s=stop_s,
        words=container.recent_words(),
        written=container.written_paths() if isinstance(container, ObservedContainer) else (),
    )


def _await(
    container: Container, image: Image, declared: DeclaredStart
) -> tuple[Exit | None, bool, ContainerHealth | None]:
    """How it ended, whether it is ready, and what its health was at the last look."""
    if not declared.serves:
        ended = container.wait(declared.timeout_s)
        return ended, ended is not None, None
    began = time.monotonic()
    up_s, healthy_s = declared.timeout_s, image.health_limit_s + _GRACE_S
    health: ContainerHealth | None = None
    while True:
        ended = container.wait(_POLL_S)
        health = _health(container, image) or health
        if ended is not None:
            return ended, False, health
        since_s = time.monotonic() - began
        up = _is_up(container, declared, since_s)
        if up and not _is_undecided(image, health, since_s):
            well = health is None or health.state is HealthState.HEALTHY
            return None, well, health
        waits = since_s < up_s if not up else since_s < healthy_s
        if not waits:
            return None, False, health


def _is_undecided(image: Image, health: ContainerHealth | None, since_s: float) -> bool:
    """Whether a health check may still turn healthy; a busy engine begins with it a little late."""
    if health is None:
        return bool(image.health) and since_s < _SILENT_S
    return health.state is HealthState.STARTING


def _health(container: Container, image: Image) -> ContainerHealth | None:
    if not image.health or not isinstance(container, ObservedContainer):
        return None
    return container.health()


def _is_up(container: Container, declared: DeclaredStart, since_s: float) -> bool:
    listeners = None
    if declared.port is not None:
        listeners = _listeners(container, declared.network)
    if listeners is None:
        return since_s >= min(STEADY_S, declared.timeout_s)
    return any(each.port == declared.port and not each.loopback for each in listeners)


def _listeners(container: Container, network: str) -> tuple[Listener, ...] | None:
    """Those of the container's own network; None where it has none of its own."""
    if not isinstance(container, ObservedContainer) or network.startswith(("host", "container:")):
        return None
    tables = [container.read_text(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    if tables[0] is None:
        return None
    return tuple(dict.fromkeys(each for table in tables for each in parse_listeners(table or "")))


def parse_listeners(table: str) -> Iterator[Listener]:
    """From `/proc/net/tcp` or `/proc/net/tcp6`."""
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 3 and columns[3] == _LISTENING:
            address, _colon, port = columns[1].partition(":")
            loopback = address in _LOOPBACK_6 or (len(address) == 8 and address[6:] == _LOOPBACK_4)
            yield Listener(int(port, 16), loopback)


def _user(container: Container, first: FirstProcess | None) -> int | None:
    if not isinstance(container, ObservedContainer):
        return None
    status = container.read_text("/proc/1/status")
    for line in (status or "").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])  # the effective one
    known = first is not None and first.user.isdigit()
    return int(first.user) if known and first is not None else None
