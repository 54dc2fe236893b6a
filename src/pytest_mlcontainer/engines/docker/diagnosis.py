"""What an engine and its builder say of themselves, for `mlcontainer doctor`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.context import ContextAPI
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.engines.docker.kept_images import KeptImage, find_kept
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Platform, architecture_of

# e_machine, bytes 18 and 19 of an ELF file, little-endian, as binfmt_misc prints them.
_ELF_MACHINES = {"amd64": "3e00", "arm64": "b700"}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True)
class EngineFacts:
    """An engine that answers.

    Args:
        endpoint: where it was reached.
        product, api_version: "Docker Engine 28.5.2", "1.51".
        image_store: name of the storage driver, and whether it is containerd's.
        gpus: runtimes and CDI devices through which it can give GPUs.
        data_root: where it keeps its images, if that folder is on this machine.
        same_kernel: whether it runs on this machine's kernel.
        kept: images that stay there for the next session.
    """

    endpoint: str
    product: str
    api_version: str
    image_store: str
    native: Platform
    gpus: tuple[str, ...]
    data_root: Path | None
    same_kernel: bool
    kept: tuple[KeptImage, ...]


@dataclass(frozen=True)
class BuilderFacts:
    """The buildx in use, and the builder that it would build with.

    Args:
        driver: `docker` is the engine's own builder; any other runs elsewhere.
        platforms: what BuildKit found it can run, by starting a tiny program of each; empty when
            the builder has not been started yet.
    """

    version: str
    name: str
    driver: str
    platforms: tuple[str, ...]


def describe_engine(endpoint: str | None, environ: Mapping[str, str]) -> EngineFacts:
    """Ask an engine what it is.

    Raises:
        EngineError: it cannot be reached, is too old, or does not say.
    """
    shown = shown_endpoint(endpoint, environ)
    api = open_client(endpoint, environ)
    try:
        info, version = dict(api.info()), dict(api.version())
        kept = find_kept(api)
    except (APIError, RequestException) as error:
        raise EngineError(
            "the engine does not say what it is",
            f"{shown} ({error})",
            "restart it, and look at its own log",
        ) from error
    finally:
        api.close()
    same_kernel = info.get("KernelVersion") == os.uname().release
    return EngineFacts(
        endpoint=shown,
        product=f"{_product(version)} {info.get('ServerVersion', '')}".strip(),
        api_version=str(version.get("ApiVersion", "unknown")),
        image_store=_image_store(info),
        native=_native(info),
        gpus=_gpus(info),
        data_root=_data_root(info) if same_kernel else None,
        same_kernel=same_kernel,
        kept=kept,
    )


def describe_builder(
    endpoint: str | None, environ: Mapping[str, str], name: str | None, folder: Path
) -> BuilderFacts:
    """Ask buildx about itself and a builder.

    Args:
        name: of the builder; None is the current one.
        folder: any existing folder, to run the command in.

    Raises:
        EngineError: there is no usable buildx, or no such builder.
    """
    buildx = Buildx(endpoint, environ, Processes())
    version = _say(buildx, folder, "version")
    printed = _say(buildx, folder, "inspect", *([name] if name else []))
    fields = dict(re.findall(r"^(Name|Driver|Platforms):[ \t]*(\S.*)$", printed, re.MULTILINE))
    found = re.search(r"v?(\d+\.\d+[\w.+~-]*)", version.partition("buildx")[2])
    listed = (word.strip().rstrip("*") for word in fields.get("Platforms", "").split(","))
    return BuilderFacts(
        version=found.group(1) if found else version.strip(),
        name=fields.get("Name", name or "default"),
        driver=fields.get("Driver", ""),
        platforms=tuple(word for word in listed if word),
    )


def registered_emulator(platform: Platform) -> str | None:
    """The emulator that this machine's kernel starts for a platform, also inside containers."""
    wanted = _ELF_MACHINES.get(platform.architecture)
    for file in sorted(_BINFMT.glob("*")) if wanted else ():
        try:
            text = file.read_text()
        except OSError:  # `register` cannot be read
            continue
        fields = dict(line.partition(" ")[::2] for line in text.splitlines())
        # F: the kernel has opened the emulator already, so containers need not have the file.
        works = "enabled" in fields and "F" in fields.get("flags:", "")
        if works and fields.get("magic", "")[36:40] == wanted:
            return fields.get("interpreter")
    return None


def free_bytes(folder: Path) -> int | None:
    """Free space where a folder is, or will be; None when that cannot be told."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def shown_endpoint(endpoint: str | None, environ: Mapping[str, str]) -> str:
    """Which engine `endpoint` means here, as a user would write it."""
    if endpoint is not None:
        return endpoint
    if environ.get("DOCKER_HOST"):
        return environ["DOCKER_HOST"]
    with suppress(DockerException, OSError, ValueError):
        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT") or None)
        if context is not None:
            return f"{context.Host} (docker context {context.Name})"
    return "the default engine"


def _say(buildx: Buildx, folder: Path, *words: str) -> str:
    done = buildx.run(words, folder, _COMMAND_TIMEOUT_S)
    if done.exit_code != 0 or done.timed_out:
        last = done.output.strip().splitlines()[-1:] or ["it did not answer"]
        raise EngineError(
            "the builder cannot be used",
            f"docker buildx {' '.join(words)}: {last[0]}",
            "`docker buildx ls` lists the builders, `docker buildx use default` chooses the "
            "engine's own",
        )
    return done.output


def _product(version: Mapping[str, Any]) -> str:
    """`Docker Engine`, `Docker Desktop 4.30`, `Podman Engine`: Debian's own build has no name."""
    named = str((version.get("Platform") or {}).get("Name") or "")
    first: Mapping[str, Any] = next(iter(version.get("Components") or ()), {})
    component = str(first.get("Name") or "Engine")
    return named or (f"Docker {component}" if component == "Engine" else component)


def _image_store(info: Mapping[str, Any]) -> str:
    driver = str(info.get("Driver", ""))
    kinds = [value for name, value in info.get("DriverStatus") or () if name == "driver-type"]
    containerd = any("containerd" in str(kind) for kind in kinds)
    return f"{driver} (containerd's)" if containerd else f"{driver} (classic)"


def _native(info: Mapping[str, Any]) -> Platform:
    machine = str(info.get("Architecture", ""))
    return Platform(str(info.get("OSType") or "linux"), architecture_of(machine))


def _gpus(info: Mapping[str, Any]) -> tuple[str, ...]:
    runtimes = [name for name in info.get("Runtimes") or {} if "nvidia" in name]
    devices = [str(each.get("ID")) for each in info.get("DiscoveredDevices") or ()]
    return (*(f"runtime {name}" for name in sorted(runtimes)), *sorted(devices))


def _data_root(info: Mapping[str, Any]) -> Path | None:
    folder = Path(str(info.get("DockerRootDir") or "/nowhere"))
    return folder if folder.is_dir() else None
