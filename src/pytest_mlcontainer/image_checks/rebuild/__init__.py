"""The check `rebuild`: two builds without a cache give the same layers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pytest_mlcontainer.dockerfile import parse_instructions, read_dockerfile
from pytest_mlcontainer.engines.registry import try_build
from pytest_mlcontainer.engines.trial_builds import TrialBuild
from pytest_mlcontainer.errors import BuildError, NothingChecked
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.lint.stages import Recipe, parse_recipe
from pytest_mlcontainer.image_checks.rebuild.archive import ImageArchive
from pytest_mlcontainer.image_checks.rebuild.comparing import LayerChange, compare_builds
from pytest_mlcontainer.image_checks.rebuild.diffoscope import looked_inside
from pytest_mlcontainer.image_checks.rebuild.findings import findings_of, layer_instructions
from pytest_mlcontainer.image_checks.rebuild.interventions import (
    INTERVENTIONS,
    Intervention,
    changed_text,
)
from pytest_mlcontainer.image_checks.rebuild.reasons import (
    BuildTimes,
    ExplainedFile,
    explain,
)
from pytest_mlcontainer.model import (
    CheckReport,
    CheckRow,
    CheckTable,
    ImageFinding,
    Platform,
    Severity,
)
from pytest_mlcontainer.storage import cache_in_use
from pytest_mlcontainer.temporary import temporary_folder

EPOCH: Final = 315_532_800
"""1980-01-01, where nobody sets SOURCE_DATE_EPOCH: before it, zip archives have no time."""

_NAME: Final = "SOURCE_DATE_EPOCH"
_NO_EXPORT: Final = ("exporter is not supported", "exporter is not currently supported")
_MOST_ROWS: Final = 100


@dataclass(frozen=True)
class _TwoBuilds:
    """What came of two builds of one Dockerfile."""

    changes: tuple[LayerChange, ...]
    history: tuple[str, ...]
    times: BuildTimes
    config: tuple[str, ...]
    build_s: float

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(file.path for layer in self.changes for file in layer.files)


def check_rebuild(inputs: CheckInputs) -> CheckReport:
    """Build twice without a cache, and say why the layers differ where they do.

    Raises:
        NothingChecked: the engine's builder does not hand out what it builds.
        EngineError, BuildError: it cannot build it.
    """
    platform = inputs.platform
    assert platform is not None
    build = inputs.settings.build
    text = read_dockerfile(build.dockerfile)
    recipe = parse_recipe(tuple(parse_instructions(text)), build.target, dict(build.args))
    with cache_in_use(inputs.cache, whole=False):
        two = _build_twice(inputs, platform, build.dockerfile)
    explained = [explain(layer.files, two.times) for layer in two.changes]
    explained = [looked_inside(inputs, each) for each in explained]
    confirmed = dict(_confirmed(inputs, platform, text, explained))
    findings = (*_findings(inputs, two, recipe, explained, confirmed), *_of_config(two))
    return replace(
        inputs.report(findings, tuple(_notes(inputs, two))),
        headline=_headline(two),
        figures=(
            ("layers", len(two.history)),
            ("layers_differing", len(two.changes)),
            ("files_differing", sum(len(layer.files) for layer in two.changes)),
            ("build_s", round(two.build_s, 2)),
        ),
        tables=tuple(_tables(two, explained)),
        tables_shown=False,
    )


def _build_twice(inputs: CheckInputs, platform: Platform, dockerfile: Path) -> _TwoBuilds:
    with temporary_folder() as folder:
        began = time.time()
        archives = []
        for number in (1, 2):
            inputs.log(f"building without a cache, {number} of 2")
            archives.append(_built(inputs, platform, dockerfile, folder / f"{number}.tar"))
        ended = time.time()
        first, second = archives
        changes = compare_builds(first, second)
        history = tuple(layer.instruction for layer in first.layers)
        config = tuple(_differing(first.config, second.config))
    return _TwoBuilds(changes, history, BuildTimes(began, ended), config, (ended - began) / 2)


def _built(
    inputs: CheckInputs, platform: Platform, dockerfile: Path, archive: Path
) -> ImageArchive:
    build = replace(inputs.settings.build, dockerfile=dockerfile)
    how = TrialBuild(cached=False, archive=archive, epoch=_epoch(inputs))
    endpoint, environ, processes = inputs.endpoint, inputs.environ, inputs.processes
    try:
        try_build(endpoint, environ, processes, build, platform, how, inputs.log, inputs.hidden)
    except BuildError as error:
        lines = error.value.splitlines()
        said = [line for line in lines if any(each in line.lower() for each in _NO_EXPORT)]
        if not said:
            raise
        raise NothingChecked(
            "the engine's builder does not hand out the layers that it builds",
            said[0].strip(),
            "use containerd's image store (`features.containerd-snapshotter` in the engine's "
            "daemon.json), or a builder of its own: `docker buildx create --driver "
            'docker-container --name own`, and builder = "own" in [tool.mlcontainer]',
        ) from error
    return ImageArchive(archive)


def _epoch(inputs: CheckInputs) -> int:
    set_to = dict(inputs.settings.build.args).get(_NAME) or inputs.environ.get(_NAME, "")
    return int(set_to) if set_to.isdigit() else EPOCH


def _differing(first: Mapping[str, object], second: Mapping[str, object]) -> Iterator[str]:
    """Names in the image's configuration that differ beside its layers."""
    for name in sorted({*first, *second} - {"rootfs", "history"}):
        if first.get(name) != second.get(name):
            yield name


def _confirmed(
    inputs: CheckInputs,
    platform: Platform,
    text: str,
    explained: list[tuple[ExplainedFile, ...]],
) -> Iterator[tuple[str, str]]:
    """Paths that two builds agree on once the Dockerfile was changed, with that change."""
    if inputs.check.value("interventions") is False:
        return
    left = {each.change.path: each.reason for layer in explained for each in layer}
    for each in INTERVENTIONS:
        if not any(reason in each.reasons for reason in left.values()):
            continue
        try:
            two = _tried(inputs, platform, text, each)
        except BuildError:  # the change is not for this Dockerfile
            continue
        ended = [path for path, reason in left.items()
                 if reason in each.reasons and path not in two.paths]  # fmt: skip
        for path in ended:
            yield path, each.shown
            del left[path]


def _tried(
    inputs: CheckInputs, platform: Platform, text: str, intervention: Intervention
) -> _TwoBuilds:
    original = inputs.settings.build.dockerfile
    inputs.log(f"trying {intervention.shown}")
    with temporary_folder() as folder:
        dockerfile = folder / original.name
        dockerfile.write_text(changed_text(text, intervention.lines), encoding="utf-8")
        ignore = original.with_name(f"{original.name}.dockerignore")
        if ignore.exists():
            dockerfile.with_name(ignore.name).write_bytes(ignore.read_bytes())
        return _build_twice(inputs, platform, dockerfile)


def _findings(
    inputs: CheckInputs,
    two: _TwoBuilds,
    recipe: Recipe,
    explained: list[tuple[ExplainedFile, ...]],
    confirmed: Mapping[str, str],
) -> Iterator[ImageFinding]:
    made = layer_instructions(recipe, two.history)
    dockerfile, root = inputs.settings.build.dockerfile, inputs.settings.root
    within = dockerfile.is_relative_to(root)
    place = dockerfile.relative_to(root).as_posix() if within else str(dockerfile)
    for layer, files in zip(two.changes, explained, strict=True):
        instruction = made[layer.number] if layer.number < len(made) else None
        yield from findings_of(
            layer.number, instruction, layer.instruction, files, confirmed, place, recipe
        )


def _of_config(two: _TwoBuilds) -> Iterator[ImageFinding]:
    if two.config:
        yield ImageFinding(
            "RB012",
            Severity.ERROR,
            f"the image's configuration differs: {', '.join(two.config)}",
            mend="set no label or variable to the time or the commit of the build",
        )


def _notes(inputs: CheckInputs, two: _TwoBuilds) -> Iterator[str]:
    unread = [layer.number + 1 for layer in two.changes if not layer.files]
    if unread:
        yield (
            f"layers {', '.join(map(str, unread))} differ in nothing that is compared here: "
            "extended attributes, or how the builder packed them"
        )
    if _epoch(inputs) == EPOCH and two.changes:
        yield f"{_NAME} is not set; {EPOCH} (1980) was taken"


def _headline(two: _TwoBuilds) -> str:
    count = len(two.history)
    if not two.changes:
        return f"two builds without a cache have the same {count} layers"
    return f"{len(two.changes)} of {count} layers differ between two builds without a cache"


def _tables(two: _TwoBuilds, explained: list[tuple[ExplainedFile, ...]]) -> Iterator[CheckTable]:
    for layer, files in zip(two.changes, explained, strict=True):
        rows = [
            CheckRow(f"/{each.change.path}", None, f"{each.reason.value}  {each.evidence}")
            for each in files[:_MOST_ROWS]
        ]
        yield CheckTable(f"layer {layer.number + 1}: {layer.instruction[:120]}", tuple(rows))
