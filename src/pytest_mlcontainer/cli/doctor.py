"""`mlcontainer doctor`: is everything here that a run needs, and what to do if not."""

from __future__ import annotations

import enum
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.surroundings import Here, surroundings
from pytest_mlcontainer.config import check_files, load, parse_options
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
from pytest_mlcontainer.engines.registry import is_docker, open_engine
from pytest_mlcontainer.errors import EngineError, MlContainerError
from pytest_mlcontainer.hooks import load_engines, schemes_of
from pytest_mlcontainer.model import HOST, KEPT_BYTES, Platform, Settings
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.pipeline.project_secrets import build_secret_problems, secret_problems
from pytest_mlcontainer.pipeline.surroundings import kept_bytes
from pytest_mlcontainer.secrets import exposed_arguments

_PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
_GIB = 1 << 30
_ENOUGH_BYTES = 5 * _GIB
_NAME_WIDTH = 13


class Status(enum.Enum):
    """What a check came to; only what is `MISSING` keeps a run from working."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `remedy` is empty where nothing has to be done."""

    name: str
    status: Status
    text: str
    remedy: str = ""

    @property
    def raw(self) -> dict[str, str]:
        """As JSON can hold it."""
        return {**vars(self), "status": self.status.value}

    def __str__(self) -> str:
        first, *more = self.text.splitlines() or [""]
        lines = [f"{self.name:{_NAME_WIDTH}} {self.status.value:8} {first}", *more]
        if self.remedy:
            lines.append(f"→ {self.remedy}")
        return f"\n{' ' * (_NAME_WIDTH + 10)}".join(lines)


def examine(here: Here, engine: str | None, *, as_json: bool = False) -> int:
    """Check everything, and print a line for each thing.

    Args:
        engine: URL or context; None is what a run here would use.
        as_json: print one JSON object instead, once all is known: `schema` (1), `works` and
            `findings`, each with `name`, `status` (`ok`, `warning` or `missing`), `text` and
            `remedy` ("" where nothing has to be done).

    Returns:
        0 when a run on the engine's own platform can work and no library computes wrong, else 1.
    """
    found = []
    for finding in _findings(here, engine):
        found.append(finding)
        if not as_json:
            print(finding, flush=True)
    works = all(finding.status is not Status.MISSING for finding in found)
    if as_json:
        print(json.dumps({"schema": 1, "works": works, "findings": [each.raw for each in found]}))
    return 0 if works else 1


def _findings(here: Here, engine: str | None) -> Iterator[Finding]:
    settings, project = _check_project(here)
    engines = {} if settings is None or engine else dict(settings.engines)
    main = engine if settings is None else engines.get(settings.reference, engine)
    yield from _check_engine(here, main, settings)
    for name in sorted(set(engines.values()) - {main}):
        yield _check_other_engine(here, name)
    yield _check_cache(here.cache)
    yield project
    if settings is not None:
        yield from _check_before_build(here, settings)
        yield from _check_secrets(here, settings)
        yield from _check_answers(settings, engine)


# The engine


def _check_engine(here: Here, engine: str | None, settings: Settings | None) -> Iterator[Finding]:
    if not is_docker(engine):
        yield _check_added_engine(here, str(engine), "engine", Status.MISSING)
        return
    try:
        facts = describe_engine(engine, here.environ)
    except MlContainerError as error:
        yield _finding("engine", Status.MISSING, error)
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
        yield _finding("buildx", Status.MISSING, error)
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


def _check_kept(here: Here, facts: EngineFacts, settings: Settings | None) -> Iterator[Finding]:
    """Images that stay between sessions, against the most that they may take."""
    if not facts.kept:
        return
    limit = KEPT_BYTES if settings is None else kept_bytes(settings, here.environ)
    size = sum(image.size_bytes for image in facts.kept)
    count = "1 image" if len(facts.kept) == 1 else f"{len(facts.kept)} images"
    days = LONGEST_S // (24 * 3600)
    text = f"{count} for the next session, {size / _GIB:.1f} GiB of {limit / _GIB:.1f}, {days} days"
    yield Finding("kept", Status.OK, text)


def _check_added_engine(here: Here, name: str, what: str, otherwise: Status) -> Finding:
    """An engine that a plugin adds, of which no more is known here than that it answers."""
    try:
        asked = EngineRequest(name, here.environ, current_owner(uuid.uuid4().hex))
        engine = open_engine(asked, load_engines)
        try:
            return Finding(what, Status.OK, f"{engine.name}: native {engine.native()}")
        finally:
            engine.disconnect()
    except MlContainerError as error:
        return _finding(what, otherwise, error)


def _check_other_engine(here: Here, name: str) -> Finding:
    if not is_docker(name):
        return _check_added_engine(here, name, "other engine", Status.WARNING)
    try:
        facts = describe_engine(name, here.environ)
    except MlContainerError as error:
        return _finding("other engine", Status.WARNING, error)
    text = f"{facts.endpoint}: {facts.product}, native {facts.native}"
    return Finding("other engine", Status.OK, text)


# This machine and the project


def _check_cache(cache: Path) -> Finding:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        return Finding(
            "cache",
            Status.MISSING,
            f"{cache} cannot be written ({error.strerror})",
            "make it writable, or set MLCONTAINER_CACHE_DIR to a folder that is",
        )
    return Finding("cache", Status.OK, str(cache))


def _check_project(here: Here) -> tuple[Settings | None, Finding]:
    """The nearest table from the working directory upwards."""
    for folder in (here.folder, *here.folder.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            settings = load(file, machine(), schemes_of(load_engines))
        except MlContainerError as error:
            return None, _finding("project", Status.MISSING, error)
        if settings is not None:
            return settings, _judge_settings(settings)
    text = f"no [tool.mlcontainer] in any pyproject.toml from {here.folder} upwards"
    remedy = "`mlcontainer init` in the project's folder writes a first one"
    return None, Finding("project", Status.WARNING, text, remedy)


def _judge_settings(settings: Settings) -> Finding:
    problems = check_files(settings)
    if problems:
        text = "\n".join(str(problem) for problem in problems)
        return Finding("project", Status.MISSING, text)
    names = ", ".join(entry.name for entry in settings.entrypoints)
    platforms = ", ".join(map(str, settings.platforms))
    if not names:
        remedy = "declare one: [tool.mlcontainer.entrypoints.train]"
        text = f"{settings.file}: only the image is tested, for it has no entrypoints"
        return Finding("project", Status.WARNING, text, remedy)
    return Finding("project", Status.OK, f"{settings.file}: {names} on {platforms}")


def _check_before_build(here: Here, settings: Settings) -> Iterator[Finding]:
    """The programs that the host commands begin with."""
    if set(settings.platforms) == {HOST}:
        return
    for program in dict.fromkeys(filter(None, map(_program, settings.build.before))):
        found = shutil.which(program, path=here.environ.get("PATH"))
        if found is not None:
            yield Finding("before-build", Status.OK, f"{program}: {found}")
            continue
        how = "`pip install uv`" if program == "uv" else f"install {program}"
        yield Finding(
            "before-build",
            Status.MISSING,
            f"{program} is not on PATH, and before-build runs it",
            f"{how}, or change before-build",
        )


def _check_secrets(here: Here, settings: Settings) -> Iterator[Finding]:
    """What is called like a secret and is none, and what a build or a run will ask for."""
    for text in exposed_arguments(settings.build):
        yield Finding("secrets", Status.WARNING, text)
    problems = (
        *build_secret_problems(settings, here.environ),
        *secret_problems(settings, settings.entrypoints, here.environ),
    )
    for problem in problems:
        yield _finding("secrets", Status.WARNING, problem)


def _check_answers(settings: Settings, engine: str | None) -> Iterator[Finding]:
    """Whether numerical libraries compute right, here and in images that are kept."""
    if not settings.entrypoints:
        return
    engines = () if engine is None else (engine,)
    try:
        schemes = schemes_of(load_engines)
        options = parse_options(machine(), prefix="--", engines=engines, schemes=schemes)
    except MlContainerError:
        return  # no engine is called like this, which its own line says
    pipeline = Pipeline(surroundings(os.environ, lambda _event: None), options)
    try:
        for platform in settings.platforms:
            yield _answers_of(pipeline, settings, platform)
    finally:
        pipeline.close()
        pipeline.clean_up(last=True)


def _answers_of(pipeline: Pipeline, settings: Settings, platform: Platform) -> Finding:
    name = "arithmetic"
    try:
        notes = [
            pipeline.arithmetic.check_kept(settings, each, platform)
            for each in settings.entrypoints
        ]
    except EngineError as error:
        return Finding(name, Status.WARNING, f"{platform}: not tried: {error.what}")
    except MlContainerError as error:
        return _finding(name, Status.MISSING, error)
    if None in notes:
        text = f"{platform}: not tried: no image of this project is here; each session tries it"
        return Finding(name, Status.OK, text)
    unknown = dict.fromkeys(note for each in notes for note in each or ())
    if unknown:
        return Finding(name, Status.WARNING, "\n".join(unknown))
    return Finding(name, Status.OK, f"{platform}: no numerical library computes wrong")


def _program(command: str) -> str | None:
    """The first word of a shell command, where that is plainly a program on PATH."""
    word = command.split()[0]
    shell_words = ("cd", "export", "set", "test", "exec", "if", "for", "while", "echo", "true")
    return word if re.fullmatch(r"[\w.+-]+", word) and word not in shell_words else None


def _finding(name: str, status: Status, error: MlContainerError) -> Finding:
    text = f"{error.what}: {error.value}" if error.value else error.what
    return Finding(name, status, text, error.remedy)
