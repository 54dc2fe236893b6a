"""Libraries of servers that an image does not install, by what its Dockerfile and lists say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from pytest_mlcontainer.cli.source_files import read_source
from pytest_mlcontainer.dockerfile import DockerfileSummary

_PYTHON: Final = re.compile(r"(?:docker\.io/)?(?:library/)?python(?::.*)?")
# Those who bring one without its name in theirs.
_ALSO_BRING: Final = {
    "flask": ("mlflow", "dash", "connexion", "flasgger", "locust", "airflow"),
    "fastapi": ("gradio", "bentoml", "mlserver", "litserve", "mlflow", "zenml", "vllm", "ray"),
    "streamlit": (),
    "gradio": (),
}
_OTHERWISE: Final = re.compile(
    r"\s-r[^\s=f]|\b(?:poetry|pipenv|pdm|pixi|conda|mamba|uv sync|setup\.py)\b"
    r"|\bapt\S* install[^&;|]*python3?-\w"
    r"|\binstall (?:\S+ )*(?:-e\b|--editable|\.{1,2}(?:[\s/\[]|$)|/|\S+\.whl|\$)"
)
_LISTED_IN: Final = re.compile(r"(?:-r|--requirement)[ =]\s*[\"']?([^\s\"';&|]+)")
_MORE: Final = re.compile(r"(?m)^\s*(?:-r|-c|-e|--requirement|\.|/)|\.whl\b|\x00|\ufffd")


def absent_library(
    root: Path, names: Iterable[str], recipe: DockerfileSummary, context: Collection[str]
) -> str:
    """The first library of servers among modules that the image does not install; "" where there
    is none, and where not all is known that it installs.

    Args:
        names: of modules that a program imports.
        context: files of the project that a build gets.
    """
    asked = [name for name in names if name in _ALSO_BRING]
    installed = _installed(root, recipe, context) if asked else None
    if installed is None:
        return ""
    return next((name for name in asked if not _brings(installed, name)), "")


def _brings(installed: str, name: str) -> bool:
    return (
        re.search(rf"{name}|\b(?:{'|'.join(_ALSO_BRING[name] or (name,))})\b", installed)
        is not None
    )


def _installed(root: Path, recipe: DockerfileSummary, context: Collection[str]) -> str | None:
    """All that says what is installed, in small letters; None where not all is known."""
    runs = "\n".join(recipe.runs)
    if not _PYTHON.fullmatch(recipe.base) or recipe.brought or _OTHERWISE.search(runs):
        return None
    texts = [runs]
    for path in _LISTED_IN.findall(runs):
        found = [each for each in context if Path(each).name == Path(path).name]
        text = read_source(root / found[0]) if len(found) == 1 else ""
        if not text or _MORE.search(text):
            return None
        texts.append(text)
    return "\n".join(texts).lower()
