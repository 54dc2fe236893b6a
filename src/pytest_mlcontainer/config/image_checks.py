"""`[tool.mlcontainer.image]`: which checks of the image are made, and how each is set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.config.keys import CHECK_KEYS
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.values import parse_choice, parse_filled_text, parse_size
from pytest_mlcontainer.config.words import nearest, show, suggest
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import (
    IMAGE_CHECKS,
    CheckSettings,
    CheckValue,
    ImageCheck,
    Severity,
)

# Rules of Hadolint, of ShellCheck in it, and of `docker build --check`.
_RULE_OF_OTHERS: Final = re.compile(r"(DL|SC)\d{4}|[A-Z][a-z]+([A-Z][A-Za-z]*)+")

_PERCENTAGE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%")
_DRIVER: Final = re.compile(r"[0-9]{3,4}(?:\.[0-9]{1,4}){0,2}")
_CAPABILITY: Final = re.compile(r"[1-9][0-9]?\.[0-9]")

ParseValue = Callable[[object], CheckValue]


def parse_names(value: object) -> tuple[str, ...]:
    """A list of texts, or one alone."""
    listed = value if isinstance(value, list) else [value]
    return tuple(parse_filled_text(each) for each in listed)


def parse_growth(value: object) -> float:
    """A percentage, as a fraction."""
    found = _PERCENTAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise MlContainerError("not a percentage", show(value), 'write it with its sign: "5%"')
    return float(found[1]) / 100


def parse_driver(value: object) -> str:
    """A version of NVIDIA's driver, or its branch alone."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DRIVER.fullmatch(text):
        remedy = 'write its branch, or all of it, as nvidia-smi shows it: "535", "535.104.05"'
        raise MlContainerError("not a version of NVIDIA's driver", show(value), remedy)
    return text


def parse_capabilities(value: object) -> tuple[str, ...]:
    """Compute capabilities of GPUs, a list of them or one alone."""
    listed = value if isinstance(value, list) else [value]
    for each in listed:
        if not isinstance(each, str) or not _CAPABILITY.fullmatch(each):
            remedy = 'write it as nvidia-smi --query-gpu=compute_cap shows it: ["8.0", "9.0"]'
            raise MlContainerError("not a compute capability", show(each), remedy)
    return tuple(listed)


# How each key of a check's own is read; a key means the same in every check that has it.
VALUES: Final[Mapping[str, ParseValue]] = MappingProxyType(
    {
        "budget": parse_size,
        "capabilities": parse_capabilities,
        "dockerfiles": parse_names,
        "driver": parse_driver,
        "growth": parse_growth,
        "large-file": parse_size,
        "layer-budget": parse_size,
        "lock": parse_filled_text,
        "extras": parse_names,
    }
)


def read_image_checks(top: TableReader) -> tuple[CheckSettings, ...]:
    """Those that are to be made, in the order of `IMAGE_CHECKS`."""
    table = top.table("image")
    table.refuse_unknown([check.name for check in IMAGE_CHECKS], _remedy)
    read = (_read_check(table, check) for check in IMAGE_CHECKS)
    return tuple(check for check in read if check is not None)


def _remedy(key: str, _value: object) -> str | None:
    """Where a key belongs that is not the name of a check."""
    for check in IMAGE_CHECKS:
        if key in (*CHECK_KEYS, *check.keys):
            return f"{key} belongs to a check: {check.name} = {{ {key} = … }}"
    return None


def _read_check(table: TableReader, check: ImageCheck) -> CheckSettings | None:
    value = table.values.get(check.name)
    if value is None:
        return CheckSettings(check.name) if check.by_default else None
    if isinstance(value, bool):
        return CheckSettings(check.name, asked=True) if value else None
    if not isinstance(value, Mapping):
        example = f'{check.name} = {{ threshold = "warning" }}'
        remedy = f"write {check.name} = true or false, or a table: {example}"
        problem = MlContainerError("neither a table nor a switch", show(value), remedy)
        table.note(check.name, problem)
        return None
    reader = table.table(check.name)
    reader.refuse_unknown((*CHECK_KEYS, *check.keys), lambda _key, _value: None)
    read = ((key, reader.read(key, VALUES[key], None)) for key in check.keys)
    return CheckSettings(
        check.name,
        asked=True,
        threshold=reader.read("threshold", _parse_threshold, CheckSettings.threshold),
        ignore=reader.read_list("ignore", lambda each: _parse_ignored(each, check)),
        values=tuple((key, each) for key, each in read if each is not None),
    )


def _parse_threshold(value: object) -> Severity:
    return parse_choice(value, Severity)


def _parse_ignored(value: object, check: ImageCheck) -> str:
    """A rule's name, and after a colon a glob over the places where it does not count."""
    text = parse_filled_text(value)
    rule, colon, places = text.partition(":")
    if colon and not places:
        remedy = f'write "{rule}" for all places, or name some: "{rule}:data/*"'
        raise MlContainerError("names no place after the colon", show(text), remedy)
    if rule in check.rules or (check.name == "lint" and _RULE_OF_OTHERS.fullmatch(rule)):
        return text
    near = nearest(rule, check.rules)
    known = f"did you mean {near}? " if near else ""
    others = "; or one of Hadolint (DL3008, SC2086) or of docker build --check (FromAsCasing)"
    raise MlContainerError(
        "no such rule",
        show(text),
        f"{known}({suggest('', check.rules)}{others if check.name == 'lint' else ''})",
    )
