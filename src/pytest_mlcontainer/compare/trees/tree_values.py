"""The values in trees: kinds of leaves, lists as arrays, and how values are shown."""

from __future__ import annotations

import itertools
import json
import marshal
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.numbers import integers
from pytest_mlcontainer.wording import truncate

_SHOWN = 80
_DIMENSIONS = 30
_MARSHAL_WITHOUT_REFERENCES = 2


@dataclass(frozen=True)
class Tagged:
    """A value with a type of its own, of which only the name is known: `!!python/object:a.B`."""

    tag: str
    value: Any

    def __str__(self) -> str:
        return f"{self.tag} {self.value}"


@dataclass(frozen=True)
class Grid:
    """A rectangular list: its leaves in order, all of one `kind`, and its shape."""

    leaves: list[Any]
    shape: tuple[int, ...]
    kind: str


def plainly_equal(actual: Any, expected: Any) -> bool:
    """The cheap answer for most leaves: same type and value, no NaN, the same sign of zero."""
    if type(actual) is not type(expected) or actual != expected:
        return False
    return not isinstance(actual, float) or math.copysign(1, actual) == math.copysign(1, expected)


def bytes_of(value: Any) -> bytes:
    """A value as bytes that are the same for the same value only; empty where it is too deep."""
    try:
        return marshal.dumps(value, _MARSHAL_WITHOUT_REFERENCES)
    except ValueError:
        return b""


def count_items(value: Any) -> int:
    """How many items a tree has."""
    count = 0
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            waiting += value.values()
        elif type(value) is list and grid_of(value) is None:
            waiting += value
        else:
            count += 1
    return count


def grid_of(value: list[Any]) -> Grid | None:
    """The list as an array, if it is rectangular and its leaves are of one kind."""
    leaves: list[Any] = value
    shape = [len(value)]
    while leaves and set(map(type, leaves)) == {list}:
        lengths = set(map(len, leaves))
        if len(lengths) > 1:
            return None
        shape.append(lengths.pop())
        leaves = list(itertools.chain.from_iterable(leaves))
        if len(shape) > _DIMENSIONS:
            return None
    kinds = {_KINDS.get(each, "objects") for each in set(map(type, leaves))}
    if len(kinds) > 1 or kinds & {"objects", "lists", "nulls", "typed values"}:
        return None
    return Grid(leaves, tuple(shape), kinds.pop() if kinds else "nothing")


def values_of(grid: Grid) -> Values | None:
    """None for numbers that no type of this machine holds."""
    if grid.kind != "numbers":
        return np.array(grid.leaves, object if grid.kind == "strings" else bool)
    if set(map(type, grid.leaves)) == {int}:
        return integers(grid.leaves)
    try:
        return np.array([float(leaf) for leaf in grid.leaves], np.float64)
    except OverflowError:
        return None


def texts_of(grid: Grid) -> Values:
    return np.array([repr(leaf) for leaf in grid.leaves], object)


_KINDS: dict[type, str] = {
    bool: "booleans",
    int: "numbers",
    float: "numbers",
    type(None): "nulls",
    str: "strings",
    list: "lists",
    dict: "objects",
    Tagged: "typed values",
}


def kind_of_leaf(value: Any) -> str:
    return _KINDS[type(value)]


def describe(value: Any) -> str:
    """The value with its type: `the number 1`, `an object of 3`."""
    if value is None or isinstance(value, (list, dict, Tagged)):
        return show(value)
    return f"the {kind_of_leaf(value)[:-1]} {show(value)}"


def step_to(key: Hashable) -> str:
    return f".{key}" if key != "" else '.""'


def show(value: Any) -> str:
    """A value in a few words; never all of a large one, and without recursion."""
    if isinstance(value, (list, dict)):
        noun = "list" if isinstance(value, list) else "object"
        if not value:
            return f"an empty {noun}"
        return f"{'a' if noun == 'list' else 'an'} {noun} of {len(value)}"
    if isinstance(value, Tagged):
        return f"a value of the type {value.tag}"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return truncate(json.dumps(value, ensure_ascii=False), _SHOWN)
