"""The check `lint`: what is written in the Dockerfiles, and what the context would put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.dockerfile import parse_directives, parse_instructions, read_dockerfile
from pytest_mlcontainer.engines.registry import check_dockerfile, context_files
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inputs import CheckInputs, milder
from pytest_mlcontainer.image_checks.lint.build_check import (
    build_findings,
    build_note,
    by_variable,
)
from pytest_mlcontainer.image_checks.lint.context import (
    LARGE_BYTES,
    MOST_FILES,
    list_context,
)
from pytest_mlcontainer.image_checks.lint.hadolint import (
    MISSING,
    find_hadolint,
    hadolint_findings,
    readable,
    run_hadolint,
)
from pytest_mlcontainer.image_checks.lint.rules import (
    ignored_lines,
    own_findings,
    without_duplicates,
)
from pytest_mlcontainer.image_checks.lint.stages import Recipe, parse_recipe
from pytest_mlcontainer.model import CheckReport, ImageFinding


def check_sources(inputs: CheckInputs) -> CheckReport:
    """What Hadolint, `docker build --check` and rules of our own find in every Dockerfile."""
    findings: list[ImageFinding] = []
    notes: list[str] = []
    for dockerfile in dockerfiles(inputs):
        inputs.log(f"reading {dockerfile.name}")
        findings += _findings(inputs, dockerfile, notes)
    return inputs.report(tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(notes)))


def _findings(inputs: CheckInputs, dockerfile: Path, notes: list[str]) -> Iterator[ImageFinding]:
    """Those of one Dockerfile; what could not be looked at goes to `notes`."""
    settings, text = inputs.settings, read_dockerfile(dockerfile)
    build, place = replace(settings.build, dockerfile=dockerfile), _shown(dockerfile, settings.root)
    instructions = tuple(parse_instructions(text))
    listing = list_context(build.context, context_files(build.context, dockerfile))
    if not listing.complete:
        notes.append(f"of the build context only the first {MOST_FILES:,} files were looked at")
    recipe = parse_recipe(instructions, build.target, dict(build.args))
    large = inputs.check.value("large-file")
    own = tuple(
        own_findings(
            recipe,
            place,
            build,
            listing,
            settings.root,
            large if isinstance(large, int) else LARGE_BYTES,
        )
    )
    others = tuple(_of_hadolint(inputs, dockerfile, place, recipe, notes))
    said = _of_builder(inputs, dockerfile, place, notes)
    if said is not None:
        others = readable(others, place, notes)
    if not inputs.check.asked:
        others = tuple(milder(each) for each in others)
    # What the builder takes for an error ends the build, too.
    others += said or ()
    ignored = ignored_lines(text)
    yield from by_variable(
        each
        for each in (*own, *without_duplicates(others, own))
        if each.place != place or each.rule not in ignored.get(each.line or 0, ())
    )


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
    inputs: CheckInputs, dockerfile: Path, place: str, recipe: Recipe, notes: list[str]
) -> Iterator[ImageFinding]:
    program = find_hadolint(inputs.environ)
    if program is None:
        notes += [MISSING] if inputs.check.asked else []
        return
    raw, problem = run_hadolint(
        program, dockerfile, inputs.settings.root, inputs.environ, inputs.processes
    )
    notes += [f"{place}: {problem}"] if problem else []
    yield from hadolint_findings(raw, place, recipe)


def _of_builder(
    inputs: CheckInputs, dockerfile: Path, place: str, notes: list[str]
) -> tuple[ImageFinding, ...] | None:
    """What it finds; None where it cannot be asked."""
    build = replace(inputs.settings.build, dockerfile=dockerfile)
    try:
        found = check_dockerfile(
            inputs.endpoint, inputs.environ, inputs.processes, build, inputs.platforms[0]
        )
    except EngineError as error:
        notes.append(f"`docker build --check` was not asked: {error.value or error.what}")
        return None
    notes += build_note(found, place)
    directives = dict(parse_directives(read_dockerfile(dockerfile)))
    return tuple(build_findings(found, place, directives.get("check", "")))
