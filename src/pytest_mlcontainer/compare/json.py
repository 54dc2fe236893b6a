"""JSON, leaf by leaf. Key order and layout do not count; numbers do, by value.

An item is the path to a leaf: `accuracy`, `metrics.auc`, `history[3].loss`. A rectangular list (of
lists …) of numbers, of strings or of booleans is one item with an index, so `losses` is compared as
an array. JSON has one type of number: 1 and 1.0 are the same value, with a note.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.arrays import Place, compare_arrays
from pytest_mlcontainer.compare.format import Format
from pytest_mlcontainer.compare.gaps import Values
from pytest_mlcontainer.compare.json_text import JsonError, parse_carefully
from pytest_mlcontainer.compare.measure import array_of
from pytest_mlcontainer.compare.numbers import bring_together, integers
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import Pair, Side, read_both
from pytest_mlcontainer.compare.text import LIMIT_BYTES
from pytest_mlcontainer.model import Difference, Verdict

_SHOWN = 80
_DIMENSIONS = 30
_LONGEST_PATH = 2000
_DEEPEST_RULE = 50


@dataclass(frozen=True)
class _Grid:
    """A rectangular list: its leaves in order, all of one `kind`, and its shape."""

    leaves: list[Any]
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class _Node:
    place: Place
    actual: Any
    expected: Any

    def child(self, step: str, actual: Any, expected: Any) -> _Node:
        place = self.place
        item = f"{place.item}{step}"[:_LONGEST_PATH] if place.item else step.removeprefix(".")
        above = place.above
        if place.item and len(above) < _DEEPEST_RULE:
            above = (place.item, *above)
        return _Node(Place(place.output, item, above), actual, expected)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two documents, without recursion, so that any depth is read."""
    actual, expected = read_both(pair, _read)
    waiting = [_Node(Place(pair.name), actual, expected)]
    while waiting:
        node = waiting.pop()
        if isinstance(node.actual, dict) and isinstance(node.expected, dict):
            yield from _compare_keys(node, book)
            waiting += reversed(_shared_keys(node))
        elif isinstance(node.actual, list) and isinstance(node.expected, list):
            grids = _grid(node.actual), _grid(node.expected)
            if grids[0] is not None and grids[1] is not None:
                yield from _compare_grids(node, grids[0], grids[1], book)
                continue
            yield from _compare_lengths(node, book)
            waiting += reversed(_shared_places(node))
        else:
            yield from _compare_leaf(node, book)


def parse(text: str) -> Any:
    """The document.

    Raises:
        JsonError: it is broken, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return parse_carefully(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate key")
    return found


def _read(side: Side) -> Any:
    data = side.read()
    try:
        return parse(data.decode(json.detect_encoding(data)).removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        reason = f"is not {error.encoding} text (byte {error.start})"
        raise side.unreadable(reason) from error
    except JsonError as error:
        raise side.unreadable(f"is broken JSON: {error}") from error


def _compare_keys(node: _Node, book: RuleBook) -> Iterator[Difference]:
    for key, value in node.expected.items():
        if key not in node.actual:
            child = node.child(_step(key), None, value)
            yield from _drift(child, book, f"missing in the actual run; expected {_show(value)}")
    for key, value in node.actual.items():
        if key not in node.expected:
            child = node.child(_step(key), value, None)
            yield from _drift(child, book, f"only in the actual run: {_show(value)}")


def _shared_keys(node: _Node) -> list[_Node]:
    return [
        node.child(_step(key), node.actual[key], value)
        for key, value in node.expected.items()
        if key in node.actual
    ]


def _shared_places(node: _Node) -> list[_Node]:
    pairs = zip(node.actual, node.expected, strict=False)
    return [node.child(f"[{index}]", *pair) for index, pair in enumerate(pairs)]


def _compare_lengths(node: _Node, book: RuleBook) -> Iterator[Difference]:
    lengths = len(node.actual), len(node.expected)
    if lengths[0] != lengths[1]:
        yield from _drift(node, book, f"a list of {lengths[0]}, expected a list of {lengths[1]}")


def _compare_grids(
    node: _Node, actual: _Grid, expected: _Grid, book: RuleBook
) -> Iterator[Difference]:
    kinds = {actual.kind, expected.kind} - {"nothing"}
    if len(kinds) > 1:
        yield from _drift(node, book, f"a list of {actual.kind}, expected {expected.kind}")
        return
    place = node.place
    left, right = _values(actual), _values(expected)
    if left is None or right is None:
        left, right = _texts(actual), _texts(expected)
    elif "numbers" in kinds:
        both = bring_together(left, right)
        left, right = both.actual, both.expected
        place = replace(place, judged_as=both.judged_as, note=both.note)
    left, right = left.reshape(actual.shape), right.reshape(expected.shape)
    if not actual.leaves or not expected.leaves:
        left, right = left.astype(right.dtype), right
    yield from compare_arrays(place, array_of(left), array_of(right), book)


def _compare_leaf(node: _Node, book: RuleBook) -> Iterator[Difference]:
    actual, expected = node.actual, node.expected
    kinds = _kind(actual), _kind(expected)
    if kinds[0] != kinds[1]:
        yield from _drift(node, book, f"{_describe(actual)}, expected {_describe(expected)}")
    elif _plainly_equal(actual, expected):
        place = node.place
        if not book.find(place.output, place.item, place.above).tolerance.ignore:
            yield Difference(place.output, place.item, Verdict.IDENTICAL, size=1)
    else:
        yield from _compare_scalars(node, book)


def _plainly_equal(actual: Any, expected: Any) -> bool:
    """The cheap answer for most leaves: same type and value, no NaN, the same sign of zero."""
    if type(actual) is not type(expected) or actual != expected:
        return False
    return not isinstance(actual, float) or math.copysign(1, actual) == math.copysign(1, expected)


def _compare_scalars(node: _Node, book: RuleBook) -> Iterator[Difference]:
    kind = _kind(node.actual)
    left, right = _Grid([node.actual], (), kind), _Grid([node.expected], (), kind)
    yield from _compare_grids(node, left, right, book)


def _drift(node: _Node, book: RuleBook, note: str) -> Iterator[Difference]:
    place = node.place
    if not book.find(place.output, place.item, place.above).tolerance.ignore:
        yield Difference(place.output, place.item, Verdict.DRIFT, note=note)


def _grid(value: list[Any]) -> _Grid | None:
    """The list as an array, if it is rectangular and its leaves are of one kind."""
    leaves: list[Any] = value
    shape = [len(value)]
    while leaves and all(type(leaf) is list for leaf in leaves):
        lengths = {len(leaf) for leaf in leaves}
        if len(lengths) > 1:
            return None
        shape.append(lengths.pop())
        leaves = [leaf for row in leaves for leaf in row]
        if len(shape) > _DIMENSIONS:
            return None
    kinds = {_kind(leaf) for leaf in leaves}
    if len(kinds) > 1 or kinds & {"objects", "lists", "nulls"}:
        return None
    return _Grid(leaves, tuple(shape), kinds.pop() if kinds else "nothing")


def _values(grid: _Grid) -> Values | None:
    """None for numbers that no type of this machine holds."""
    if grid.kind != "numbers":
        return np.array(grid.leaves, object if grid.kind == "strings" else bool)
    if all(type(leaf) is int for leaf in grid.leaves):
        return integers(grid.leaves)
    try:
        return np.array([float(leaf) for leaf in grid.leaves], np.float64)
    except OverflowError:
        return None


def _texts(grid: _Grid) -> Values:
    return np.array([repr(leaf) for leaf in grid.leaves], object)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "booleans"
    if isinstance(value, (int, float)):
        return "numbers"
    if value is None:
        return "nulls"
    if isinstance(value, str):
        return "strings"
    return "lists" if isinstance(value, list) else "objects"


def _describe(value: Any) -> str:
    """The value with its type: `the number 1`, `an object of 3`."""
    if value is None or isinstance(value, (list, dict)):
        return _show(value)
    return f"the {_kind(value)[:-1]} {_show(value)}"


def _step(key: str) -> str:
    return f".{key}" if key else '.""'


def _show(value: Any) -> str:
    """A value in a few words; never all of a large one, and without recursion."""
    if isinstance(value, (list, dict)):
        noun = "a list" if isinstance(value, list) else "an object"
        return f"{noun} of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _is_json(side: Side) -> bool:
    """An object or list that reads as JSON. What is only called .json is JSON by its name."""
    if side.size_bytes() > LIMIT_BYTES:
        return False
    with side.open() as stream:
        first = stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first not in (b"{", b"[") or side.name.lower().endswith(".json"):
        return False
    try:
        parse(side.read().decode("utf-8-sig"))
    except (JsonError, UnicodeDecodeError):
        return False
    return True


FORMAT = Format("json", compare, _is_json, (".json",), folds=True, textual=True)
