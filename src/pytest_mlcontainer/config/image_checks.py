"""`[tool.mlcontainer.image]`: which checks of the image are made, and how each is set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.config.keys import CHECK_KEYS
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.values import (
    parse_arguments,
    parse_choice,
    parse_duration,
    parse_exit_code,
    parse_filled_text,
    parse_port,
    parse_size,
    parse_text,
    parse_user,
    parse_word,
)
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


def parse_serves(value: object) -> CheckValue:
    """A port that is listened at, or true for a command that only goes on."""
    return value if isinstance(value, bool) else parse_port(value)


def parse_flag(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise MlContainerError("neither true nor false", show(value), "write true or false")
    return value


def parse_exit_codes(value: object) -> tuple[str, ...]:
    """Exit codes, a list of them or one alone; as texts."""
    listed = value if isinstance(value, list) else [value]
    return tuple(str(parse_exit_code(each)) for each in listed)


def parse_exposed(value: object) -> tuple[str, ...]:
    """Ports as EXPOSE has them, `8000`, `8000/udp`; with their protocol."""
    listed = value if isinstance(value, list) else [value]
    return tuple(_parse_exposed(each) for each in listed)


def _parse_exposed(value: object) -> str:
    port, _slash, protocol = value.partition("/") if isinstance(value, str) else (value, "", "")
    number = parse_port(int(port) if isinstance(port, str) and port.isdigit() else port)
    if protocol not in ("", "tcp", "udp", "sctp"):
        raise MlContainerError("not a protocol", show(value), 'write 8000, or "8000/udp"')
    return f"{number}/{protocol or 'tcp'}"


def parse_writable(value: object) -> tuple[str, ...]:
    """Absolute folders of a container."""
    for each in parse_names(value):
        if not each.startswith("/") or each == "/":
            remedy = 'name a folder by its whole path in the image: "/app/cache"'
            raise MlContainerError("not a folder in the image", show(each), remedy)
    return parse_names(value)


def parse_labels(value: object) -> tuple[str, ...]:
    """Names of labels; of a table names with their values, `name=value`."""
    return parse_pairs(value) if isinstance(value, Mapping) else parse_names(value)


def parse_pairs(value: object) -> tuple[str, ...]:
    """A table of texts, as `name=value`."""
    if not isinstance(value, Mapping):
        raise MlContainerError("not a table", show(value), 'write { NAME = "value" }')
    return tuple(f"{parse_word(name)}={parse_text(each)}" for name, each in value.items())


# How each key of a check's own is read; a key means the same in every check that has it.
VALUES: Final[Mapping[str, ParseValue]] = MappingProxyType(
    {
        "budget": parse_size,
        "cold": parse_flag,
        "capabilities": parse_capabilities,
        "database": parse_filled_text,
        "dockerfiles": parse_names,
        "driver": parse_driver,
        "growth": parse_growth,
        "large-file": parse_size,
        "layer-budget": parse_size,
        "lock": parse_filled_text,
        "extras": parse_names,
        "entrypoint": parse_arguments,
        "env": parse_pairs,
        "exit-codes": parse_exit_codes,
        "interventions": parse_flag,
        "keep": parse_names,
        "labels": parse_labels,
        "network": parse_word,
        "ports": parse_exposed,
        "read-only": parse_flag,
        "serves": parse_serves,
        "source": parse_filled_text,
        "stop-timeout": parse_duration,
        "timeout": parse_duration,
        "user": parse_user,
        "writable": parse_writable,
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
        example = f"{check.name} = {{ {_meant(check, value)} }}"
        remedy = f"write {check.name} = true or false, or a table: {example}"
        problem = MlContainerError("neither a table nor a switch", show(value), remedy)
        table.note(check.name, problem)
        return None
    reader = table.table(check.name)
    reader.refuse_unknown((*CHECK_KEYS, *check.keys), lambda _key, _value: None)
    read = ((key, reader.read(key, VALUES[key], None)) for key in check.keys)
    values = tuple((key, each) for key, each in read if each is not None)
    if {"serves", "exit-codes"} <= {key for key, _each in values}:
        remedy = "remove one of them: a server goes on, and exit codes are of what ends by itself"
        reader.note("serves", MlContainerError("conflicts with exit-codes", "both", remedy))
    return CheckSettings(
        check.name,
        asked=True,
        threshold=reader.read("threshold", _parse_threshold, CheckSettings.threshold),
        ignore=reader.read_list("ignore", lambda each: _parse_ignored(each, check)),
        values=values,
    )


def _meant(check: ImageCheck, value: object) -> str:
    """The key that a value without one is likely to be of, written with it."""
    for key, parse in (("threshold", _parse_threshold), ("budget", VALUES["budget"])):
        if key in (*CHECK_KEYS, *check.keys):
            with suppress(MlContainerError):
                parse(value)
                return f"{key} = {show(value)}"
    return 'threshold = "warning"'


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
