"""`[tool.mlcontainer]` → Settings, or every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_mlcontainer.config.clusters import read_cluster
from pytest_mlcontainer.config.entrypoints import read_entrypoints, read_run_keys
from pytest_mlcontainer.config.host import check_host
from pytest_mlcontainer.config.image_checks import read_image_checks
from pytest_mlcontainer.config.keys import TOP_KEYS, top_remedy
from pytest_mlcontainer.config.paths import parse_build_context, parse_local_path
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.secrets import note_secrets, read_build_secrets
from pytest_mlcontainer.config.targets import Schemes, parse_engine, parse_platform
from pytest_mlcontainer.config.values import (
    parse_choice,
    parse_duration,
    parse_filled_text,
    parse_kept,
    parse_size,
    parse_text,
    parse_variable_name,
    parse_word,
)
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import (
    HOST,
    BuildSettings,
    Emulation,
    Entrypoint,
    Platform,
    Settings,
)


def parse_settings(
    table: Mapping[str, object],
    file: Path,
    machine: str,
    project_name: str,
    schemes: Schemes = lambda: (),
) -> Settings:
    """The checked settings.

    Args:
        table: what `[tool.mlcontainer]` holds.
        file: the file it stands in; every path is relative to its folder.
        machine: this machine's processor, as `platform.machine()` gives it.
        project_name: names the image; empty stands for the folder's name.
        schemes: of engines that plugins add, as of `parse_engine`.

    Raises:
        ConfigError: with every problem.
    """
    file = Path(os.path.normpath(file.absolute()))
    top = TableReader(file.name, ("tool", "mlcontainer"), table)
    top.refuse_unknown(TOP_KEYS, top_remedy)
    noted = len(top.problems)
    root = file.parent
    platforms = _read_platforms(top, machine)
    all_read = len(top.problems) == noted  # else the reference may be the one that was not
    base = read_run_keys(top, root, Entrypoint(name=""))
    note_secrets(top, base)
    settings = Settings(
        file=file,
        name=project_name or root.name or "project",
        build=_read_build(top, root),
        platforms=platforms,
        reference=_read_reference(top, machine, platforms, all_read),
        emulation=top.read(
            "emulation", lambda value: parse_choice(value, Emulation), Emulation.ALLOW
        ),
        engines=_read_engines(top, machine, schemes),
        entrypoints=read_entrypoints(top, root, base),
        kept_bytes=top.read("keep-images", parse_kept, Settings.kept_bytes),
        baseline_limit_bytes=top.read("baseline-limit", parse_size, Settings.baseline_limit_bytes),
        checks=read_image_checks(top),
        cluster=read_cluster(top, machine),
    )
    if HOST in platforms:
        top.problems.extend(check_host(settings))
    if top.problems:
        raise ConfigError(str(file), top.problems)
    return settings


def _read_build(top: TableReader, root: Path) -> BuildSettings:
    default = BuildSettings(context=root, dockerfile=root / "Dockerfile")
    return BuildSettings(
        context=top.read("context", lambda value: parse_local_path(value, root), default.context),
        dockerfile=top.read(
            "dockerfile", lambda value: parse_local_path(value, root), default.dockerfile
        ),
        before=top.read_list("before-build", parse_filled_text),
        args=top.read_pairs("build-args", parse_variable_name, parse_text),
        contexts=top.read_pairs(
            "build-contexts", parse_word, lambda value: parse_build_context(value, root)
        ),
        target=top.read("build-target", parse_word, None),
        secrets=read_build_secrets(top, root),
        cache_from=top.read_list("cache-from", parse_word),
        cache_to=top.read_list("cache-to", parse_word),
        builder=top.read("builder", parse_word, None),
        timeout_s=top.read("build-timeout", parse_duration, default.timeout_s),
    )


def _read_platforms(top: TableReader, machine: str) -> tuple[Platform, ...]:
    if top.values.get("platforms") == []:
        remedy = 'write ["native"], or remove the key'
        top.note("platforms", MlContainerError("names no platform", "[]", remedy))
    if "platforms" not in top.values:
        native = top.check("platforms", lambda text: _platform(text, machine), "native", None)
        return () if native is None else (native,)
    platforms = top.read_list("platforms", lambda value: _platform(value, machine))
    return tuple(dict.fromkeys(platforms))


def _platform(value: object, machine: str) -> Platform:
    return parse_platform(parse_text(value), machine)


def _read_reference(
    top: TableReader, machine: str, platforms: tuple[Platform, ...], all_read: bool
) -> Platform:
    first = platforms[0] if platforms else HOST
    reference = top.read("reference", lambda value: _platform(value, machine), first)
    if all_read and reference not in platforms:
        listed = ", ".join(str(platform) for platform in platforms)
        top.note(
            "reference",
            MlContainerError(
                "is not among the platforms",
                show(top.values["reference"]),
                f"choose one of {listed}, or add it to platforms",
            ),
        )
    return reference


def _read_engines(
    top: TableReader, machine: str, schemes: Schemes
) -> tuple[tuple[Platform, str], ...]:
    engines: dict[Platform, str] = {}
    for key, value in top.table("engines").values.items():
        place = f"engines.{show_key(key)}"
        platform = top.check(place, lambda raw: _platform(raw, machine), key, None)
        engine = top.check(place, lambda raw: parse_engine(parse_text(raw), schemes), value, None)
        if platform is None or engine is None:
            continue
        if platform == HOST:
            remedy = "remove it"
            top.note(place, MlContainerError("host runs without an engine", show(value), remedy))
        elif platform in engines:
            remedy = "keep one of them"
            top.note(
                place, MlContainerError(f"{platform} has an engine already", show(value), remedy)
            )
        engines[platform] = engine
    return tuple(engines.items())
