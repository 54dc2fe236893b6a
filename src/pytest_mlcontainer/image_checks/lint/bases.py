"""Which image a Dockerfile begins with, and as whom the result runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction, near_stage
from pytest_mlcontainer.image_checks.lint.stages import Recipe, Stage, pairs, substitute
from pytest_mlcontainer.model import ImageFinding, Severity

_PIN: Final = "https://docs.docker.com/build/building/best-practices/#pin-base-image-versions"
_USER: Final = "https://docs.docker.com/build/building/best-practices/#user"
_MOVED: Final = re.compile(
    r"(latest|nightly|edge|main|master|dev|rolling|stable|testing|unstable|sid|canary)([-.].*)?$"
)
# Bases that come with a user of their own.
_OWN_USER: Final = (
    "jupyter/", "quay.io/jupyter/", "mambaorg/micromamba", "bitnami/", "cgr.dev/chainguard/",
    "public.ecr.aws/lambda/", "apache/airflow", "apache/spark", "registry.access.redhat.com/",
    "rayproject/", "gitpod/workspace-", "cimg/",
)  # fmt: skip


def base_findings(recipe: Recipe, place: str, replaced: frozenset[str]) -> Iterator[ImageFinding]:
    """Bases that are not pinned, and an image that runs as root.

    Args:
        place: of the Dockerfile, as findings name it.
        replaced: images that named build contexts stand for.
    """
    for stage in recipe.stages:
        if stage.parent is None and stage.base and stage.base not in replaced:
            yield from _unpinned(stage.base, stage.start.line, place)
        for each, image in ((one, image) for one in stage.body for image in _sources(one)):
            if _is_image(image, recipe, replaced) and _floats(image):
                near = near_stage((one.name for one in recipe.stages), image)
                slip = f"--from={near}, if that stage is meant; else\n" if near else ""
                yield from (
                    replace(one, mend=slip + one.mend) for one in _unpinned(image, each.line, place)
                )
    if recipe.final is not None:
        yield from _root(recipe.final, place)


def _sources(each: Instruction) -> Iterator[str]:
    """What a COPY, or a mount of a RUN, takes files from, besides the context."""
    for name, value in each.flags:
        if name == "from":
            yield value
        elif name == "mount":
            yield from re.findall(r"(?:^|,)from=([^,]+)", value)


def _is_image(name: str, recipe: Recipe, replaced: frozenset[str]) -> bool:
    """Whether a COPY's `--from` is an image, and no stage, context or variable."""
    known = {stage.name for stage in recipe.stages} | replaced
    return bool(name) and "$" not in name and not name.isdigit() and name.lower() not in known


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _floats(image: str) -> bool:
    """Whether its tag is one that is moved with each release."""
    return "@" not in image and (not _tag(image) or _MOVED.match(_tag(image)) is not None)


def _unpinned(base: str, line: int, place: str) -> Iterator[ImageFinding]:
    name, _, digest = base.partition("@")
    if digest or name == "scratch":
        return
    tag, floats = _tag(base), _floats(base)
    if floats:
        what = f"{base} has no version" if not tag else f"{base} is whatever is newest"
    else:
        what = f"{base} is pinned by its tag alone, which may be moved"
    yield ImageFinding(
        rule="ML001",
        severity=Severity.WARNING if floats else Severity.INFO,
        what=what,
        place=place,
        line=line,
        why="the same Dockerfile builds another image tomorrow, with other libraries and numbers",
        mend=f"{name.removesuffix(f':{tag}') if floats else name}{':VERSION' if floats else ''}"
        "@sha256:…\n"
        f"docker buildx imagetools inspect {name} shows the digest of today",
        link=_PIN,
    )


def _root(final: Stage, place: str) -> Iterator[ImageFinding]:
    """Where nobody else is named: base images run as root, but for some that are known."""
    users = [each for stage in final.lineage for each in stage.body if each.word == "USER"]
    last = users[-1] if users else None
    if last is not None and not _is_root(last.rest, final):
        return
    words = {each.word for stage in final.lineage for each in stage.body}
    if final.image == "scratch" and not words & {"CMD", "ENTRYPOINT"}:
        return  # files to be copied out, which nobody runs
    base = (final.image or "").removeprefix("docker.io/")
    if last is None and (final.image is None or _brings_a_user(base)):
        return
    yield ImageFinding(
        rule="ML006",
        severity=Severity.INFO if last is None else Severity.WARNING,
        what="the image runs as root"
        if last is not None
        else "no USER is set, so that the image runs as its base does, mostly as root",
        place=place,
        line=(final.start if last is None else last).line,
        why="whoever breaks out of the program owns the container, and files that it writes to "
        "mounted folders belong to root",
        mend="RUN useradd --create-home --uid 1000 app\nUSER app",
        link=_USER,
    )


def _is_root(user: str, final: Stage) -> bool:
    """Whether a USER names root, perhaps by a variable that the Dockerfile gives a value."""
    known = {
        name: value
        for stage in final.lineage
        for each in stage.body
        if each.word in ("ARG", "ENV")
        for name, value in pairs(each)
    }
    named = substitute(user, known) or ""
    return named.partition(":")[0].strip("\"'") in ("root", "0")


def _brings_a_user(base: str) -> bool:
    return base.startswith(_OWN_USER) or "nonroot" in base or "rootless" in base
