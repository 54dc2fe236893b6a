"""What an image made by a Dockerfile holds of its project, and how a program there is started."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words

_STEP: Final = re.compile(r"&&|\|\||[;|\n]")
_PIP: Final = re.compile(r"\bpip3?(?:\.\d+)? install\b")
_WHOLE: Final = re.compile(
    r"\buv sync\b(?!.*--no-install-project)"
    r"|\bpoetry install\b(?!.*--no-root)"
    r"|\bpdm (?:install|sync)\b(?!.*--no-self)"
    r"|\bsetup\.py (?:install|develop)\b"
    r"|\b(?:flit|hatch|pixi) install\b"
    r"|\b(?:pipx|uv tool) install\b"
    r"|\bmake\b.*\binstall\b"
)
_LOCAL: Final = re.compile(r"""["']?(?:\.{1,2}(?:[/\[].*)?|/.*|.*\.whl|.*\.tar\.gz)["']?$""")
_WITH_A_FILE: Final = (
    "-r", "--requirement", "-c", "--constraint", "-f", "--find-links", "-t", "--target",
)  # fmt: skip
_SYSTEM_PYTHON: Final = re.compile(
    r"\b(?:apt|apt-get|apk|dnf|microdnf|yum)\b[^&;|]*\b(?:install|add)\b[^&;|]*\bpython3"
)
_ALSO_PYTHON: Final = re.compile(r"\bpython-is-python3\b|\bln\b.*/python(?:\s|$)|\bvenv\b|conda")
_OF_PACKAGES: Final = re.compile(
    r"python[\d.]*|uvicorn|gunicorn|fastapi|flask|hypercorn|waitress-serve|streamlit|mlflow|papermill"
    r"|jupyter|torchrun|dvc"
)
# What puts packages where plain `python` finds them, beside the environment.
_ELSEWHERE: Final = re.compile(
    r"\bpip3? (?:install|sync) [^&;|]*--system\b"
    r"|(?<!uv )\bpip3? install [^&;|]*(?:-r|--requirement)\b"
)
_ENVIRONMENT: Final = re.compile(r"v(?:irtual)?env.*/bin$")
_OUTSIDE_OF_ONE: Final = re.compile(r"(?i)virtualenvs[._]create[ =]+(?:false|0)\b")
_OF_TOOLS: Final = re.compile(r"poetry|/\.?uv\b|/\.local/|cargo|conda|cuda|^/usr/|^/s?bin$")
_RUNNERS: Final = (
    ("uv", "run"),
    ("poetry", "run"),
    ("pipenv", "run"),
    ("pdm", "run"),
    ("pixi", "run"),
)


def place_in_image(root: Path, file: Path, recipe: DockerfileSummary) -> PurePosixPath | None:
    """Where the image has a file of the project; None where nothing copies it there."""
    shown = PurePosixPath(file.relative_to(root).as_posix())
    found = [place for each in recipe.placed if (place := _placed(root, shown, *each))]
    if found:
        return found[-1]
    if any(_covers(source, shown) for source in recipe.copied):
        return PurePosixPath("/", recipe.workdir, shown)  # an earlier stage has it, or a variable
    return None


def file_at(
    root: Path, path: str, recipe: DockerfileSummary, context: Collection[str]
) -> str | None:
    """The project's file that a program in the image's working directory has under this name.

    Args:
        context: the files of the project that a build gets.
    """
    place = PurePosixPath(posixpath.normpath(posixpath.join("/", recipe.workdir, path)))
    if not recipe.placed:
        copied = any(_covers(source, PurePosixPath(path)) for source in recipe.copied)
        return path if copied and path in context else None
    for name in context:
        if name.endswith(place.suffix):
            shown = PurePosixPath(name)
            if any(_placed(root, shown, *each) == place for each in recipe.placed):
                return name
    return None


def shown_from(workdir: str, place: PurePosixPath) -> str:
    """How a command in this working directory names a file: relative where it is below."""
    here = PurePosixPath("/", workdir)
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


def installs_project(recipe: DockerfileSummary) -> bool:
    """Whether a step of the build installs the project, and its console scripts with it."""
    return any(_installs(step) for run in recipe.runs for step in _STEP.split(run))


def interpreter(recipe: DockerfileSummary) -> str:
    """What Python is called there: where the system's package manager installs it, it has no other
    name than `python3`."""
    steps = "\n".join(recipe.runs)
    if _SYSTEM_PYTHON.search(steps) and not _ALSO_PYTHON.search(steps):
        return "python3"
    return "python"


def runner(recipe: DockerfileSummary) -> tuple[str, ...]:
    """What a Python program has to be started through to find its packages; () for nothing.

    That is `uv run` or the like where the image's own command has it, or where the packages are in
    an environment that is not on PATH.
    """
    own = command_words((*recipe.entrypoint, *recipe.command))
    for words in _RUNNERS:
        if own[: len(words)] == words:
            return words
    return _runner_of_packages(recipe)


def started_through(recipe: DockerfileSummary) -> tuple[str, ...]:
    """How the image's own command finds its packages, where it does not by itself, because they are
    in an environment that is not on PATH; () where nothing says so."""
    own = command_words((*recipe.entrypoint, *recipe.command))
    through = _runner_of_packages(recipe)
    steps = "\n".join(recipe.runs)
    if not own or not through or not _OF_PACKAGES.fullmatch(own[0]) or _ELSEWHERE.search(steps):
        return ()
    may_be_one = any(not _OF_TOOLS.search(folder) for folder in recipe.path)
    if may_be_one or set(own) & {"&&", "||", ";", "|", "&"}:
        return ()
    if any("$" in word for word in own):
        return ("/bin/sh", "-c", " ".join((*through, *map(_quoted, own))))
    return (*through, *own)


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"[\s'();<>]", word) else word


def _runner_of_packages(recipe: DockerfileSummary) -> tuple[str, ...]:
    if any(_ENVIRONMENT.search(folder) for folder in recipe.path):
        return ()
    steps = "\n".join(recipe.runs)
    if re.search(r"\buv sync\b", steps) and "UV_PROJECT_ENVIRONMENT" not in recipe.variables:
        return ("uv", "run", "--no-sync")
    if re.search(r"\bpoetry install\b", steps):
        outside = _OUTSIDE_OF_ONE.search(steps)
        return () if outside or "POETRY_VIRTUALENVS_CREATE" in recipe.variables else _RUNNERS[1]
    return ()


def _placed(root: Path, shown: PurePosixPath, source: str, place: str) -> PurePosixPath | None:
    into = PurePosixPath("/" + place.strip("/"))
    if source == ".":
        return into / shown
    if (root / source).is_dir():
        inside = shown.is_relative_to(source)
        return into / shown.relative_to(source) if inside else None
    if not _covers(source, shown):
        return None
    return into / shown.name if place.endswith("/") or "*" in source else into


def _covers(source: str, shown: PurePosixPath) -> bool:
    """Whether a COPY of this source takes a file."""
    if source == "." or "$" in source:
        return True
    pattern = PurePosixPath(source)
    same_depth = len(pattern.parts) == len(shown.parts)
    return shown.is_relative_to(pattern) or (
        same_depth and fnmatch.fnmatchcase(str(shown), str(pattern))
    )


def _installs(step: str) -> bool:
    if _WHOLE.search(step):
        return True
    asked = _PIP.search(step)
    if asked is None:
        return False
    words = step[asked.end() :].split()
    named = (
        word
        for before, word in zip(("", *words), words, strict=False)
        if before not in _WITH_A_FILE and not word.startswith("-")
    )
    return any(_LOCAL.match(word) for word in named)
