"""What the product asks of an engine: five protocols, and `Engine`, which is all of them.

Each function asks for the narrowest that it uses. `docker.engine` fulfils all of them, `registry`
opens the engine that a URL names. Only this package talks to engines and starts processes.
"""

from __future__ import annotations

from pytest_mlcontainer.engines.containers import (
    Container,
    ContainerHealth,
    ContainerSpec,
    Exit,
    FirstProcess,
    HealthState,
    LogLine,
    ObservedContainer,
    Stream,
    Usage,
    quiet,
)
from pytest_mlcontainer.engines.protocols import (
    Builder,
    Built,
    Engine,
    EngineKind,
    EngineRequest,
    ImageStore,
    Janitor,
    Kinds,
    Launched,
    Launcher,
    Leftover,
    LeftoverKind,
    Runner,
)

__all__ = [
    "Builder",
    "Built",
    "Container",
    "ContainerHealth",
    "ContainerSpec",
    "Engine",
    "EngineKind",
    "EngineRequest",
    "Exit",
    "FirstProcess",
    "HealthState",
    "ImageStore",
    "Janitor",
    "Kinds",
    "Launched",
    "Launcher",
    "Leftover",
    "LeftoverKind",
    "LogLine",
    "ObservedContainer",
    "Runner",
    "Stream",
    "Usage",
    "quiet",
]
