"""Why a command that an engine could not execute is not there, seen in the container itself.

An engine says "no such file or directory" of a file that is there, when what is missing is the
interpreter of its first line, what a link leads to, or the loader that a binary names.
"""

from __future__ import annotations

import posixpath
import re
from contextlib import closing
from dataclasses import dataclass, replace

from pytest_mlcontainer.engines import Container
from pytest_mlcontainer.errors import EngineError, OutputError
from pytest_mlcontainer.model import Entrypoint, Failure, Image
from pytest_mlcontainer.outputs.tar import Content, DamagedTarError, TarMemberKind, read_members

_HEAD_BYTES = 4096
_LINKS = 8
_ELF = b"\x7fELF"
_LOADER = re.compile(rb"/[\w./-]*/ld-[\w.+-]+")
_VENV = "made in the image, in its last stage, or copied together with that Python"


@dataclass(frozen=True)
class _Found:
    """What lies at a path: where its links end, the link that leads nowhere, or its first bytes."""

    path: str
    dangling: str = ""
    head: bytes = b""


def why_not_executed(
    container: Container, entry: Entrypoint, image: Image, workdir: str
) -> Failure | None:
    """Why an entrypoint's command cannot be executed; None where its first word just is not there,
    or nothing else can be seen.

    Raises:
        EngineLostError: the engine went away.
    """
    first = image.entrypoint if entry.entrypoint is None else entry.entrypoint
    # Docker drops the image's CMD where the ENTRYPOINT is another.
    default = image.command if entry.entrypoint is None else ()
    command = (*first, *(entry.command or default))
    if not command:
        return None
    for path in _places(command[0], image, workdir):
        found = _look(container, path)
        if found is not None:
            return _explain(container, path, found, image)
    return None


def _places(program: str, image: Image, workdir: str) -> list[str]:
    if "/" in program:
        return [posixpath.normpath(posixpath.join("/", workdir, program))]
    folders = dict(image.env).get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    return [posixpath.join(folder, program) for folder in folders if folder.startswith("/")]


def _explain(container: Container, path: str, found: _Found, image: Image) -> Failure | None:
    if found.dangling:
        return _leads_nowhere(path, found)
    if found.head.startswith(b"#!"):
        return _of_script(container, path, found.head, image)
    loader = _LOADER.search(found.head) if found.head.startswith(_ELF) else None
    if loader is not None:
        name = loader.group().decode("utf-8", "replace")
        if _look(container, name) is None:
            return Failure(
                "the command is a program for another C library or platform",
                f"{path} asks for the loader {name}, which is not in the image",
                "Alpine's musl and glibc do not run each other's programs: use a base with glibc "
                "(python:3.13-slim), or install the build for the one that the image has",
            )
    return None


def _of_script(container: Container, path: str, head: bytes, image: Image) -> Failure | None:
    line = head[2:].partition(b"\n")[0].decode("utf-8", "replace")
    words = line.split()
    if line.endswith("\r"):
        return Failure(
            "the script has the line ends of Windows",
            f"{path} begins with {'#!' + line!r}, whose last character is part of the name",
            "let Git keep its line ends (`*.sh text eol=lf` in .gitattributes), or remove them in "
            "the Dockerfile: `RUN sed -i 's/\\r$//' …`",
        )
    if not words:
        return None
    interpreter = words[0]
    places = [interpreter]
    if posixpath.basename(interpreter) == "env" and len(words) > 1:
        interpreter = words[2] if words[1] == "-S" and len(words) > 2 else words[1]
        places = _places(interpreter, image, "/")
    for place in places:
        found = _look(container, place)
        if found is not None:
            if not found.dangling:
                return None
            return replace(
                _leads_nowhere(place, found),
                what="the script's interpreter is a link that leads nowhere",
            )
    return Failure(
        "the script's interpreter is not in the image",
        f"{path} begins with {'#!' + line!r}, and there is no {interpreter}",
        "name one that is there in its first line (`#!/bin/sh`, `#!/usr/bin/env python3`), install "
        'it, or call one that is: command = ["python", "…"]',
    )


def _leads_nowhere(path: str, found: _Found) -> Failure:
    return Failure(
        "the command is a link that leads nowhere",
        f"{path} leads to {found.dangling}, which is not in the image",
        f"a venv holds links to the Python that it was made with: it has to be {_VENV}; "
        "`.dockerignore` keeps one of this machine out of the image",
    )


def _look(container: Container, path: str) -> _Found | None:
    """What lies at a path; None where nothing does."""
    first = path
    for _ in range(_LINKS):
        member = _first_member(container, path)
        if member is None:
            return None if path == first else _Found(first, dangling=path)
        kind, target, head = member
        if kind is not TarMemberKind.SYMLINK:
            return _Found(path, head=head)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return None


def _first_member(container: Container, path: str) -> tuple[TarMemberKind, str, bytes] | None:
    try:
        stream = container.get(path)
        if stream is None:
            return None
        with closing(stream):
            content = Content(stream)
            for member in read_members(content):
                head = b""
                while (
                    member.kind is TarMemberKind.FILE and len(head) < _HEAD_BYTES and content.left
                ):
                    head += content.read(_HEAD_BYTES - len(head)).tobytes()
                return member.kind, member.target, head
    except (EngineError, OutputError, DamagedTarError):
        return None
    return None
