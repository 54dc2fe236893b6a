"""TensorBoard's event files: what was logged, by tag (`trees`), without when it was.

A file is records, each with its length, a checksum, a protobuf message and another checksum
(tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto). Each event holds the
time of day, so two runs never write the same bytes. Checksums are not checked: a damaged record is
either broken as a message or holds other values. Hyperparameters stand in the description of a tag
(tensorboard/plugins/hparams/plugin_data.proto), and are items of their own, `#hparams.lr`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, tree_comparison
from pytest_mlcontainer.compare.sources import ComparedFile

_LIMIT_BYTES = 1 << 28
_VERSION = b"\x1a\x0dbrain.Event:"
_LENGTH, _CHECKSUM = 8, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Fields of the messages Event, Summary, Summary.Value, TensorProto and HistogramProto.
_STEP, _GRAPH, _SUMMARY = 2, 4, 5
_VALUE = 1
_TAG, _SIMPLE, _HISTOGRAM, _TENSOR, _METADATA = 1, 2, 5, 8, 9
_TYPE, _CONTENT = 1, 4
_TEXTS, _TEXT = 7, 8  # the type of tensors of text, and the field of those
_LONGEST = 4096
# Fields of SummaryMetadata, of HParamsPluginData and of the Value of google.protobuf.
_PLUGIN, _NAME, _HELD, _SESSION, _PAIR, _KEY, _OF_KEY = 1, 1, 2, 3, 1, 1, 2
_NUMBER, _STRING, _BOOLEAN = 2, 3, 4
_NUMBERS = {1: (5, "<f4"), 2: (6, "<f8")}  # types of tensors: the field of their values, and dtype

Fields = list[tuple[int, Any]]


def _is_events(side: ComparedFile) -> bool:
    """The first event says which version of the format follows."""
    with side.open() as stream:
        start = stream.read(_LENGTH + _CHECKSUM + 40)
    return start[_LENGTH + _CHECKSUM :].find(_VERSION) in (0, 9)


def _read(side: ComparedFile) -> dict[str, Any]:
    side.check_size(_LIMIT_BYTES, "an event file")
    tags: dict[str, dict[str, list[Any]]] = {}
    graphs: list[str] = []
    hparams: dict[str, Any] = {}
    try:
        for record in _records(side.read()):
            event = _fields(record)
            step = next((value for field, value in event if field == _STEP), 0)
            graphs += [_digest(value) for field, value in event if field == _GRAPH]
            for summary in (value for field, value in event if field == _SUMMARY):
                for value in (_fields(value) for field, value in _fields(summary)):
                    _add(tags, _signed(step), value)
                    hparams.update(_hparams(value))
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise side.unreadable(f"is a broken event file: {error}") from error
    more = {"#graphs": graphs, "#hparams": hparams}
    return tags | {_free(name, tags): held for name, held in more.items() if held}


def _free(name: str, tags: Collection[str]) -> str:
    while name in tags:
        name = f"#{name}"
    return name


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        at += _LENGTH + _CHECKSUM
        if at + length + _CHECKSUM > len(data):
            raise ValueError("the file ends within a record")
        yield data[at : at + length]
        at += length + _CHECKSUM


def _fields(message: bytes) -> Fields:
    """Numbers and values of a message's fields, in their order; numbers of fixed size as bytes."""
    found: Fields = []
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            found.append((key >> 3, value))
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            size, at = _varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError("a message is broken")
        found.append((key >> 3, message[at : at + size]))
        at += size
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number is too long")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _add(tags: dict[str, dict[str, list[Any]]], step: int, value: Fields) -> None:
    """One logged value; what only describes how it is to be shown is none."""
    (tag,) = [each.decode("utf-8") for field, each in value if field == _TAG] or [""]
    for field, content in value:
        if field not in (_TAG, _METADATA) and isinstance(content, bytes):
            logged = tags.setdefault(tag, {"step": [], "value": []})
            logged["step"].append(step)
            logged["value"].append(_content(field, content))


def _hparams(value: Fields) -> dict[str, Any]:
    """The hyperparameters that a value's description holds, without when the session began."""
    found: dict[str, Any] = {}
    for plugin in _inside(_inside([value], _METADATA), _PLUGIN):
        if (_NAME, b"hparams") in plugin:
            for pair in _inside(_inside(_inside([plugin], _HELD), _SESSION), _PAIR):
                (key,) = [each.decode("utf-8") for field, each in pair if field == _KEY] or [""]
                found[key] = next(map(_plain, _inside([pair], _OF_KEY)), None)
    return found


def _inside(messages: Iterable[Fields], field: int) -> list[Fields]:
    """The messages in this field of these."""
    return [_fields(held) for each in messages for number, held in each if number == field]


def _plain(value: Fields) -> Any:
    for field, held in value:
        if field == _NUMBER:
            return _numbers(held, "<f8")
        if field == _STRING:
            return held.decode("utf-8")
        if field == _BOOLEAN:
            return bool(held)
        return _digest(held) if isinstance(held, bytes) else None
    return None


def _content(field: int, content: bytes) -> float | list[float] | str:
    if field == _SIMPLE:
        return _numbers(content, "<f4")
    if field == _HISTOGRAM:
        parts = [each for _field, each in _fields(content) if isinstance(each, bytes)]
        return _numbers(b"".join(parts), "<f8")
    if field == _TENSOR:
        tensor = _fields(content)
        kind = next((value for number, value in tensor if number == _TYPE), 0)
        if kind in _NUMBERS:
            values, dtype = _NUMBERS[kind]
            parts = [each for number, each in tensor if number in (values, _CONTENT)]
            return _numbers(b"".join(parts), dtype)
        texts = [each for number, each in tensor if number == _TEXT and kind == _TEXTS]
        if len(texts) == 1 and len(texts[0]) <= _LONGEST:
            with suppress(UnicodeDecodeError):
                return str(texts[0].decode("utf-8"))
    return _digest(content)


def _numbers(content: bytes, dtype: str) -> float | list[float]:
    numbers: list[float] = np.frombuffer(content, dtype).tolist()
    return numbers[0] if len(numbers) == 1 else numbers


def _digest(content: bytes) -> str:
    return f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"


FORMAT = Format("tensorboard", tree_comparison(_read), _is_events, folds=True)
