"""`mlcontainer doctor`: is everything here that a run needs, and what to do if not."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.doctor_engine import check_engine, check_other_engine
from pytest_mlcontainer.cli.findings import Finding, Status, finding_of
from pytest_mlcontainer.cli.setup import CommandSetup, pipeline_setup
from pytest_mlcontainer.config import check_files, load, parse_options
from pytest_mlcontainer.errors import EngineError, MlContainerError
from pytest_mlcontainer.hooks import load_engines, schemes_of
from pytest_mlcontainer.model import HOST, Platform, Settings
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.pipeline.project_secrets import build_secret_problems, secret_problems
from pytest_mlcontainer.secrets import exposed_arguments


def examine(here: CommandSetup, engine: str | None, *, as_json: bool = False) -> int:
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


def _findings(here: CommandSetup, engine: str | None) -> Iterator[Finding]:
    settings, project = _check_project(here)
    engines = {} if settings is None or engine else dict(settings.engines)
    main = engine if settings is None else engines.get(settings.reference, engine)
    yield from check_engine(here, main, settings)
    for name in sorted(set(engines.values()) - {main}):
        yield from check_other_engine(here, name, settings)
    yield _check_cache(here.cache)
    yield project
    if settings is not None:
        yield from _check_before_build(here, settings)
        yield from _check_secrets(here, settings)
        yield from _check_answers(settings, engine)


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


def _check_project(here: CommandSetup) -> tuple[Settings | None, Finding]:
    """The nearest table from the working directory upwards."""
    for folder in (here.folder, *here.folder.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            settings = load(file, machine(), schemes_of(load_engines))
        except MlContainerError as error:
            return None, finding_of("project", Status.MISSING, error)
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


def _check_before_build(here: CommandSetup, settings: Settings) -> Iterator[Finding]:
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


def _check_secrets(here: CommandSetup, settings: Settings) -> Iterator[Finding]:
    """What is called like a secret and is none, and what a build or a run will ask for."""
    for text in exposed_arguments(settings.build):
        yield Finding("secrets", Status.WARNING, text)
    problems = (
        *build_secret_problems(settings, here.environ),
        *secret_problems(settings, settings.entrypoints, here.environ),
    )
    for problem in problems:
        yield finding_of("secrets", Status.WARNING, problem)


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
    pipeline = Pipeline(pipeline_setup(os.environ, lambda _event: None), options)
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
        return finding_of(name, Status.MISSING, error)
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
