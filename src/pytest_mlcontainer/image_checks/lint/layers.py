"""What installing leaves in the image's layers, and installing in an order that caches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.installs import (
    UV,
    PackageCache,
    cache_mounts,
    cache_of,
    installs_folder_alone,
    installs_project,
    is_conda_install,
    is_mounted,
    keeps_no_cache,
    lists,
    requires_something,
)
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe, Stage, pairs
from pytest_mlcontainer.model import ImageFinding, Severity

_CACHE_MOUNTS: Final = "https://docs.docker.com/build/cache/optimize/#use-cache-mounts"
_ORDER: Final = "https://docs.docker.com/build/cache/optimize/#order-your-layers"
_APT_REMOVED: Final = (
    re.compile(r"/var/lib/(apt|\*)"),
    re.compile(r"/var/lib/(apt|\*|\{.*\bapt\b)"),
)
_LISTS: Final = "/var/lib/apt/lists"


def layer_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Caches that stay in layers of the image. Stages that are not in it cost nothing."""
    for stage in recipe.in_image:
        known = dict[str, str]() if stage.parent is None else stage.parent.environment()
        for each in stage.body:
            if each.word == "SHELL":
                known["SHELL of RUN"] = each.rest
            if each.word in ("ENV", "ARG"):
                known |= dict(pairs(each))
            elif each.word == "RUN":
                yield from _left(each, known, place)


def order_findings(recipe: Recipe, place: str, context: Path) -> Iterator[ImageFinding]:
    """Sources that are copied before the dependencies are installed."""
    for stage in recipe.stages:
        found = _installed_late(stage, context)
        if found is None:
            continue
        copied, run = found
        cached = any(cache_mounts(run))
        yield ImageFinding(
            rule="ML013",
            severity=Severity.INFO if cached else Severity.WARNING,
            what=f"the dependencies are installed after line {copied.line} has copied sources",
            place=place,
            line=run.line,
            why="every change of any of these files installs all dependencies anew"
            + (", though without a download" if cached else ""),
            mend="COPY only what lists them (pyproject.toml, the lock, requirements.txt), install, "
            f"and put `{copied.word} {copied.rest}` after it",
            link=_ORDER,
        )


def _left(each: Instruction, known: dict[str, str], place: str) -> Iterator[ImageFinding]:
    commands = shell_commands(each)
    if any("clean" in command.program.lower() for command in commands):
        return  # a script that is not read, for all that may be left
    told = set[str]()
    for command in commands:
        cache = cache_of(command)
        if cache is None or cache.tool in told:
            continue
        if not keeps_no_cache(command, cache, each, commands, known):
            told.add(cache.tool)
            yield _cache_finding(cache, each, place, known)
    if any(map(is_conda_install, commands)) and not _cleans_conda(each, commands):
        yield _conda_finding(each, place)
    braces = "bash" in known.get("SHELL of RUN", "")  # Debian's sh expands none
    if _leaves_lists(each, commands, braces=braces):
        yield _lists_finding(each, place)


def _cache_finding(
    cache: PackageCache, each: Instruction, place: str, known: dict[str, str]
) -> ImageFinding:
    # uv installs by hard links into its cache: then a wheel is in the layer once.
    linked = cache is UV and known.get("UV_LINK_MODE", "hardlink") != "copy"
    empty = f"{' '.join(cache.cleaning)} clean --force"
    why = "what it downloads and builds is in the image twice, as files of the cache too"
    if linked:
        why = "data of the index, sources and builds stay in the image; wheels too, though as links"
    return ImageFinding(
        rule="ML002",
        severity=Severity.INFO if linked else Severity.WARNING,
        what=f"{cache.tool} leaves its cache in the layer",
        place=place,
        line=each.line,
        why=why,
        mend=f"RUN --mount=type=cache,target=/root/{cache.folder} … (faster, too)\n"
        + (f"or {cache.options[0]}" if cache.options else f"or empty it in the same RUN: {empty}"),
        link=_CACHE_MOUNTS,
    )


def _conda_finding(each: Instruction, place: str) -> ImageFinding:
    return ImageFinding(
        rule="ML004",
        severity=Severity.WARNING,
        what="conda leaves its downloads in the layer",
        place=place,
        line=each.line,
        why="archives and index caches stay below pkgs/ beside what was installed from them",
        mend="add `&& conda clean --all --yes` to the same RUN (micromamba: `micromamba clean "
        "--all --yes`)\nor RUN --mount=type=cache,target=/opt/conda/pkgs …",
        link="https://docs.conda.io/projects/conda/en/stable/commands/clean.html",
    )


def _lists_finding(each: Instruction, place: str) -> ImageFinding:
    return ImageFinding(
        rule="ML003",
        severity=Severity.INFO,
        what="apt leaves its package lists in the layer",
        place=place,
        line=each.line,
        why="they are some 20 to 50 MB and outdated tomorrow; a later RUN that removes them frees "
        "nothing",
        mend=f"add `&& rm -rf {_LISTS}/*` to the same RUN",
        link="https://docs.docker.com/build/building/best-practices/#apt-get",
    )


def _cleans_conda(each: Instruction, commands: tuple[ShellCommand, ...]) -> bool:
    if any(mount.endswith("/pkgs") for mount in cache_mounts(each)):
        return True
    return any(
        (each.program in ("conda", "mamba", "micromamba") and "clean" in each.words)
        or (each.program in ("rm", "find") and any("/pkgs" in word for word in each.words))
        for each in commands
    )


def _leaves_lists(each: Instruction, commands: tuple[ShellCommand, ...], *, braces: bool) -> bool:
    updates = any(
        command.program in ("apt-get", "apt", "aptitude") and "update" in command.words[1:]
        for command in commands
    )
    removes = any(
        command.program in ("rm", "find")
        and any(_APT_REMOVED[braces].search(word) for word in command.words)
        for command in commands
    )
    return updates and not removes and not is_mounted(each, (_LISTS,))


def _installed_late(stage: Stage, context: Path) -> tuple[Instruction, Instruction] | None:
    """The COPY of everything, and the first install after it; None where one came before."""
    before = stage.lineage[:-1]
    if any(_installs(each, context) for one in before for each in one.body):
        return None
    everything: Instruction | None = None
    folder: Instruction | None = None
    for each in stage.body:
        if _installs(each, context):
            # Of a folder's sources only what is listed in a file is known to need none.
            copied = everything or (folder if any(map(lists, shell_commands(each))) else None)
            return None if copied is None else (copied, each)
        if everything is None and set(each.copied[0]) & {".", "*", "/"}:
            everything = each
        if folder is None and any(_has_sources(context / one) for one in each.copied[0]):
            folder = each
    return None


def _has_sources(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.py"))


def _installs(each: Instruction, context: Path) -> bool:
    """Whether it installs dependencies that the project declares."""
    return any(
        installs_project(command)
        and not (installs_folder_alone(command) and requires_something(context) is False)
        for command in shell_commands(each)
    )
