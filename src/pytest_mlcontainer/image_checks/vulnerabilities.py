"""The check `vulnerabilities`: what is known against the Python packages, as pip-audit finds it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from pytest_mlcontainer.errors import NothingChecked
from pytest_mlcontainer.image_checks.environment.installed import (
    InstalledPackage,
    InstalledSet,
    look_inside,
)
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.model import CheckReport, ImageFinding, Severity
from pytest_mlcontainer.temporary import temporary_folder
from pytest_mlcontainer.wording import first_and_count, truncate

_TIMEOUT_S: Final = 300.0
_SHOWN: Final = 5
_WHY: Final = 300
_OFF: Final = "or leave it out: [tool.mlcontainer.image] vulnerabilities = false"


def check_vulnerabilities(inputs: CheckInputs) -> CheckReport:
    """What is known against what is installed for one platform; it asks a database over a network.

    Raises:
        NothingChecked: pip-audit is missing, or its database cannot be reached: that is no pass.
        EngineError, PlatformError: the image cannot be looked into.
    """
    platform = inputs.platform
    assert platform is not None
    program = shutil.which("pip-audit", path=inputs.environ.get("PATH", os.defpath))
    if program is None:
        remedy = f"pip install 'pytest-mlcontainer[audit]', {_OFF}"
        raise NothingChecked("pip-audit is not installed", "no pip-audit on PATH", remedy)
    image, engine = inputs.image(platform), inputs.engine(platform)
    installed = look_inside(engine, image, inputs.settings.entrypoints, inputs.cache)
    if installed is None or not installed.packages:
        raise NothingChecked(
            f"there is no Python package in the image for {platform} that could be looked up",
            "no Python in it answers, or it has none",
            _OFF.removeprefix("or "),
        )
    inputs.log("asking for known vulnerabilities")
    return report_of(inputs, _audited(inputs, program, installed))


def report_of(inputs: CheckInputs, raw: tuple[Mapping[str, Any], ...]) -> CheckReport:
    """What pip-audit found, package by package.

    Raises:
        NothingChecked: its database knows none of them.
    """
    unknown = [str(each.get("name")) for each in raw if "skip_reason" in each]
    if len(unknown) == len(raw):
        # pip-audit itself says "no known vulnerabilities" then, and ends with 0.
        said = str(raw[0].get("skip_reason")) if raw else "it was told of no package"
        raise _unreachable(said)
    notes = (f"not looked up: {first_and_count(unknown, _SHOWN)}",) if unknown else ()
    findings = tuple(_findings(raw))
    return replace(
        inputs.report(findings, notes),
        headline=f"{len(raw) - len(unknown)} of {len(raw)} packages looked up",
        figures=(("packages", len(raw)), ("packages_not_looked_up", len(unknown))),
    )


def _audited(
    inputs: CheckInputs, program: str, installed: InstalledSet
) -> tuple[Mapping[str, Any], ...]:
    """What it says of each package.

    Raises:
        NothingChecked: it says nothing.
    """
    database = inputs.check.value("database")
    service = ("-s", "osv", "--osv-url", database) if isinstance(database, str) else ()
    with temporary_folder() as scratch:
        listed, out, err = scratch / "installed.txt", scratch / "out", scratch / "err"
        lines = (f"{each.name}=={_public(each)}\n" for each in installed.packages if each.version)
        listed.write_text("".join(lines), encoding="utf-8")
        argv = [program, "-r", str(listed), "--no-deps", "--disable-pip", "--format", "json",
                "--progress-spinner", "off", *service]  # fmt: skip
        try:
            done = inputs.processes.run(
                argv, cwd=scratch, env=inputs.environ, timeout_s=_TIMEOUT_S, stdout=out, stderr=err
            )
        except OSError as error:
            raise _unreachable(f"it cannot be started: {error.strerror or error}") from error
        return _dependencies(out, err, timed_out=done.timed_out)


def _dependencies(out: Path, err: Path, *, timed_out: bool) -> tuple[Mapping[str, Any], ...]:
    try:
        raw = json.loads(out.read_text(encoding="utf-8", errors="replace"))
        return tuple(each for each in raw["dependencies"] if isinstance(each, dict))
    except (ValueError, KeyError, TypeError) as error:
        last = err.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        said = "it had no answer in five minutes" if timed_out else "".join(last)
        raise _unreachable(truncate(said or "it printed nothing", 300)) from error


def _unreachable(said: str) -> NothingChecked:
    return NothingChecked(
        "known vulnerabilities could not be looked for",
        f"pip-audit: {said}",
        'let this machine reach its database, name one that it reaches ({ database = "URL" }, an '
        f"OSV API), {_OFF}",
    )


def _public(package: InstalledPackage) -> str:
    """The version without what a builder has added: `2.3.0` for `2.3.0+cpu`."""
    try:
        return Version(package.version).public
    except InvalidVersion:
        return package.version


def _findings(raw: tuple[Mapping[str, Any], ...]) -> Iterator[ImageFinding]:
    for package in raw:
        name = f"{package.get('name')} {package.get('version')}"
        for each in package.get("vulns") or ():
            known, fixed = str(each.get("id")), [str(one) for one in each.get("fix_versions") or ()]
            aliases = [str(one) for one in each.get("aliases") or () if one != known]
            also = f" ({', '.join(aliases)})" if aliases else ""
            yield ImageFinding(
                "VU001",
                Severity.ERROR,
                f"{name} has a known vulnerability: {known}{also}",
                place=f"{package.get('name')}/{known}",
                why=truncate(" ".join(str(each.get("description") or "").split()), _WHY),
                mend=f"install {package.get('name')} {' or '.join(fixed)}, or a later one"
                if fixed
                else "no version is known that mends it: see whether it concerns you, and add it "
                f'to `ignore` if not: "VU001:{package.get("name")}/{known}"',
                link=f"https://osv.dev/vulnerability/{known}",
            )
