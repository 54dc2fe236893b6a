"""Raw strings of the command line → Options, or every problem at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pytest_mlcontainer.config.image_names import parse_push_name
from pytest_mlcontainer.config.targets import Schemes, parse_engine, parse_gpus, parse_platform
from pytest_mlcontainer.config.values import (
    parse_budget,
    parse_choice,
    parse_filled_text,
    parse_repeat,
    parse_variation,
    parse_word,
)
from pytest_mlcontainer.config.words import show
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import HOST, KeepPolicy, Options, Platform

T = TypeVar("T")


def parse_options(
    machine: str,
    *,
    prefix: str = "--container-",
    platforms: str | None = None,
    gpus: str | None = None,
    image: str | None = None,
    engines: Sequence[str] = (),
    schemes: Schemes = lambda: (),
    keep: str | None = None,
    records: str | None = None,
    baseline: str | None = None,
    update: bool = False,
    repeat: str | None = None,
    report: str | None = None,
    vary: str | None = None,
    budget: str | None = None,
    locate: bool = False,
    cure: bool = False,
    push: str | None = None,
) -> Options:
    """The checked options; None stands for an option that was not given.

    Args:
        machine: this machine's processor, as `platform.machine()` gives it.
        prefix: what stands before their names on the command line that they are from.
        platforms: `--container-platform`, separated by commas.
        gpus: `--gpus`, as docker run takes it, or `none`.
        image: `--container-image`.
        engines: every `--container-engine=[PLATFORM=]URL`; a later one replaces an earlier one.
        schemes: of engines that plugins add, as of `parse_engine`.
        keep: `--container-keep`.
        records, baseline, report: folders, `--container-records`, `--container-baseline` and
            `--container-report`.
        update: `--container-update`.
        repeat: `--container-repeat`.
        vary: `--container-vary`: names, separated by commas, or `all`.
        budget: `--container-budget`.
        locate, cure: `--container-locate`, `--container-cure`.
        push: `--container-push`: a name with a registry, or an account of Docker Hub.

    Raises:
        ConfigError: with every problem.
    """
    problems: list[MlContainerError] = []
    check = partial(_check, problems)
    platform = partial(parse_platform, machine=machine)
    engine = partial(_parse_engine_option, machine=machine, schemes=schemes)
    names = [] if platforms is None else platforms.split(",")
    selected = [check(f"{prefix}platform", platform, name) for name in names]
    pairs = [check(f"{prefix}engine", engine, text) for text in engines]
    options = Options(
        platforms=tuple(dict.fromkeys(filter(None, selected))) if names else None,
        gpus=check("--gpus", lambda text: parse_gpus(parse_filled_text(text)), gpus),
        image=check(f"{prefix}image", parse_word, image),
        engines=tuple(dict(filter(None, pairs)).items()),
        keep=check(f"{prefix}keep", lambda text: parse_choice(text, KeepPolicy), keep)
        or KeepPolicy.NONE,
        records=check(f"{prefix}records", _parse_folder, records),
        baseline=check(f"{prefix}baseline", _parse_folder, baseline),
        update=update,
        repeat=check(f"{prefix}repeat", _parse_repeat, repeat),
        report=check(f"{prefix}report", _parse_folder, report),
        vary=check(f"{prefix}vary", _parse_vary, vary),
        budget=check(f"{prefix}budget", lambda text: parse_budget(_number(text)), budget),
        locate=locate,
        cure=cure,
        push=check(f"{prefix}push", lambda text: parse_push_name(parse_filled_text(text)), push),
    )
    if update and baseline is None:
        what = "--container-update: there is no folder to update"
        problems.append(MlContainerError(what, "", "add --container-baseline=DIR"))
    if problems:
        raise ConfigError("command line", problems)
    return options


def join_vary(option: str, args: Sequence[str]) -> list[str]:
    """The command line with a value for the option that may go without: `--container-vary`.

    argparse would take a file that follows for its value. So a word that follows is one only if it
    looks like names and there is no such file; the others are for pytest.
    """
    joined: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg != option:
            joined.append(arg)
        elif rest and "--pyargs" not in args and _may_be_names(rest[0]):
            joined.append(f"{option}={rest.pop(0)}")
        else:
            joined.append(f"{option}=all")
    return joined


def _may_be_names(word: str) -> bool:
    return re.fullmatch(r"[A-Za-z][\w-]*(?:,[\w-]+)*", word) is not None and not os.path.lexists(
        word
    )


def _parse_repeat(text: str) -> int:
    return parse_repeat(_number(text))


def _parse_vary(text: str) -> tuple[str, ...]:
    names = (name.strip() for name in text.split(","))
    return tuple(dict.fromkeys(parse_variation(name) for name in names))


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _parse_folder(text: str) -> Path:
    """A folder that is there, or that can be made."""
    path = Path(parse_filled_text(text)).absolute()
    above = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not above.is_dir():
        raise MlContainerError("not a folder", show(str(above)), "name a folder")
    return path


def _check(
    problems: list[MlContainerError], option: str, parse: Callable[[str], T], text: str | None
) -> T | None:
    try:
        return None if text is None else parse(text)
    except MlContainerError as problem:
        what = f"{option}: {problem.what}"
        problems.append(MlContainerError(what, problem.value, problem.remedy))
        return None


def _parse_engine_option(text: str, machine: str, schemes: Schemes) -> tuple[Platform | None, str]:
    """`[PLATFORM=]URL`; a URL may hold `=`, so what stands before it has to be a platform."""
    name, equals, rest = text.partition("=")
    if not equals:
        return None, parse_engine(text, schemes)
    try:
        platform = parse_platform(name, machine)
    except MlContainerError:
        if re.fullmatch(r"[a-z][a-z0-9+.-]*://.*", name):
            return None, parse_engine(text, schemes)
        raise
    if platform == HOST:
        raise MlContainerError("host runs without an engine", show(text), "remove this option")
    return platform, parse_engine(rest, schemes)
