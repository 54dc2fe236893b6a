"""What `docker build --check` says of a Dockerfile, without building anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.engines.build_checks import BuildCheck, BuildWarning
from pytest_mlcontainer.engines.docker.buildx import (
    Buildx,
    arguments,
    frontend_image,
    without_frontend_note,
    without_syntax_line,
)
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import BuildSettings, Platform
from pytest_mlcontainer.temporary import temporary_folder

_TIMEOUT_S: Final = 120.0
_ONLY_FOR_BUILDS: Final = ("--progress=", "--load", "--provenance=", "--tag=", "--cache-")


def check_build(
    endpoint: str | None,
    environ: Mapping[str, str],
    processes: Processes,
    build: BuildSettings,
    platform: Platform,
) -> BuildCheck:
    """Have the engine's builder look at a Dockerfile.

    Args:
        endpoint: URL or context name of the engine; None is the default one.

    Raises:
        EngineError: there is no buildx, it knows no checks, or the engine does not answer.
    """
    buildx = Buildx(endpoint, environ, processes)
    try:
        return _check(buildx, build, build.dockerfile, platform)
    except EngineError as error:
        # The line asks a registry for the very frontend that the engine has built in.
        syntax = frontend_image(build.dockerfile)
        if not (syntax and syntax.partition("@")[0] in error.value):
            raise
    with without_syntax_line(build.dockerfile) as copy:
        found = _check(buildx, build, copy, platform)
    # Another frontend may know other instructions.
    usual = re.match(r"(docker\.io/)?docker/dockerfile\b", syntax) is not None
    note = without_frontend_note(build.dockerfile, syntax, "checked")
    return replace(found, note="" if usual else note)


def _check(
    buildx: Buildx, build: BuildSettings, dockerfile: Path, platform: Platform
) -> BuildCheck:
    # A check reads no secret and no cache, and makes no image.
    asked = replace(build, secrets=(), cache_from=(), cache_to=())
    words = arguments(asked, dockerfile, platform, "", ())
    words = [word for word in words if not word.startswith(_ONLY_FOR_BUILDS)]
    with temporary_folder() as folder:
        printed, said = folder / "printed", folder / "said"
        done = buildx.run(
            [words[0], "--call=check,format=json", *words[1:]],
            build.context,
            _TIMEOUT_S,
            stdout=printed,
            stderr=said,
        )
        raw = _object(printed.read_text(encoding="utf-8", errors="replace"))
        errors = said.read_text(encoding="utf-8", errors="replace")
    if raw is None:
        last = [line for line in errors.splitlines() if line.strip()][-1:] or ["it said nothing"]
        limit = f"nothing for {_TIMEOUT_S:g} s" if done.timed_out else last[0].strip()
        remedy = "install buildx 0.15 or later and an engine that answers (`docker buildx ls`)"
        raise EngineError("`docker build --check` does not work", limit, remedy)
    error = raw.get("buildError") or {}
    return BuildCheck(
        tuple(_warnings(raw)), str(error.get("message", "")), _line(error.get("location"))
    )


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        raw = json.loads(text)
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None


def _warnings(raw: Mapping[str, Any]) -> Iterator[BuildWarning]:
    for each in raw.get("warnings") or ():
        text = str(each.get("detail") or each.get("description") or "")
        url = str(each.get("url") or "")
        yield BuildWarning(str(each.get("ruleName")), text, _line(each.get("location")), url)


def _line(location: Any) -> int | None:
    ranges = (location or {}).get("ranges") or ()
    return int(ranges[0]["start"]["line"]) if ranges else None
