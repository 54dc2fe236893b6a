"""What of an image is not there whatever it runs: why it is not built, or starts nothing."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Final

from pytest_mlcontainer.cli.unmet_needs import OF_THE_SYSTEM, ImageProvisions
from pytest_mlcontainer.dockerfile import command_words

_FROM_AFAR: Final = re.compile(r"://|^git@|\.whl$")  # a wheel may be made before the build
# Images that hold no project's programs.
_BARE_BASE: Final = re.compile(
    r"(?:docker\.io/)?(?:library/)?(?:python|ubuntu|debian|alpine|centos|rockylinux|amazonlinux"
    r"|fedora|pypy|buildpack-deps|node)(?:[:@].*)?"
    r"|(?:continuumio|condaforge|mambaorg|tensorflow|pytorch|nvidia|jupyter|rayproject)/.*"
    r"|nvcr\.io/nvidia/.*|ghcr\.io/astral-sh/uv.*|quay\.io/jupyter/.*"
)


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
    script = next((each for each in words if each.endswith((".py", ".sh"))), "")
    if not script or set("$*:") & set(script) or "-m" in words or "cd" in words:
        return ""
    known = _BARE_BASE.fullmatch(recipe.base) is not None and not gives.makes_files
    named = any(Path(script).name in run for run in recipe.runs)
    place = posixpath.normpath(posixpath.join("/", recipe.workdir, script))
    brought = any("$" in each or Path(place).is_relative_to(each) for each in recipe.brought)
    if not known or named or brought or place.startswith(OF_THE_SYSTEM) or gives.has(script):
        return ""
    return f"the image starts {script}, which it does not have"
