"""Whether engines are there, and can do what a run needs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from pytest_mlcontainer.cli.doctor_cluster import check_cluster
from pytest_mlcontainer.cli.findings import Finding, Status, finding_of
from pytest_mlcontainer.cli.setup import CommandSetup
from pytest_mlcontainer.engines import EngineRequest
from pytest_mlcontainer.engines.docker.diagnosis import (
    BuilderFacts,
    EngineFacts,
    describe_builder,
    describe_engine,
    free_bytes,
    registered_emulator,
)
from pytest_mlcontainer.engines.docker.kept_images import LONGEST_S
from pytest_mlcontainer.engines.failures import GPU_REMEDY, emulation_remedy
from pytest_mlcontainer.engines.registry import is_cluster, is_docker, open_engine
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.hooks import load_engines
from pytest_mlcontainer.model import KEPT_BYTES, Platform, Settings
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.pipeline.setup import kept_bytes

_PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
_GIB = 1 << 30
_ENOUGH_BYTES = 5 * _GIB


def check_engine(
    here: CommandSetup, engine: str | None, settings: Settings | None
) -> Iterator[Finding]:
    if is_cluster(engine):
        yield from check_cluster(here, str(engine), settings)
        return
    if not is_docker(engine):
        yield _check_added_engine(here, str(engine), "engine", Status.MISSING)
        return
    try:
        facts = describe_engine(engine, here.environ)
    except MlContainerError as error:
        yield finding_of("engine", Status.MISSING, error)
        return
    yield Finding(
        "engine",
        Status.OK,
        f"{facts.endpoint}: {facts.product}, API {facts.api_version}, "
        f"image store {facts.image_store}",
    )
    builder: BuilderFacts | None = None
    try:
        name = None if settings is None else settings.build.builder
        builder = describe_builder(engine, here.environ, name, here.folder)
        text = f"{builder.version}, builder {builder.name} (driver {builder.driver or 'unknown'})"
        yield Finding("buildx", Status.OK, text)
    except MlContainerError as error:
        yield finding_of("buildx", Status.MISSING, error)
    for platform in dict.fromkeys((facts.native, *_PLATFORMS)):
        yield check_platform(platform, facts, builder)
    yield _check_gpus(facts, settings)
    yield from _check_disk(facts)
    yield from _check_kept(here, facts, settings)


def check_platform(platform: Platform, facts: EngineFacts, builder: BuilderFacts | None) -> Finding:
    """Whether the engine runs a platform, and how that is known."""
    name = str(platform)
    if platform == facts.native:
        return Finding(name, Status.OK, "native: the engine's own")
    emulator = registered_emulator(platform) if facts.same_kernel else None
    tried = builder is not None and name in builder.platforms
    if tried and builder is not None and builder.driver == "docker":
        with_what = f" by {emulator}" if emulator else ""
        return Finding(name, Status.OK, f"emulated{with_what}: the engine's builder has tried it")
    if emulator:
        return Finding(name, Status.OK, f"emulated by {emulator}: the kernel's binfmt_misc says so")
    if tried and builder is not None:
        text = f"the builder {builder.name} runs it; whether the engine does was not tried"
        return Finding(name, Status.WARNING, text, emulation_remedy(platform))
    if builder is None or not builder.platforms:
        text = "not known: no builder that runs could be asked"
        return Finding(name, Status.WARNING, text, emulation_remedy(platform))
    return Finding(name, Status.WARNING, "the engine cannot run it", emulation_remedy(platform))


def _check_gpus(facts: EngineFacts, settings: Settings | None) -> Finding:
    asking = [] if settings is None else [e.name for e in settings.entrypoints if e.limits.gpus]
    if facts.gpus:
        return Finding("GPU", Status.OK, ", ".join(facts.gpus))
    if asking:
        text = (
            f"the engine lists no GPU runtime and no CDI device; asked for by {', '.join(asking)}"
        )
        return Finding("GPU", Status.WARNING, text, GPU_REMEDY)
    return Finding("GPU", Status.OK, "none, and nothing here asks for one")


def _check_disk(facts: EngineFacts) -> Iterator[Finding]:
    free = None if facts.data_root is None else free_bytes(facts.data_root)
    if free is None:
        return  # an engine elsewhere does not tell
    text = f"{free / _GIB:.1f} GiB free where the engine keeps its images ({facts.data_root})"
    if free >= _ENOUGH_BYTES:
        yield Finding("disk", Status.OK, text)
    else:
        remedy = "`mlcontainer clean`, `docker system prune` and `docker buildx prune` free some"
        yield Finding("disk", Status.WARNING, text, remedy)


def _check_kept(
    here: CommandSetup, facts: EngineFacts, settings: Settings | None
) -> Iterator[Finding]:
    """Images that stay between sessions, against the most that they may take."""
    if not facts.kept:
        return
    limit = KEPT_BYTES if settings is None else kept_bytes(settings, here.environ)
    size = sum(image.size_bytes for image in facts.kept)
    count = "1 image" if len(facts.kept) == 1 else f"{len(facts.kept)} images"
    days = LONGEST_S // (24 * 3600)
    text = f"{count} for the next session, {size / _GIB:.1f} GiB of {limit / _GIB:.1f}, {days} days"
    yield Finding("kept", Status.OK, text)


def _check_added_engine(here: CommandSetup, name: str, what: str, otherwise: Status) -> Finding:
    """An engine that a plugin adds, of which no more is known here than that it answers."""
    try:
        asked = EngineRequest(name, here.environ, current_owner(uuid.uuid4().hex))
        engine = open_engine(asked, load_engines)
        try:
            return Finding(what, Status.OK, f"{engine.name}: native {engine.native()}")
        finally:
            engine.disconnect()
    except MlContainerError as error:
        return finding_of(what, otherwise, error)


def check_other_engine(
    here: CommandSetup, name: str, settings: Settings | None
) -> Iterator[Finding]:
    """What there is to say of an engine that some platforms have."""
    if is_cluster(name):
        yield from check_cluster(here, name, settings, Status.WARNING)
    else:
        yield _check_other(here, name)


def _check_other(here: CommandSetup, name: str) -> Finding:
    if not is_docker(name):
        return _check_added_engine(here, name, "other engine", Status.WARNING)
    try:
        facts = describe_engine(name, here.environ)
    except MlContainerError as error:
        return finding_of("other engine", Status.WARNING, error)
    text = f"{facts.endpoint}: {facts.product}, native {facts.native}"
    return Finding("other engine", Status.OK, text)
