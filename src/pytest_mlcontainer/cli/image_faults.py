"""What of an image is not there whatever it runs: why it is not built, or starts nothing."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_mlcontainer.cli.scripts import does_nothing
from pytest_mlcontainer.cli.unmet_needs import OF_THE_SYSTEM, ImageProvisions
from pytest_mlcontainer.dockerfile import (
    DockerfileSummary,
    command_words,
    meant_words,
    shell_text,
)

_FROM_AFAR: Final = re.compile(r"://|^git@|\.whl$")  # a wheel may be made before the build
# Images that hold no project's programs.
_BARE_BASE: Final = re.compile(
    r"(?:docker\.io/)?(?:library/)?(?:python|ubuntu|debian|alpine|centos|rockylinux|amazonlinux"
    r"|fedora|pypy|buildpack-deps|node)(?:[:@].*)?"
    r"|(?:continuumio|condaforge|mambaorg|tensorflow|pytorch|nvidia|jupyter|rayproject)/.*"
    r"|nvcr\.io/nvidia/.*|ghcr\.io/astral-sh/uv.*|quay\.io/jupyter/.*"
)
_OPERATORS: Final = ("&&", "||", "|", "&", ";")
_ODD: Final = re.compile("[\\s\u2018-\u201f]")
_LAST_OF_ASCII: Final = 127
_PYTHON: Final = re.compile(r"python[\d.]*|-[uBEIOs]+")


def as_meant(recipe: DockerfileSummary, notes: list[str]) -> DockerfileSummary:
    """What a Dockerfile means whose CMD or ENTRYPOINT is a list that is no JSON.

    Args:
        notes: to which it adds that.
    """
    entrypoint, command = meant_words(recipe.entrypoint), meant_words(recipe.command)
    for word, said, words in (
        ("ENTRYPOINT", recipe.entrypoint, entrypoint),
        ("CMD", recipe.command, command),
    ):
        if words:
            text = shell_text(said)
            instead = "so Docker hands it to a shell as it is: `command` says what is meant"
            notes.append(f"{word} {text} is no JSON{_why_no_json(text)}, {instead}")
    command = command or recipe.command
    if entrypoint:
        return replace(recipe, entrypoint=(), command=(*entrypoint, *command))
    return replace(recipe, command=command)


def _why_no_json(text: str) -> str:
    """Of a list that is no JSON, the first thing that makes it so, where that is hard to see."""
    odd = next((each for each in text if ord(each) > _LAST_OF_ASCII and _ODD.match(each)), "")
    if odd:
        return f" ({unicodedata.name(odd, 'a sign').lower()}, U+{ord(odd):04X})"
    return " (single quotes)" if "'" in text else ""


def lost_copy(gives: ImageProvisions) -> str:
    """Why no build gets far: a line of the Dockerfile is no instruction, or it copies what is
    not there; "" where nothing says so."""
    for word, line in gives.recipe.unknown:
        return f"line {line} of the Dockerfile, {word.lower()}, is no instruction"
    for source, _place in gives.recipe.placed:
        known = not (set("*?[$") & set(source) or _FROM_AFAR.search(source))
        if known and not (gives.root / source).exists():
            return f"the build copies {source}, which the project does not have"
        if known and (gives.root / source).is_file() and source not in gives.context:
            return f"the build copies {source}, which .dockerignore leaves out"
    return ""


def absent_program(gives: ImageProvisions) -> str:
    """Why the image's own command does not start: it names a script that is not there; ""
    where it may be, and where nothing says so."""
    recipe = gives.recipe
    words = command_words((*recipe.entrypoint, *recipe.command))
    if "-m" in words or "cd" in words:
        return ""
    absent = (each for each in _scripts(words) if _is_absent(each, gives))
    script = next(absent, "")
    return f"the image starts {script}, which it does not have" if script else ""


def _scripts(words: Sequence[str]) -> Iterator[str]:
    """The first script of each command of a shell."""
    taken = False
    for word in words:
        if word in _OPERATORS:
            taken = False
        elif not taken and word.endswith((".py", ".sh")):
            taken = True
            yield word


def _is_absent(script: str, gives: ImageProvisions) -> bool:
    recipe = gives.recipe
    known = _BARE_BASE.fullmatch(recipe.base) is not None and not gives.makes_files
    named = any(Path(script).name in run for run in recipe.runs)
    place = posixpath.normpath(posixpath.join("/", recipe.workdir, script))
    brought = any("$" in each or Path(place).is_relative_to(each) for each in recipe.brought)
    elsewhere = set("$*:") & set(script) or place.startswith(OF_THE_SYSTEM)
    return known and not (named or brought or elsewhere or gives.has(script))


def idle_program(gives: ImageProvisions) -> str:
    """Why the image ends at once: the script that it starts does nothing; "" where it may."""
    recipe = gives.recipe
    words = command_words((*recipe.entrypoint, *recipe.command))
    at = next((at for at, each in enumerate(words) if each.endswith(".py")), 0)
    plain = at and all(_PYTHON.fullmatch(Path(each).name) for each in words[:at])
    if not plain or not gives.has(words[at]):
        return ""
    why = does_nothing(gives.source_at(words[at]), gives.modules)
    return f"the image starts {words[at]}, which {why}" if why else ""
