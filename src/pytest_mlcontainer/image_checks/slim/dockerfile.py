"""A Dockerfile whose image leaves things out: another one, and the lines that are added to it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pytest_mlcontainer.dockerfile import parse_instructions
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.image_checks.slim.unneeded import Unneeded
from pytest_mlcontainer.model import BuildSettings, Image

_FULL = "full"
_TRIMMED = "trimmed"


@dataclass(frozen=True)
class SlimDockerfile:
    """A Dockerfile, and what of it is new.

    Args:
        stage: what the stage that it goes on from is called.
        renamed: the line of the FROM that had no name, from 1 on; None where it had one.
        added: the lines at its end.
    """

    text: str
    stage: str
    renamed: int | None
    added: str


def slim_dockerfile(
    original: str | None, image: Image, build: BuildSettings, left_out: Iterable[Unneeded],
    files: Collection[str],
) -> SlimDockerfile:  # fmt: skip
    """One that makes the same image without some things.

    A later layer hides files and frees no room, so that what is left is copied into a new image:
    that has one layer, and is told again what the other's configuration says.

    Args:
        original: what the image was built of; None for an image that was not built here.
        build: with the arguments and the stage of that.
        files: all that a container sees, but for folders.
    """
    base, stage, renamed = _named(original, image, build)
    added = "\n".join(_added(stage, image, tuple(left_out), files)) + "\n"
    return SlimDockerfile(f"{base.rstrip()}\n\n{added}", stage, renamed, added)


def _named(original: str | None, image: Image, build: BuildSettings) -> tuple[str, str, int | None]:
    """The text with a name for the stage that is built."""
    if original is None:
        return f"FROM {image.reference} AS {_FULL}\n", _FULL, None
    recipe = parse_recipe(tuple(parse_instructions(original)), build.target, dict(build.args))
    assert recipe.final is not None  # it was built
    if recipe.final.name:
        return original, recipe.final.name, None
    taken = {each.name for each in recipe.stages}
    name = next(each for each in (_FULL, *(f"{_FULL}{n}" for n in range(2, 99)))
                if each not in taken)  # fmt: skip
    lines = original.split("\n")
    at = recipe.final.start.line - 1
    while lines[at].rstrip().endswith(("\\", "`")):  # a FROM of several lines
        at += 1
    lines[at] = f"{lines[at].rstrip()} AS {name}"
    return "\n".join(lines), name, at + 1


def _added(
    stage: str, image: Image, left_out: tuple[Unneeded, ...], files: Collection[str]
) -> Iterator[str]:
    yield f"FROM {stage} AS {_TRIMMED}"
    yield "USER root"
    packages = sorted(name for each in left_out for name in each.packages)
    if packages:
        yield _run("dpkg --purge", packages)
    paths = sorted(_shortest(frozenset(path for each in left_out for path in each.paths), files))
    if paths:
        yield _run("rm -rf", [f"/{path}" for path in paths])
    yield ""
    yield "FROM scratch"
    yield f"COPY --from={_TRIMMED} / /"
    yield from _configuration(image)


def _run(command: str, words: Iterable[str]) -> str:
    return " \\\n        ".join((f"RUN {command}", *map(shlex.quote, words)))


def _shortest(paths: frozenset[str], files: Collection[str]) -> Iterator[str]:
    """The same files, by the folders that hold nothing else where there are some."""
    every, gone = _below(files), _below(paths)
    whole = {folder for folder, count in gone.items() if every[folder] == count}
    for path in {*paths, *whole}:
        if path.rpartition("/")[0] not in whole:
            yield path


def _below(paths: Iterable[str]) -> Counter[str]:
    """How many files there are in each folder and below it."""
    found: Counter[str] = Counter()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder:
            found[folder] += 1
            folder = folder.rpartition("/")[0]
    return found


def _configuration(image: Image) -> Iterator[str]:
    """What the image's configuration says, as instructions."""
    for name, value in image.env:
        yield f"ENV {name}={_quoted(value)}"
    for name, value in image.labels:
        yield f"LABEL {_quoted(name)}={_quoted(value)}"
    for port in image.ports:
        yield f"EXPOSE {port}"
    if image.stop_signal:
        yield f"STOPSIGNAL {image.stop_signal}"
    if image.health[:1] == ("CMD-SHELL",):
        yield f"HEALTHCHECK CMD {image.health[1]}"
    elif image.health[:1] == ("CMD",):
        yield f"HEALTHCHECK CMD {json.dumps(image.health[1:])}"
    yield f"WORKDIR {image.workdir or '/'}"
    if image.user:
        yield f"USER {image.user}"
    if image.entrypoint:
        yield f"ENTRYPOINT {json.dumps(image.entrypoint)}"
    if image.command:
        yield f"CMD {json.dumps(image.command)}"


def _quoted(value: str) -> str:
    """In double quotes, with nothing that a build would replace."""
    for each in ("\\", '"', "$"):
        value = value.replace(each, f"\\{each}")
    return f'"{value}"'
