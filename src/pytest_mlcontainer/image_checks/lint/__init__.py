"""The check `lint`: what is written in the Dockerfiles, and what the context would put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.dockerfile import parse_directives, parse_instructions, read_dockerfile
from pytest_mlcontainer.engines.registry import check_dockerfile
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inputs import CheckInputs, milder
from pytest_mlcontainer.image_checks.lint.build_check import build_findings, build_note
from pytest_mlcontainer.image_checks.lint.hadolint import (
    MISSING,
    find_hadolint,
    hadolint_findings,
    run_hadolint,
)
from pytest_mlcontainer.image_checks.lint.rules import own_findings, without_duplicates
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.model import CheckReport, ImageFinding


def check_sources(inputs: CheckInputs) -> CheckReport:
    """What Hadolint, `docker build --check` and rules of our own find in every Dockerfile."""
    findings: list[ImageFinding] = []
    notes: list[str] = []
    for dockerfile in dockerfiles(inputs):
        inputs.log(f"reading {dockerfile.name}")
        text = read_dockerfile(dockerfile)
        build = replace(inputs.settings.build, dockerfile=dockerfile)
        instructions = tuple(parse_instructions(text))
        recipe = parse_recipe(instructions, build.target, dict(build.args))
        place = _shown(dockerfile, inputs.settings.root)
        others = [*_of_hadolint(inputs, dockerfile, place, notes)]
        others += _of_builder(inputs, dockerfile, place, notes)
        if not inputs.check.asked:
            others = [milder(each) for each in others]
        own = tuple(own_findings(recipe, place, build))
        findings += [*own, *without_duplicates(others, own)]
    return inputs.report(tuple(findings), tuple(dict.fromkeys(notes)))


def dockerfiles(inputs: CheckInputs) -> tuple[Path, ...]:
    """The one that is built, or those that the setting `dockerfiles` names."""
    settings, patterns = inputs.settings, inputs.check.value("dockerfiles")
    if not isinstance(patterns, tuple):
        return (settings.build.dockerfile,)
    found = (path for each in patterns for path in sorted(settings.root.glob(each)))
    return tuple(dict.fromkeys((settings.build.dockerfile, *found)))


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _of_hadolint(
    inputs: CheckInputs, dockerfile: Path, place: str, notes: list[str]
) -> Iterator[ImageFinding]:
    program = find_hadolint(inputs.environ)
    if program is None:
        notes.append(MISSING)
        return
    raw, problem = run_hadolint(
        program, dockerfile, inputs.settings.root, inputs.environ, inputs.processes
    )
    notes += [f"{place}: {problem}"] if problem else []
    instructions = tuple(parse_instructions(read_dockerfile(dockerfile)))
    yield from hadolint_findings(raw, place, instructions)


def _of_builder(
    inputs: CheckInputs, dockerfile: Path, place: str, notes: list[str]
) -> Iterator[ImageFinding]:
    build = replace(inputs.settings.build, dockerfile=dockerfile)
    try:
        found = check_dockerfile(
            inputs.endpoint, inputs.environ, inputs.processes, build, inputs.platforms[0]
        )
    except EngineError as error:
        notes.append(f"`docker build --check` was not asked: {error.value or error.what}")
        return
    notes += build_note(found, place)
    directives = dict(parse_directives(read_dockerfile(dockerfile)))
    yield from build_findings(found, place, directives.get("check", ""))
