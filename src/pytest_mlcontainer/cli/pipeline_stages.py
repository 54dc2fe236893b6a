"""Stages of DVC that an image can run, each with the ones whose files it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.cli.declared_commands import DeclaredCommand, dvc_stages, scripts_named
from pytest_mlcontainer.cli.image_holds import place_in_image
from pytest_mlcontainer.cli.project_commands import start_in_image
from pytest_mlcontainer.cli.unmet_needs import ImageProvisions
from pytest_mlcontainer.dockerfile import DockerfileSummary


@dataclass(frozen=True)
class PipelineStage:
    """A stage as an entrypoint.

    Args:
        argv: as the image starts it.
        writes: globs; () where none are declared.
        needs: names of other stages.
    """

    name: str
    source: str
    argv: tuple[str, ...]
    writes: tuple[str, ...]
    needs: tuple[str, ...]


def find_stages(
    root: Path, recipe: DockerfileSummary, gives: ImageProvisions, notes: list[str]
) -> tuple[list[PipelineStage], frozenset[str]]:
    """All stages; none where they are not understood or the image cannot run all, and then the
    scripts that may not start without the others.

    Args:
        notes: to which it adds why there are none.
    """
    stages = dvc_stages(root, notes)
    if not stages:
        return [], scripts_named(root)
    made = {glob.removesuffix("/**"): stage.name for stage in stages for glob in stage.writes}
    found: list[PipelineStage] = []
    for stage in stages:
        started = start_in_image(root, stage.words, recipe)
        missing = [each for each in stage.depends if not _is_there(root, each, made, recipe)]
        if started is None or missing:
            lacks = missing[0] if missing else " ".join(stage.words)
            notes.append(f"{stage.source} is not run: the image has no {lacks}")
            return [], _unready(root, stages, recipe)
        unmet = gives.unmet(started[2], started[1])
        lost = [each for each in unmet.files if not _is_there(root, each, made, recipe)]
        why = unmet.why_not(lost, serves=False)
        if why:
            notes.append(f"{stage.source} is not run: {why}")
            return [], _unready(root, stages, recipe) | frozenset(started[1])
        makers = (made[key] for each in stage.depends for key in made if _is_in(each, key))
        needs = tuple(_key(name) for name in dict.fromkeys(makers) if name != stage.name)
        found.append(PipelineStage(_key(stage.name), stage.source, started[1], stage.writes, needs))
    return found, frozenset()


def _unready(
    root: Path, stages: Sequence[DeclaredCommand], recipe: DockerfileSummary
) -> frozenset[str]:
    """What commands call the scripts of those stages that read what the image does not have."""
    found: set[str] = set()
    for stage in stages:
        if not all(_is_there(root, each, {}, recipe) for each in stage.depends):
            started = start_in_image(root, stage.words, recipe)
            found |= set() if started is None else {w for w in started[1] if w.endswith(".py")}
    return frozenset(found)


def _key(name: str) -> str:
    """A stage's name as one of an entrypoint."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _is_there(root: Path, path: str, made: Mapping[str, str], recipe: DockerfileSummary) -> bool:
    """Whether a stage finds what it reads: of a stage before it, in the image, or as an input."""
    if any(_is_in(path, each) for each in made):
        return True
    file = root / path
    inside = file.exists() and place_in_image(root, file, recipe) is not None
    return inside or (file.exists() and Path(path).parts[:1] == ("data",))


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder) or Path(folder).is_relative_to(path)
