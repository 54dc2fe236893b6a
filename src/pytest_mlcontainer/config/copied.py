"""Whether a build would copy a secret's file into a layer of the image."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from pytest_mlcontainer.dockerfile import copied_sources
from pytest_mlcontainer.globs import covers
from pytest_mlcontainer.model import Secret, Settings


def copied_secrets(settings: Settings) -> Iterator[tuple[Secret, str]]:
    """Each secret whose file a COPY or ADD takes from the context, and what that copies.

    Sources that come from a variable are not looked at.
    """
    build = settings.build
    runs = (secret for entry in settings.entrypoints for secret in entry.secrets)
    inside = [
        (secret, name)
        for secret in dict.fromkeys((*build.secrets, *runs))
        for name in (_name_in(build.context, secret.file),)
        if name is not None
    ]
    if not inside:
        return
    sources = copied_sources(_text(build.dockerfile))
    ignored = _ignored(build.dockerfile, build.context)
    for secret, name in inside:
        source = next((each for each in sources if _is_below(each, name)), None)
        if source is not None and not _is_ignored(ignored, name):
            yield secret, source


def _name_in(context: Path, file: Path | None) -> str | None:
    """The file as the context calls it; None for one that is elsewhere."""
    if file is None or not file.is_file():
        return None
    path, top = file.resolve(), context.resolve()
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else None


def _is_below(source: str, name: str) -> bool:
    clean = posixpath.normpath(source.lstrip("/") or ".")
    return "$" not in source and (clean == "." or covers(clean, name))


def _ignored(dockerfile: Path, context: Path) -> list[str]:
    """Lines of the Dockerfile's own ignore file, else of the context's."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    file = own if own.is_file() else context / ".dockerignore"
    lines = (line.strip() for line in _text(file).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _is_ignored(lines: list[str], name: str) -> bool:
    """As Docker has it: the last line that matches counts."""
    ignored = False
    for line in lines:
        pattern = posixpath.normpath(line.removeprefix("!").strip().lstrip("/") or ".")
        if pattern == "." or covers(pattern, name):
            ignored = not line.startswith("!")
    return ignored


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
