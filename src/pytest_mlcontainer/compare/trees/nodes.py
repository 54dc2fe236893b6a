"""The same place of two trees, what is below it on both sides, and the curves in it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.tables.record_lists import fields
from pytest_mlcontainer.compare.trees.tree_values import grid_of, step_to

_LONGEST_PATH = 2000
_DRAWN_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1467][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_DEEPEST_RULE = 50


class PairNode(NamedTuple):
    item: str
    above: tuple[str, ...]
    actual: Any
    expected: Any

    def child(self, step: str, actual: Any, expected: Any) -> PairNode:
        above = self.above
        if not self.item:
            return PairNode(step.removeprefix(".")[:_LONGEST_PATH], above, actual, expected)
        if len(above) < _DEEPEST_RULE:
            above = (self.item, *above)
        return PairNode(f"{self.item}{step}"[:_LONGEST_PATH], above, actual, expected)


def lines_of(node: PairNode, side: dict[str, Any]) -> dict[str, Array]:
    """The lists of numbers in an object, as arrays by their path."""
    found: dict[str, Array] = {}
    for key, value in side.items():
        grid = grid_of(value) if type(value) is list else None
        if grid is not None and grid.kind == "numbers" and len(grid.shape) == 1:
            with contextlib.suppress(OverflowError):
                values = np.array([float(leaf) for leaf in grid.leaves])
                found[path_to(node, key)] = array_of(values)
    return found


def record_lines(records: list[dict[str, Any]], prefix: str) -> dict[str, Array]:
    """The fields of records that are numbers in every one of them, as arrays by their path."""
    found = fields(records).items()
    return {f"{prefix}{key}": array_of(np.array(values)) for key, values in found}


def path_to(node: PairNode, key: str) -> str:
    return node.child(step_to(key), None, None).item


def met_by_id(
    actual: dict[str, Any], expected: dict[str, Any], mask: Callable[[str], str]
) -> dict[str, Any] | None:
    """The actual object under the expected one's keys, where those that differ are ids of a run.

    Keys that are the same once masked meet in the order in which they stand. None where there is
    another one, or another number of them.
    """
    mine = [key for key in actual if key not in expected]
    theirs = [key for key in expected if key not in actual]
    if (
        not mine
        or len(mine) != len(theirs)
        or not all(isinstance(key, str) for key in mine + theirs)
    ):
        return None
    waiting: dict[str, list[str]] = {}
    for key in reversed(theirs):
        waiting.setdefault(mask(key), []).append(key)
    names: dict[str, str] = {}
    for key in mine:
        masked = mask(key)
        if masked == key or not waiting.get(masked):
            return None
        names[key] = waiting[masked].pop()
    return {names.get(key, key): value for key, value in actual.items()}


def without_uuids(key: str) -> str:
    """The key without UUIDs that were drawn: those made of contents (versions 3, 5, 8) stay."""
    return _DRAWN_UUID.sub("\0", key)


def say_ids(rule_key: str) -> str:
    name = json.dumps(rule_key, ensure_ascii=False)
    rule = f'{name} = {{ ignore = ["uuid"] }}'
    return f"the keys are other UUIDs, which a rule lets meet in their order: {rule}"


def shared_keys(node: PairNode) -> Iterator[PairNode]:
    for key, value in node.expected.items():
        if key in node.actual:
            yield node.child(step_to(key), node.actual[key], value)


def shared_places(node: PairNode) -> Iterator[PairNode]:
    for index, pair in enumerate(zip(node.actual, node.expected, strict=False)):
        yield node.child(f"[{index}]", *pair)
