"""Hadolint, where it is installed: what it says of a Dockerfile, but for what is outdated."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.image_checks.lint.installs import installs_paths_alone, is_mounted
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.temporary import temporary_folder
from pytest_mlcontainer.wording import truncate

MISSING: Final = (
    "Hadolint is not installed, so its rules (DL…, SC…) were not applied: "
    "pip install 'pytest-mlcontainer[lint]'"
)
_TIMEOUT_S: Final = 60.0
_CONFIGURATIONS: Final = (".hadolint.yaml", ".hadolint.yml")
_LEVELS: Final[Mapping[str, Severity]] = MappingProxyType(
    {"error": Severity.ERROR, "warning": Severity.WARNING}
)
# Rules that want a cache emptied → where it is. With a cache mount there it is in no layer
# (hadolint/hadolint#497, #983, #1139).
_CACHES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "DL3009": ("/var/lib/apt/lists",),
        "DL3019": ("/var/cache/apk", "/etc/apk/cache"),
        "DL3032": ("/var/cache/yum", "/var/cache/dnf"),
        "DL3036": ("/var/cache/zypp",),
        "DL3040": ("/var/cache/dnf", "/var/cache/libdnf5"),
        "DL3042": ("/root/.cache/pip", "~/.cache/pip"),
        "DL3060": ("/usr/local/share/.cache/yarn", "/root/.yarn", "/root/.cache/yarn"),
    }
)


# It takes TOKENIZERS_PARALLELISM for a secret; ML007 looks closer.
_LEFT_OUT: Final = ("DL3064",)
_GAVE_UP: Final = "DL1000"
# Bases in which the folder to work in is `/`, as Docker Hub has them.
_AT_ROOT: Final = re.compile(
    r"(docker\.io/)?((library/)?(alpine|busybox|debian|fedora|node|python|ubuntu)|nvidia/cuda)"
    r"([:@]|$)|scratch$"
)


def find_hadolint(environ: Mapping[str, str]) -> str | None:
    """The program, beside this Python or on PATH."""
    return shutil.which("hadolint", path=environ.get("PATH", os.defpath))


def run_hadolint(
    program: str, dockerfile: Path, top: Path, environ: Mapping[str, str], processes: Processes
) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """What it says of a Dockerfile, and why it says nothing; one of the two is empty.

    Its configuration is the nearest `.hadolint.yaml` from the Dockerfile upwards.

    Args:
        top: the last folder that is looked in for one.
    """
    folder = _configured(dockerfile, top)
    with temporary_folder() as scratch:
        out, err = scratch / "out", scratch / "err"
        argv = [program, "--format=json", "--no-fail", "--no-color", str(dockerfile)]
        try:
            done = processes.run(
                argv, cwd=folder, env=environ, timeout_s=_TIMEOUT_S, stdout=out, stderr=err
            )
        except OSError as error:
            return (), f"Hadolint cannot be started: {error.strerror or error}"
        printed = out.read_text(encoding="utf-8", errors="replace")
        said = err.read_text(encoding="utf-8", errors="replace")
    try:
        raw = json.loads(printed)
    except ValueError:
        why = "it ran for a minute" if done.timed_out else truncate(" ".join(said.split()), 300)
        return (), f"Hadolint did not end well: {why or f'exit code {done.exit_code}'}"
    return tuple(each for each in raw if isinstance(each, dict)), ""


def hadolint_findings(
    raw: tuple[Mapping[str, Any], ...], place: str, recipe: Recipe
) -> Iterator[ImageFinding]:
    """What it said, but for what does not hold with BuildKit.

    Args:
        raw: as `run_hadolint` gives it.
        place: of the Dockerfile, as findings name it.
    """
    by_line = {each.line: each for each in recipe.instructions}
    for each in raw:
        rule, line = str(each.get("code")), int(each.get("line") or 0)
        if rule in _LEFT_OUT or (line in by_line and not _holds(rule, by_line[line], recipe)):
            continue
        yield ImageFinding(
            rule=rule,
            severity=_LEVELS.get(str(each.get("level")), Severity.INFO),
            what=" ".join(str(each.get("message", "")).split()),
            place=place,
            line=line or None,
            link=_link(rule),
        )


def readable(
    findings: tuple[ImageFinding, ...], place: str, notes: list[str]
) -> tuple[ImageFinding, ...]:
    """The findings of a Dockerfile of which BuildKit says whether it can be read.

    Hadolint's own parser knows less (heredocs): that it gives up is no fault of the Dockerfile.

    Args:
        notes: are told where it did, since none of its rules was applied then.
    """
    gave_up = [each for each in findings if each.rule == _GAVE_UP]
    if gave_up:
        line = gave_up[0].line
        notes.append(f"{place}: Hadolint cannot read line {line}, so its rules were not applied")
    return tuple(each for each in findings if each not in gave_up)


def _holds(rule: str, instruction: Instruction, recipe: Recipe) -> bool:
    """Whether what a rule says of an instruction is so: it knows neither BuildKit nor the base."""
    if rule == "DL3013":  # of paths it knows `.` alone, not `.[extra]`
        return not installs_paths_alone(instruction)
    if rule == "DL3021":  # BuildKit takes `.` for a folder
        return instruction.rest.rpartition(" ")[2] not in (".", "..", '"."]')
    if rule == "DL3025":  # `HEALTHCHECK CMD … || exit 1` needs a shell
        return instruction.word != "HEALTHCHECK"
    if rule == "DL3045":  # many bases have a WORKDIR of their own
        stages = [stage for stage in recipe.stages if instruction in stage.body]
        return all(_AT_ROOT.match(stage.image or "") for stage in stages)
    if rule == "DL3066":  # it asks for numbers, and every image knows root
        return instruction.rest != "root"
    caches = _CACHES.get(rule, ())
    # What a stage leaves behind that is not in the image costs nothing.
    left = any(instruction in stage.body for stage in recipe.in_image)
    return not caches or (left and not is_mounted(instruction, caches))


def _configured(dockerfile: Path, top: Path) -> Path:
    for folder in (dockerfile.parent, *dockerfile.parent.parents):
        if any((folder / name).is_file() for name in _CONFIGURATIONS):
            return folder
        if folder == top:
            break
    return dockerfile.parent


def _link(rule: str) -> str:
    if rule.startswith("SC"):
        return f"https://www.shellcheck.net/wiki/{rule}"
    return f"https://github.com/hadolint/hadolint/wiki/{rule}" if rule.startswith("DL") else ""
