"""What an engine with a Docker API refuses, in our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from docker.errors import APIError

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.failures import (
    EXEC_FORMAT,
    GPU_REMEDY,
    cannot_execute,
    command_not_allowed,
    command_not_found,
    refusal,
)
from pytest_mlcontainer.errors import (
    EngineError,
    GpuError,
    MlContainerError,
    PlatformError,
    RunError,
)

_ATTEMPTS = 3
_LOST_LAYER = re.compile(r"(snapshot|digest|blob) sha256:[0-9a-f]+:? (does not exist|not found)")


@contextmanager
def explained(what: str, remedy: str = "") -> Iterator[None]:
    """Turn an engine's refusal into an error of ours.

    Raises:
        EngineError: it refused.
    """
    try:
        yield
    except APIError as error:
        raise refusal(what, str(error.explanation or error), remedy) from error


def lost_a_layer(message: str) -> bool:
    """Whether an engine failed as a layer was removed meanwhile, with another image."""
    return _LOST_LAYER.search(message) is not None


def create_or_explain(create: Callable[[], Mapping[str, Any]], spec: ContainerSpec) -> str:
    """The identifier of the container that an engine creates.

    Its image may be unpacked first, and another one with layers of it be removed just then: that
    has made nothing, and is asked for again.

    Raises:
        MlContainerError: it refused.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            return str(create()["Id"])
        except APIError as error:
            message = str(error.explanation)
            if not left or not lost_a_layer(message):
                raise _explain_create(message, spec) from error
    raise AssertionError("the last attempt returns or raises")


def _explain_create(message: str, spec: ContainerSpec) -> MlContainerError:
    """Why a container could not be created."""
    if "does not match the specified platform" in message or "no match for platform" in message:
        return PlatformError(
            f"the image is not for {spec.platform}",
            f"{spec.image}: {message}",
            f"build or pull it for {spec.platform}: `docker pull --platform {spec.platform} …`",
        )
    if "no command specified" in message:
        return RunError(
            "there is no command to run",
            f"the image {spec.image} has no CMD and the entrypoint declares no command",
            'declare one: command = ["python", "train.py"]',
        )
    if _is_gpu(message):
        return _no_gpu(message, spec.limits.gpus)
    return refusal("the engine refused to create the container", message)


def explain_start(
    message: str, inspected: Mapping[str, Any], spec: ContainerSpec
) -> MlContainerError:
    """Why a container could not be started."""
    config = inspected.get("Config") or {}
    argv = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    program = _program(message) or (argv[0] if argv else "")
    if _is_gpu(message):
        return _no_gpu(message, spec.limits.gpus)
    if EXEC_FORMAT in message:
        return cannot_execute(program)
    if "executable file not found" in message or "no such file or directory" in message:
        return command_not_found(program, argv)
    if "permission denied" in message:
        return command_not_allowed(program, str(config.get("User") or "root"))
    if "network" in message and "not found" in message:
        return EngineError(
            "the network does not exist on the engine",
            message,
            'use network = "none", "bridge", or create it with `docker network create`',
        )
    return refusal("the engine could not start the container", message)


def _no_gpu(message: str, spec: str | None) -> GpuError:
    return GpuError("the engine has no GPU to give", f"--gpus {spec}: {message}", GPU_REMEDY)


def _is_gpu(message: str) -> bool:
    return any(
        sign in message
        for sign in (
            "could not select device driver",
            "unresolvable CDI devices",
            "nvidia-container-cli",
            "CDI device injection failed",
        )
    )


def _program(message: str) -> str:
    """`exec: "trian": executable file not found in $PATH` names the program."""
    found = re.search(r'exec: \\?"([^"\\]+)\\?"', message) or re.search(r"exec (\S+):", message)
    return found.group(1) if found else ""
