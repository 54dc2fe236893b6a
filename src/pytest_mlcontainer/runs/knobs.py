"""Knobs → what a container is created with."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.model import Image, Knobs, Limits
from pytest_mlcontainer.runs.opened_files import TOLD, WATCHER, watched_command
from pytest_mlcontainer.runs.recording import FOLDER as RECORDER
from pytest_mlcontainer.runs.recording import INTO, recorder_env
from pytest_mlcontainer.variations.preload import FOLDER, preload_env

INTERNAL_NETWORK = "mlcontainer-internal"


@dataclass(frozen=True)
class KnobResources:
    """What an engine has ready for those knobs that need something made.

    Args:
        preload: the volume that holds the preloaded library.
        recorder: the volume that holds the recorder.
        network: the network without a way out.
        watcher: the volume that holds the program that watches which files are opened.
    """

    preload: str | None = None
    network: str | None = None
    recorder: str | None = None
    watcher: str | None = None


def turn(
    spec: ContainerSpec,
    knobs: Knobs,
    image: Image,
    workdir: str = "/",
    means: KnobResources = KnobResources(),
    written: Iterable[str] = (),
) -> ContainerSpec:
    """The spec with the environment changed.

    Args:
        image: whose entrypoint, command and variables the spec leaves as they are.
        workdir: absolute path of the working directory without knobs.
        written: absolute folders that the run has to be able to write to.
    """
    if knobs == Knobs():
        return spec
    spec = replace(
        spec,
        env=_variables(spec, knobs, image),
        limits=_limits(spec.limits, knobs, means),
        hostname=knobs.hostname,
        cpuset=knobs.cpuset,
        personality=knobs.personality,
        nofile=knobs.nofile,
        volumes=_volumes(spec, knobs, workdir, means),
        scratch=(*spec.scratch, *watched_folders(knobs)),
    )
    folders = tuple(written)
    if knobs.workdir is not None:
        confined = knobs.read_only and knobs.workdir not in folders
        copy = (workdir, knobs.workdir)
        spec = replace(spec, workdir=knobs.workdir, copy=copy, copy_read_only=confined)
    if knobs.read_only:
        scratch = (each for each in folders if each != knobs.workdir)
        spec = replace(spec, read_only=True, scratch=outermost((*spec.scratch, *scratch)))
    wrapper = (*(watched_command() if knobs.opens else ()), *knobs.wrapper)
    return _wrapped(spec, wrapper, image) if wrapper else spec


def watched_folders(knobs: Knobs) -> tuple[str, ...]:
    """Absolute folders in which those that watch a run tell what they saw.

    They are the run's own volumes: not every user may make a folder at the root.
    """
    recording = () if knobs.recording is None else (INTO,)
    return (*recording, *((TOLD,) if knobs.opens else ()))


def outermost(folders: Iterable[str]) -> tuple[str, ...]:
    """Those that lie in none of the others; the root, which holds everything, is none of them."""
    kept: list[str] = []
    for folder in sorted({posixpath.normpath(each) for each in folders} - {"/"}):
        if not any(folder == above or folder.startswith(f"{above}/") for above in kept):
            kept.append(folder)
    return tuple(kept)


def _variables(spec: ContainerSpec, knobs: Knobs, image: Image) -> tuple[tuple[str, str], ...]:
    found = {**dict(spec.env), **dict(knobs.env)}
    if knobs.preload:
        name, value = preload_env({**dict(image.env), **found}.get("LD_PRELOAD"))
        found[name] = value
    if knobs.recording is not None:
        path = {**dict(image.env), **found}.get("PYTHONPATH")
        found.update(recorder_env(path))
    return tuple(found.items())


def _limits(limits: Limits, knobs: Knobs, means: KnobResources) -> Limits:
    network = means.network if knobs.network == INTERNAL_NETWORK else knobs.network
    return replace(
        limits,
        memory_bytes=knobs.memory_bytes or limits.memory_bytes,
        shm_size_bytes=knobs.shm_size_bytes or limits.shm_size_bytes,
        network=network or limits.network,
        user=knobs.user or limits.user,
    )


def _volumes(
    spec: ContainerSpec, knobs: Knobs, workdir: str, means: KnobResources
) -> tuple[tuple[str, str], ...]:
    volumes = list(spec.volumes)
    if knobs.workdir is not None:
        volumes += [
            (name, knobs.workdir + path[len(workdir) :])
            for name, path in spec.volumes
            if path.startswith(f"{workdir}/")
        ]
    if knobs.preload and means.preload is not None:
        volumes.append((means.preload, FOLDER))
    if knobs.recording is not None and means.recorder is not None:
        volumes.append((means.recorder, RECORDER))
    if knobs.opens and means.watcher is not None:
        volumes.append((means.watcher, WATCHER))
    return tuple(volumes)


def _wrapped(spec: ContainerSpec, wrapper: tuple[str, ...], image: Image) -> ContainerSpec:
    """The spec with a program before its own. The image's command goes with its entrypoint."""
    program = image.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.command or (image.command if spec.entrypoint is None else ())
    return replace(spec, entrypoint=wrapper[:1], command=(*wrapper[1:], *program, *command))
