"""The check `cache`: a change of source code does not install dependencies again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.dockerfile import Instruction, parse_instructions, read_dockerfile
from pytest_mlcontainer.engines.registry import context_files, try_build
from pytest_mlcontainer.engines.trial_builds import TrialBuild, TrialBuilt
from pytest_mlcontainer.errors import MlContainerError, NothingChecked
from pytest_mlcontainer.image_checks.cache.mends import reordered
from pytest_mlcontainer.image_checks.cache.sources import (
    copy_context,
    is_copied,
    make_named_folders,
    sources,
    takes,
    touch,
)
from pytest_mlcontainer.image_checks.cache.steps import (
    KnownStep,
    installed_packages,
    known_steps,
)
from pytest_mlcontainer.image_checks.environment.installed import normalised
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.model import (
    BuildSettings,
    CheckReport,
    CheckRow,
    CheckTable,
    ImageFinding,
    Severity,
)
from pytest_mlcontainer.temporary import temporary_folder
from pytest_mlcontainer.wording import first_and_count

_ORDER = "https://docs.docker.com/build/cache/optimize/#order-your-layers"
_CALM = 3  # builds until nothing is new
_MOST_ROWS = 50


@dataclass(frozen=True)
class _Builds:
    """What was built of the copy, in this order; `cold` only where it was asked for."""

    touched: str
    cold: TrialBuilt | None
    warm: TrialBuilt
    changed: TrialBuilt


def check_cache(inputs: CheckInputs) -> CheckReport:
    """Build a copy of the context, change a source file in it, and see which steps run again.

    Raises:
        NothingChecked: there is no source file to change.
        EngineError, BuildError: the builder cannot build it.
        MlContainerError: the Dockerfile has no stage to build, or `source` names no file.
    """
    build = inputs.settings.build
    text = read_dockerfile(build.dockerfile)
    instructions = tuple(parse_instructions(text))
    recipe = parse_recipe(instructions, build.target, dict(build.args))
    if recipe.final is None:
        what = f"there is no stage {build.target}" if recipe.stages else "there is no FROM"
        remedy = "correct the Dockerfile; `docker buildx build --check` says more"
        raise MlContainerError(what, str(build.dockerfile), remedy)
    with temporary_folder() as folder:
        context = folder / "context"
        context.mkdir()
        names = _copied(build.context, build.dockerfile, context)
        make_named_folders(build.context, instructions, context)
        chosen = _chosen(inputs, names, instructions)
        builds = _build(inputs, replace(build, context=context), chosen)
    steps = known_steps(recipe, builds.changed.steps)
    place = _shown(build.dockerfile, inputs.settings.root)
    findings = tuple(_findings(inputs, steps, chosen, place, names))
    notes = list(builds.changed.notes)
    if not any(each.ran for each in steps):
        notes.append(f"no step of the build depends on {chosen}, so that this shows nothing")
    return replace(
        inputs.report(findings, tuple(notes)),
        headline=_headline(builds, steps),
        figures=tuple(_figures(builds, steps)),
        tables=(_table(steps),) if any(each.ran for each in steps) else (),
        tables_shown=True,
    )


def _copied(context: Path, dockerfile: Path, folder: Path) -> tuple[str, ...]:
    names = (name for name, _size in context_files(context, dockerfile))
    try:
        return copy_context(context, names, folder)
    except OSError as error:
        raise NothingChecked(
            "the build context cannot be copied",
            f"{error.filename}: {error.strerror}",
            "let .dockerignore leave out what cannot be read",
        ) from error


def _chosen(
    inputs: CheckInputs, names: tuple[str, ...], instructions: tuple[Instruction, ...]
) -> str:
    """The source file that is changed."""
    named = inputs.check.value("source")
    if isinstance(named, str):
        if named not in names:
            raise MlContainerError(
                "cache.source is no file of the build context",
                named,
                "name a file relative to the context, and let .dockerignore leave it in",
            )
        return named
    found = tuple(sources(inputs.settings, names))
    for each in found:
        if is_copied(each, instructions):
            return each
    raise NothingChecked(
        "there is no source file whose change could be tried",
        "no COPY takes a Python file of the build context along",
        'name one that is changed often: cache = { source = "src/train.R" }',
    )


def _build(inputs: CheckInputs, build: BuildSettings, chosen: str) -> _Builds:
    def made(how: TrialBuild, what: str) -> TrialBuilt:
        inputs.log(f"building {what}")
        return try_build(
            inputs.endpoint,
            inputs.environ,
            inputs.processes,
            build,
            inputs.platforms[0],
            how,
            inputs.log,
            inputs.hidden,
        )

    cold = made(TrialBuild(cached=False), "cold") if inputs.check.value("cold") is True else None
    warm = made(TrialBuild(), "with nothing changed")
    for _again in range(_CALM - 1):
        if all(each.cached or each.text.startswith("FROM ") for each in warm.steps):
            break
        warm = made(TrialBuild(), "with nothing changed")
    touch(build.context / chosen)
    return _Builds(chosen, cold, warm, made(TrialBuild(), f"with {chosen} changed"))


def _findings(
    inputs: CheckInputs,
    steps: tuple[KnownStep, ...],
    chosen: str,
    place: str,
    names: tuple[str, ...],
) -> Iterator[ImageFinding]:
    for number, each in enumerate(steps):
        if not (each.ran and each.installs) or each.instruction is None:
            continue
        own = normalised(inputs.settings.name)
        packages = tuple(
            name for name in installed_packages(each.step.lines) if normalised(name) != own
        )
        if not packages and _follows_an_install(steps, number):
            continue
        breaker, context = _breaker(steps, number, chosen), inputs.settings.build.context
        read = partial(_text, context)
        yield _finding(each, breaker, packages, chosen, place, names, read)


def _follows_an_install(steps: tuple[KnownStep, ...], number: int) -> bool:
    """Whether one of the same tool came from the cache before, and this one said of no package."""
    here = steps[number]
    programs = {command.program for command in here.installs}
    return any(
        not each.ran
        and each.stage is not None
        and here.stage is not None
        and each.stage in here.stage.lineage
        and programs & {command.program for command in each.installs}
        for each in steps
    )


def _breaker(steps: tuple[KnownStep, ...], number: int, chosen: str) -> KnownStep | None:
    """The step that takes the changed file along, and that this one comes after."""
    here = steps[number]
    if here.instruction is not None and takes(here.instruction, chosen):
        return here
    for each in steps:
        line = 0 if each.instruction is None else each.instruction.line
        if (
            each.ran
            and each.instruction is not None
            and here.instruction is not None
            and line < here.instruction.line
            and takes(each.instruction, chosen)
        ):
            return each
    return None


def _finding(
    install: KnownStep,
    breaker: KnownStep | None,
    packages: tuple[str, ...],
    chosen: str,
    place: str,
    names: tuple[str, ...],
    read: Callable[[str], str],
) -> ImageFinding:
    run, copy = install.instruction, None if breaker is None else breaker.instruction
    assert run is not None
    what = f"a change of {chosen} installs packages again"
    if packages:
        what += f": {first_and_count(packages, 4)}"
    why = f"`{install.step.text[:120]}` was carried out again"
    mend = ""
    if copy is not None:
        own = "its own mount" if copy is run else f"`{copy.word} {copy.rest}` at line {copy.line}"
        why += f", because {own} takes {chosen} along" + ("" if copy is run else " before it")
        stage = () if install.stage is None else install.stage.body
        mend = reordered(copy, run, install.installs, names, read, stage)
    return ImageFinding(
        "CA001",
        Severity.ERROR,
        what,
        place,
        run.line,
        why=why,
        mend=mend,
        cost_s=install.step.duration_s,
        link=_ORDER,
    )


def _headline(builds: _Builds, steps: tuple[KnownStep, ...]) -> str:
    again = sum(each.ran for each in steps)
    parts = [f"{builds.touched} changed: {again} of {len(steps)} steps ran again"]
    cold = [] if builds.cold is None else [f"cold {builds.cold.duration_s:.1f} s"]
    warm, changed = builds.warm.duration_s, builds.changed.duration_s
    return ", ".join([*parts, *cold, f"warm {warm:.1f} s", f"source changed {changed:.1f} s"])


def _figures(
    builds: _Builds, steps: tuple[KnownStep, ...]
) -> Iterator[tuple[str, float | int | None]]:
    yield "cold_s", None if builds.cold is None else round(builds.cold.duration_s, 2)
    yield "warm_s", round(builds.warm.duration_s, 2)
    yield "changed_s", round(builds.changed.duration_s, 2)
    yield "steps", len(steps)
    yield "steps_again", sum(each.ran for each in steps)


def _table(steps: tuple[KnownStep, ...]) -> CheckTable:
    rows = [
        CheckRow(f"line {each.instruction.line}" if each.instruction else "", None,
                 f"{each.step.duration_s:.1f} s  {each.step.text}")
        for each in steps
        if each.ran
    ]  # fmt: skip
    return CheckTable("steps that ran again", tuple(rows[:_MOST_ROWS]))


def _text(context: Path, name: str) -> str:
    """Of a file of the context; "" where it cannot be read."""
    with suppress(OSError):
        return (context / name).read_text(encoding="utf-8", errors="replace")
    return ""


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
