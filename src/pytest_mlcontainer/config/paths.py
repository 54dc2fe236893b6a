"""Paths as they may stand in the configuration: of the project, and inside a container."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from pytest_mlcontainer.config.values import parse_filled_text
from pytest_mlcontainer.config.words import nearest, show
from pytest_mlcontainer.errors import MlContainerError

_PLACEHOLDERS = ("os", "arch", "variant")


def parse_project_path(value: object) -> str:
    """A path below the project's folder, normalised, relative to it."""
    text = parse_filled_text(value)
    if text.startswith("/"):
        raise MlContainerError(
            "has to be relative to this file",
            show(text),
            "put the data in the project's folder and write its path from there",
        )
    return _without_climbing(text, "the project", "put the data in the project's folder")


def parse_container_path(value: object) -> str:
    """A path in a container: absolute, or relative to the working directory; normalised."""
    text = parse_filled_text(value)
    remedy = "write the absolute path in the container"
    path = _without_climbing(text, "the working directory", remedy)
    if path == "/":
        raise MlContainerError(
            "cannot be the container's root folder", show(text), "name a folder: /data"
        )
    return path


def parse_workdir(value: object) -> str:
    """An absolute container path."""
    path = parse_filled_text(value)
    if not path.startswith("/"):
        raise MlContainerError(
            "has to be an absolute path in the container", show(path), f"write {show('/' + path)}"
        )
    return _without_climbing(path, "the container", "write the path that it leads to")


def parse_output_glob(value: object) -> str:
    """A glob over container files; a trailing slash stands for everything in that folder."""
    text = parse_filled_text(value)
    glob = parse_container_path(text)
    if glob == ".":
        raise MlContainerError(
            "would take the whole working directory",
            show(text),
            'name the folder that the outputs are in: "outputs/*"',
        )
    return f"{glob}/**" if text.endswith("/") else glob


def _without_climbing(text: str, outside: str, remedy: str) -> str:
    if ".." in text.split("/"):
        raise MlContainerError(f"may not leave {outside} by ..", show(text), remedy)
    return re.sub("^/+", "/", posixpath.normpath(text))


def parse_local_path(value: object, root: Path) -> Path:
    """A path on this machine, anywhere, relative to `root` or absolute."""
    text = parse_filled_text(value)
    if "://" in text:
        raise MlContainerError("has to be a path on this machine", show(text), "write a path")
    return Path(os.path.normpath(root / text))


def parse_build_context(value: object, root: Path) -> str:
    """A named build context; a local path in it becomes absolute.

    `docker-image://…`, `oci-layout://PATH`, `https://…`, `git@…`, or a path.
    """
    text = parse_filled_text(value)
    for name in re.findall(r"\{([^{}]*)\}", text):
        if name not in _PLACEHOLDERS:
            found = nearest(name, _PLACEHOLDERS)
            hint = f"did you mean {{{found}}}? " if found else ""
            raise MlContainerError(
                f"unknown placeholder {show('{' + name + '}')}",
                show(text),
                hint + "known: {os}, {arch}, {variant}",
            )
    scheme, separator, rest = text.partition("://")
    if scheme == "oci-layout" and separator:
        return f"oci-layout://{os.path.normpath(root / rest)}"
    if separator or text.startswith("git@"):
        return text
    return os.path.normpath(root / text)
