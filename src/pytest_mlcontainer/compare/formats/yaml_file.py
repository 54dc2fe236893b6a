"""YAML, leaf by leaf (`trees`). Nothing is constructed but plain values.

The library reads events (a scalar, the start of a list, …) and the tree is built of them here,
because its own loaders would follow aliases without end, let a key that comes twice pass, recurse,
and fail at a type that they do not know. A type of its own stays a name, `!!python/object:a.B`.
Several documents in one file are a list.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pytest_mlcontainer.compare.formats.kind import Format, need
from pytest_mlcontainer.compare.formats.text_encodings import is_text
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.tree_values import Tagged
from pytest_mlcontainer.compare.trees.trees import compare_trees
from pytest_mlcontainer.model import Difference

_LIMIT_BYTES = 1 << 25
_LIMIT_VALUES = 2_000_000
_EXPANDS_AT_MOST = 10
_FREELY = 100_000
_DEEPEST = 900
_STANDARD = "tag:yaml.org,2002:"
_MERGE = object()


class _YamlError(Exception):
    """`str()` says what is wrong, and where."""


@dataclass
class _Open:
    """A list or mapping whose end was not reached; `size` counts values, aliases written out."""

    value: list[Any] | dict[Hashable, Any]
    tag: str
    anchor: str | None
    size: int = 1
    keys: list[Any] = field(default_factory=list)
    merged: list[Any] = field(default_factory=list)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files of one or more documents."""
    actual, expected = read_both(pair, _read)
    if len(actual) == len(expected) == 1:
        actual, expected = actual[0], expected[0]
    yield from compare_trees(pair.name, actual, expected, book)


def _read(side: ComparedFile) -> Any:
    yaml = need(side, "yaml", "yaml")
    side.check_size(_LIMIT_BYTES, "YAML", "; write data of this size as JSON or npz")
    try:
        return _YamlReader(yaml, side.read()).read()
    except _YamlError as error:
        raise side.malformed(f"cannot be read as YAML: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())
        if "nesting depth" in what:  # PyYAML's own limit, from 6.0.4 on
            what = f"it is nested too many levels deep: {what}"
        raise side.malformed(f"is broken YAML: {what:.300}") from error


class _YamlReader:
    """Builds documents from events. `_anchors` holds what is complete, with its size."""

    def __init__(self, yaml: ModuleType, data: bytes) -> None:
        self._yaml = yaml
        # libyaml's events do not recurse either, and come ten times as fast.
        self._loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
        self._values = yaml.SafeLoader("")
        self._documents: list[Any] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._written = self._expanded = 0

    def read(self) -> list[Any]:
        try:
            while self._loader.check_event():
                self._take(self._loader.get_event())
        finally:
            self._loader.dispose()
        return self._documents

    def _take(self, event: Any) -> None:
        events = self._yaml.events
        if isinstance(event, events.ScalarEvent):
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = value, 1
            self._count(event, 1, written=1)
            self._place(event, value, 1)
        elif isinstance(event, events.AliasEvent):
            if event.anchor not in self._anchors:
                raise _YamlError(
                    f"the alias *{event.anchor} stands for nothing that is complete{_at(event)}"
                )
            value, size = self._anchors[event.anchor]
            self._count(event, size, written=1)
            self._place(event, value, size)
        elif isinstance(event, (events.SequenceStartEvent, events.MappingStartEvent)):
            self._begin(event)
        elif isinstance(event, (events.SequenceEndEvent, events.MappingEndEvent)):
            self._end(event)
        elif isinstance(event, events.DocumentStartEvent):
            self._anchors.clear()

    def _begin(self, event: Any) -> None:
        listed = isinstance(event, self._yaml.events.SequenceStartEvent)
        standard = _STANDARD + ("seq" if listed else "map")
        tag = "" if event.tag in (None, "!", standard) else event.tag
        if len(self._open) >= _DEEPEST:
            raise _YamlError(f"it is nested more than {_DEEPEST} levels deep{_at(event)}")
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._count(event, 1, written=1)
        self._open.append(_Open([] if listed else {}, tag, event.anchor))

    def _end(self, event: Any) -> None:
        closed = self._open.pop()
        if closed.merged and isinstance(closed.value, dict):
            # The mapping's own keys have precedence, then those of the first source.
            for source in closed.merged:
                closed.value = {**source, **closed.value}
        value: Any = Tagged(_short(closed.tag), closed.value) if closed.tag else closed.value
        if closed.anchor is not None:
            self._anchors[closed.anchor] = value, closed.size
        self._place(event, value, closed.size)

    def _place(self, event: Any, value: Any, size: int) -> None:
        """Put a complete value where it belongs."""
        if not self._open:
            self._documents.append(value)
            return
        holder = self._open[-1]
        holder.size += size
        if isinstance(holder.value, list):
            holder.value.append(value)
        elif not holder.keys:
            holder.keys.append(self._key(event, value, holder.value))
        elif (key := holder.keys.pop()) is _MERGE:
            self._merge(event, value, holder)
        else:
            holder.value[key] = value

    def _key(self, event: Any, value: Any, mapping: dict[Hashable, Any]) -> Any:
        if value is _MERGE:
            return value
        if isinstance(value, Tagged) and not isinstance(value.value, (list, dict, Tagged)):
            key: Hashable = value
        elif isinstance(value, str) or type(value) is int:
            key = value
        elif isinstance(value, (list, dict, Tagged)):
            raise _YamlError(f"a list or mapping is a key, which cannot be compared{_at(event)}")
        else:
            key = Tagged(_key_type(value), str(value))
        if key in mapping:
            raise _YamlError(f"duplicate key {str(key)!r}{_at(event)}")
        return key

    def _merge(self, event: Any, value: Any, holder: _Open) -> None:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise _YamlError(f"<< merges something that is no mapping{_at(event)}")
        holder.merged += sources

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag in (None, "!"):
            tag = self._loader.resolve(self._yaml.ScalarNode, event.value, event.implicit)
        kind = tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else ""
        if kind == "merge":
            return _MERGE if self._awaits_key() else event.value
        if kind in ("str", "timestamp", "value"):
            return event.value
        node = self._yaml.ScalarNode(tag, event.value, event.start_mark)
        try:
            if kind == "int":
                return self._values.construct_yaml_int(node)
            if kind == "float":
                return self._values.construct_yaml_float(node)
            if kind == "bool":
                return self._values.construct_yaml_bool(node)
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise _YamlError(f"{event.value[:80]!r} is no {kind}{_at(event)}") from error
        return None if kind == "null" else Tagged(_short(tag), event.value)

    def _awaits_key(self) -> bool:
        holder = self._open[-1] if self._open else None
        return holder is not None and isinstance(holder.value, dict) and not holder.keys

    def _count(self, event: Any, size: int, written: int) -> None:
        self._written += written
        self._expanded += size
        free = self._expanded <= max(_FREELY, _EXPANDS_AT_MOST * self._written)
        if self._expanded > _LIMIT_VALUES or not free:
            raise _YamlError(
                f"it stands for more than {self._expanded - 1} values, through its aliases, and "
                f"{self._written} are written{_at(event)}"
            )


def _key_type(value: Any) -> str:
    return {bool: "bool", float: "float", type(None): "null"}[type(value)]


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_STANDARD)}" if tag.startswith(_STANDARD) else tag


def _at(event: Any) -> str:
    mark = event.start_mark
    return f" (line {mark.line + 1}, column {mark.column + 1})"


FORMAT = Format(
    "yaml",
    compare,
    suffixes=(".yaml", ".yml", "/mlmodel", "dvc.lock", ".dvc"),
    folds=True,
    textual=True,
    fits=is_text,
)
