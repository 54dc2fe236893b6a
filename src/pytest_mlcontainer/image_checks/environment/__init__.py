"""The check `environment`: what is installed in the image is what the lock says, and fits."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.errors import NothingChecked
from pytest_mlcontainer.image_checks.environment.choosing import (
    choose_lock,
    project_requirements,
    read_project,
)
from pytest_mlcontainer.image_checks.environment.comparing import (
    age_findings,
    broken_findings,
    damaged_findings,
    host_findings,
    lock_findings,
    platform_findings,
)
from pytest_mlcontainer.image_checks.environment.installed import (
    InstalledSet,
    conda_set,
    look_at_host,
    look_inside,
)
from pytest_mlcontainer.image_checks.environment.materials import MISSING, write_materials
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.model import CheckReport, ImageFinding, Platform, Scalar
from pytest_mlcontainer.storage import why_unwritable


def check_environment(inputs: CheckInputs) -> CheckReport:
    """What is installed on one platform, held against the lock, itself and the reference."""
    platform = inputs.platform
    assert platform is not None
    settings, named = inputs.settings, inputs.check.value("lock")
    installed = _look(inputs, platform)
    if installed is None:
        raise NothingChecked(
            f"the environment of the image for {platform} cannot be read",
            "no Python in it answers: neither its command's, nor python3 or python on its PATH",
            "leave it out: [tool.mlcontainer.image] environment = false",
        )
    built = inputs.image(platform).built
    chosen = choose_lock(settings, named if isinstance(named, str) else None, built=built)
    wanted = inputs.check.value("extras")
    extras = wanted if isinstance(wanted, tuple) else chosen.extras
    findings = list(damaged_findings(chosen.damaged))
    if chosen.lock is not None:
        requirements = project_requirements(read_project(settings))
        have = conda_set(installed) if chosen.lock.of_conda else installed
        findings += lock_findings(chosen.lock, have, extras)
        if not chosen.lock.of_conda:
            findings += age_findings(chosen.lock, requirements, dict(installed.environment))
    missing = frozenset(each.what.partition(" ")[0] for each in findings if each.rule == "ENV001")
    locked = () if chosen.lock is None else (each.name for each in chosen.lock.packages)
    findings += broken_findings(installed, missing, frozenset(locked))
    reference = inputs.platforms[0]
    other = None if reference == platform else _look(inputs, reference)
    if other is not None:
        findings += platform_findings(installed, other, str(reference), chosen.lock)
    notes = [chosen.note] if chosen.note else []
    if inputs.with_host and platform == reference:
        findings += _against_host(inputs, installed, notes)
    figures: list[tuple[str, Scalar]] = [("packages", len(installed.packages))]
    for name in _written(inputs, installed, platform, notes):
        figures.append((name.partition("-")[0], name))
    return replace(inputs.report(tuple(findings), tuple(notes)), figures=tuple(figures))


def _against_host(
    inputs: CheckInputs, installed: InstalledSet, notes: list[str]
) -> tuple[ImageFinding, ...]:
    """Told once, at the reference."""
    host = look_at_host(inputs.processes, inputs.environ, inputs.settings.root)
    if host is None:
        notes.append("no Python on PATH answers here, so that host is not held against the image")
        return ()
    return tuple(host_findings(installed, host))


def _written(
    inputs: CheckInputs, installed: InstalledSet, platform: Platform, notes: list[str]
) -> tuple[str, ...]:
    """The bill of materials and licences, where there is a report that they can stand beside."""
    if inputs.report_folder is None:
        return ()
    image, name = inputs.image(platform), inputs.settings.name
    try:
        written = write_materials(inputs.report_folder, installed, image, name)
    except OSError as error:
        notes.append(f"licences cannot be written: {why_unwritable(inputs.report_folder, error)}")
        return ()
    notes += [] if any(each.startswith("bom-") for each in written) else [MISSING]
    return written


def _look(inputs: CheckInputs, platform: Platform) -> InstalledSet | None:
    inputs.log(f"looking at the packages for {platform}")
    image, engine = inputs.image(platform), inputs.engine(platform)
    return look_inside(engine, image, inputs.settings.entrypoints, inputs.cache)
