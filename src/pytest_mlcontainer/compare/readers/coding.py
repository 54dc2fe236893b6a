"""How messages travel: framed, and as JSON whose every field is checked.

A session sends pickles. What comes back is JSON of known fields alone, checked one by one: a reader
that a hostile file has taken over can say wrong things of that file, and nothing more.
"""

from __future__ import annotations

import enum
import json
import struct
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, BinaryIO, Final

import numpy as np

from pytest_mlcontainer.compare.readers.messages import GarbledMessageError, Message

FRAME_BYTES: Final = 1 << 24  # of a result; of anything else:
SHORT_FRAME_BYTES: Final = 1 << 20
_HEAD: Final = struct.Struct("<Q")
HEAD_BYTES: Final = _HEAD.size
_MESSAGES: Final[Mapping[str, type[Message]]] = types.MappingProxyType(
    {each.__name__: each for each in typing.get_args(Message)}
)


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    """Send one message with its length before it."""
    stream.write(_HEAD.pack(len(payload)) + payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """One message of the session; None where it is over."""
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    size = frame_bytes(head)
    payload = stream.read(size)
    return payload if len(payload) == size else None


def frame_bytes(head: bytes) -> int:
    """How long the message is that begins so."""
    return int(_HEAD.unpack(head)[0])


def encode(message: Message) -> bytes:
    """The message as JSON. Fields that have their default are left out."""
    raw = {"kind": type(message).__name__, **_raw_fields(message)}
    return json.dumps(raw, default=_plain, separators=(",", ":")).encode("ascii")


def decode(payload: bytes) -> Message:
    """The message in these bytes, every field of the type that it has to have.

    Raises:
        GarbledMessageError: it is none.
    """
    try:
        raw = json.loads(payload)
        kind = _MESSAGES[raw.pop("kind")]
        found: Message = _record(kind, raw)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise GarbledMessageError(f"{type(error).__name__}: {error!s:.200}") from error
    return found


def _raw_fields(record: object) -> dict[str, Any]:
    return dict(_changed(record))


def _changed(record: object) -> Iterator[tuple[str, Any]]:
    kind: Any = type(record)  # for mypy, not every class can be a key
    for name, default, _hint in _fields(kind):
        value = getattr(record, name)
        if default is MISSING or (value is not default and value != default):
            yield name, _raw(value)


def _raw(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "__dataclass_fields__"):
        return _raw_fields(value)
    if isinstance(value, (tuple, list)):
        return [_raw(each) for each in value]
    return value


def _plain(value: object) -> object:
    """A number of NumPy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not for messages")


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Name, default and type of each field of a class."""
    hints = typing.get_type_hints(kind)
    return tuple((each.name, each.default, hints[each.name]) for each in fields(kind))


def _record(kind: Any, raw: Any) -> Any:
    if type(raw) is not dict:
        raise TypeError(f"no {kind.__name__}")
    known = {name: hint for name, _default, hint in _fields(kind)}
    return kind(**{name: _checked(known[name], value) for name, value in raw.items()})


def _checked(hint: Any, raw: Any) -> Any:
    """The value, if it is of this type; sequences become tuples, records are made."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if raw is None and type(None) in arguments:
            return None
        (hint,) = (each for each in arguments if each is not type(None))
        return _checked(hint, raw)
    if origin is tuple:
        return _checked_tuple(arguments, raw)
    if hint is float and type(raw) in (int, float):
        return raw
    if hint in (int, str, bool) and type(raw) is hint:
        return raw
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(raw)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return _record(hint, raw)
    raise TypeError(f"{raw!r:.100} is no {hint}")


def _checked_tuple(arguments: Sequence[Any], raw: Any) -> tuple[Any, ...]:
    if type(raw) is not list:
        raise TypeError(f"{raw!r:.100} is no list")
    if arguments[-1] is Ellipsis:
        return tuple(_checked(arguments[0], each) for each in raw)
    return tuple(_checked(hint, each) for hint, each in zip(arguments, raw, strict=True))
