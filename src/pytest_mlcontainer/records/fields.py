"""Checked access to what a record's JSON holds: nothing in it is trusted."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import os
import re
import stat
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import Rule, Tolerance
from pytest_mlcontainer.outputs import MAX_LISTED_BYTES
from pytest_mlcontainer.outputs.tree import walk

MAX_RECORD_BYTES = MAX_LISTED_BYTES + (8 << 20)
"""A record of 100,000 outputs has about 25 MB; one that is larger is no record."""

_MOST_VALUES = 2_000_000  # ten for each of 100,000 outputs, and as much again
# Ours are ASCII throughout. In other text, one character makes each take four bytes.
_OTHER_TEXT_BYTES = 8 << 20
_PATH_BYTES = 4096
_MOST_OPENED = 100_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BETWEEN = re.compile(rb"[\[{,]")

Value = TypeVar("Value")


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RecordError: there is no such file, it is a link or a pipe, too large, or no JSON object.
    """
    remedy = "run again, or name a folder that --container-records wrote"
    try:
        raw = json.loads(_checked_text(_read_regular(file)))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        value = f"{file}: {reason:.300}"
        raise RecordError("there is no readable record", value, remedy) from error
    if not isinstance(raw, dict):
        value = f"{file}: it holds no JSON object"
        raise RecordError("there is no readable record", value, remedy)
    return raw


def _read_regular(file: Path) -> bytes:
    # A pipe would block, and a link may lead to any file of this machine.
    try:
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        if file.is_symlink():
            raise ValueError("it is a link, which a record never has") from error
        raise
    with os.fdopen(number, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        data = b"" if status.st_size > MAX_RECORD_BYTES else stream.read(MAX_RECORD_BYTES + 1)
    if max(status.st_size, len(data)) > MAX_RECORD_BYTES:
        raise ValueError(f"it has more than {MAX_RECORD_BYTES:,} bytes, which no record has")
    return data


def _checked_text(data: bytes) -> str:
    """JSON that does not take many times its own size in memory."""
    if len(data) > _OTHER_TEXT_BYTES and not data.isascii():
        raise ValueError(f"it has more than {_OTHER_TEXT_BYTES:,} bytes that are not all ASCII")
    if data.count(b",") + data.count(b"[") + data.count(b"{") > _MOST_VALUES:
        values = sum(1 for _ in _BETWEEN.finditer(_STRING.sub(b"", data)))
        if values > _MOST_VALUES:
            raise ValueError(f"it has more than {_MOST_VALUES:,} values, which no record has")
    return data.decode("utf-8")


def the(value: Any, *kinds: type | None) -> Any:
    """The value, when it is of one of these types; None stands for itself."""
    if (None if value is None else type(value)) not in kinds:
        raise TypeError(f"{value!r:.100} is not of the right type")
    return value


def texts(raw: Any) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(the(text, str) for text in the(raw, list))


def count(value: Any) -> int:
    """A whole number that is not negative."""
    number: int = the(value, int)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


def seconds(value: Any) -> float:
    """A number of seconds."""
    return _finite(the(value, float, int))


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{value!r:.100} is too large") from error
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number")
    return number


def pattern(text: str) -> str:
    """A regular expression that compiles."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may take otherwise
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r:.100} is no regular expression: {error}") from error
    return text


def inside(name: str, folder: Path) -> Path:
    """A file or folder of the record. One from elsewhere may name anything, or hold links."""
    if not name or "\0" in name:
        raise ValueError(f"{name!r:.100} is no name of a file")
    if len(name) > _PATH_BYTES:
        raise ValueError(f"{name!r:.100}… is longer than a path can be")
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts:
        raise ValueError(f"{name!r:.100} lies outside the record")
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise ValueError(f"{name!r:.100} is, or lies behind, a link, which a record never has")
    return path


def file_inside(name: str, folder: Path) -> Path:
    path = inside(name, folder)
    if not path.is_file():
        raise ValueError(f"{name!r:.100} is not there, or no file")
    return path


def folder_inside(name: str, folder: Path) -> Path:
    """A folder of the record with nothing but folders and files in it."""
    path = inside(name, folder)
    if not path.is_dir():
        raise ValueError(f"{name!r:.100} is not there, or no folder")
    refused: list[str] = []
    for number, found in enumerate(walk(path, refused.append)):
        mode = found.status.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(f"{name!r:.100} holds {found.path.name!r:.100}, which is no file")
        if number > _MOST_OPENED:
            raise ValueError(f"{name!r:.100} holds more than {_MOST_OPENED:,} files")
    if refused:
        raise ValueError(f"{name!r:.100} holds what cannot be read: {refused[0]:.200}")
    return path


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """A rule; of its tolerance only what is not the default."""
    default = Tolerance()
    tolerance = {
        field.name: _plain(getattr(rule.tolerance, field.name))
        for field in dataclasses.fields(Tolerance)
        if getattr(rule.tolerance, field.name) != getattr(default, field.name)
    }
    return {"output": rule.output, "item": rule.item, "tolerance": tolerance}


def rule_from_json(raw: Any) -> Rule:
    tolerance = _typed(Tolerance, the(the(raw, dict)["tolerance"], dict))
    for text in tolerance.patterns:
        pattern(text)
    return Rule(the(raw["output"], str), the(raw["item"], str, None), tolerance)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, enum.Enum) else value


def _typed(kind: type[Value], raw: Mapping[str, Any]) -> Value:
    """A frozen value of numbers, texts, enums and tuples of them; each field by its own type."""
    hints = get_type_hints(kind)
    unknown = [name for name in raw if name not in hints]
    if unknown:
        raise ValueError(f"{unknown[0]!r:.100} is not known to this version")
    return kind(**{name: _as(hints[name], value) for name, value in raw.items()})


def _as(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return the(value, *(None if each is type(None) else each for each in get_args(hint)))
        (hint,) = (each for each in get_args(hint) if each is not type(None))
        return _as(hint, value)
    if origin is tuple:
        return tuple(_as(get_args(hint)[0], each) for each in the(value, list))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(the(value, str))
    if hint is float:
        number = _finite(the(value, float, int))
        if number < 0:
            raise ValueError(f"{value!r:.100} is no bound")
        return number
    return count(value) if hint is int else the(value, hint)
