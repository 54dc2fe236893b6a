"""Lists of records, `[{"fpr": 0.0, "tpr": 0.1}, …]`, which are tables written row by row.

A record more or less shifts all that follow, and comparing place by place would say so a hundred
times: the lengths are said once instead. Records may be the points of a curve: then their fields
are its axes, called `roc[*].fpr`.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pytest_mlcontainer.compare.matching.axes import AXES, is_monotone, say_curve
from pytest_mlcontainer.compare.tables.row_names import say_alone
from pytest_mlcontainer.compare.values import few
from pytest_mlcontainer.model import Tolerance
from pytest_mlcontainer.model.clock_names import is_counter

_FEWEST_POINTS = 3
_MANY = 10
_MOST_FIELDS = 100  # each of them is looked up in every record
_DIGITS = 6
_FRACTION = re.compile(r"-?[0-9]+(?:\.[0-9]+(?:e[-+]?[0-9]+)?|e[-+]?[0-9]+)")
_IN_ANY_ORDER = "unordered = true"

Record = dict[str, Any]


def are_records(values: list[Any]) -> bool:
    """Whether the list holds objects, and nothing else."""
    return bool(values) and set(map(type, values)) == {dict}


def fields(values: list[Record]) -> dict[str, list[float]]:
    """Those of the first fields that every record has and that are numbers in each."""
    found: dict[str, list[float]] = {}
    for key in itertools.islice(values[0], _MOST_FIELDS):
        column = [record.get(key) for record in values]
        if set(map(type, column)) <= {int, float}:
            try:
                found[key] = [float(value) for value in column if value is not None]
            except OverflowError:  # a number that no double holds is on no axis
                continue
    return found


def without(values: list[Record], names: frozenset[str], prefix: str) -> list[Record]:
    """The records without the fields that are called so; `prefix` stands before their names."""
    if not names:
        return values
    return [
        {key: value for key, value in record.items() if f"{prefix}{key}" not in names}
        for record in values
    ]


def say_lengths(output: str, item: str, actual: list[Record], expected: list[Record]) -> str:
    """How many records there are on either side, where they begin to differ, and what may help."""
    pairs = enumerate(zip(actual, expected, strict=False))
    first = next((place for place, (left, right) in pairs if left != right), None)
    noun = "record" if len(actual) == 1 else "records"
    note = f"a list of {len(actual)} {noun}, expected {len(expected)}"
    lone = _say_lone(actual, expected, is_cut=first is None)
    if first is None:
        return f"{note}; those that both have are the same{lone}"
    proposal = _proposal(output, item, actual, expected)
    return f"{note}; they differ from [{first}] on{proposal or lone}"


def _say_lone(actual: list[Record], expected: list[Record], *, is_cut: bool) -> str:
    """Which records only one side has, by the first field that names them."""
    for field in itertools.islice(expected[0], _MOST_FIELDS) if expected else ():
        sides = [[each.get(field) for each in side] for side in (actual, expected)]
        kinds = {type(value) for side in sides for value in side}
        if kinds not in ({str}, {int}) or len({*sides[1]}) < len(sides[1]):
            continue
        # Numbers of rows are given anew where one is missing before the end.
        if is_cut or is_counter(field) or sides[1] != [*range(len(expected))]:
            said = say_alone(field, *sides)
            return f"; {said}" if said else ""
    return ""


@dataclass(frozen=True)
class MetRecords:
    """Records in the order in which the other side has them.

    Args:
        actual: in the expected order; as they are where that could not be.
        by: what they met by, as a rule has it, `key = "id"`; "" where that was asked for.
        alone: names that one side alone has, or that are there twice.
    """

    actual: list[Record]
    by: str = ""
    alone: tuple[str, ...] = ()


def meet_records(
    actual: list[Record], expected: list[Record], tolerance: Tolerance
) -> MetRecords | None:
    """The records by the rule's key or in any order; without such a rule, by a field that names
    them, if that brings more together, or by all that is in them, if that brings all together.

    None for as they stand.
    """
    key = tolerance.key
    if key and any(set(key) <= each.keys() for each in expected):
        found = _by_names(actual, expected, key)
        if found is not None:
            return MetRecords(found)
        mine, theirs = (
            Counter(", ".join(f"{field} = {each.get(field)}" for field in key) for each in side)
            for side in (actual, expected)
        )
        twice = [name for name, count in theirs.items() if count > 1]
        alone = dict.fromkeys([*(mine - theirs), *(theirs - mine), *twice])
        return MetRecords(actual, alone=tuple(alone))
    if len(actual) != len(expected) or len(expected) < 2:
        return None
    if tolerance.unordered:
        return MetRecords(_by_content(actual, expected)[0])
    for field in itertools.islice(expected[0], _MOST_FIELDS):
        if type(expected[0][field]) not in (str, int):
            continue
        if all(
            left.get(field) == right.get(field)
            for left, right in zip(actual, expected, strict=True)
        ):
            continue  # none of them moved
        found = _by_names(actual, expected, (field,))
        if found is None:
            continue
        if _count_alike(found, expected) > _count_alike(actual, expected):
            return MetRecords(found, f"key = {json.dumps(field, ensure_ascii=False)}")
    found, whole = _by_content(actual, expected)
    return MetRecords(found, _IN_ANY_ORDER) if whole and found != actual else None


def _by_content(actual: list[Record], expected: list[Record]) -> tuple[list[Record], bool]:
    """The actual records as those stand that hold the same, and whether all have met so.

    First those that hold just the same, then those that do but for the last digits of numbers; the
    others in their order.
    """
    places: dict[int, Record] = {}
    left = [*range(len(actual))]
    for digits in (17, _DIGITS):
        waiting: dict[str, list[int]] = {}
        for place in reversed(left):
            waiting.setdefault(_content(actual[place], digits), []).append(place)
        for place, record in enumerate(expected):
            alike = () if place in places else waiting.get(_content(record, digits))
            if alike:
                places[place] = actual[alike.pop()]
        left = sorted(itertools.chain.from_iterable(waiting.values()))
    others = (actual[place] for place in left)
    return [places[at] if at in places else next(others) for at in range(len(expected))], not left


def _content(record: Record, digits: int) -> str:
    """All that is in a record, with so many digits of each decimal."""
    try:
        text = json.dumps(record, sort_keys=True, default=repr)
    except (RecursionError, TypeError):  # too deep, or with keys that have no order: like no other
        return str(id(record))
    return _FRACTION.sub(lambda found: f"{float(found[0]):.{digits}g}", text)


def _name(record: Record, key: tuple[str, ...]) -> tuple[Any, ...]:
    values = tuple(record.get(field) for field in key)
    return values if set(map(type, values)) <= {str, int} else ()


def _by_names(
    actual: list[Record], expected: list[Record], key: tuple[str, ...]
) -> list[Record] | None:
    """The actual records as the expected ones stand; None where not each is named, and once."""
    named = {_name(each, key): each for each in actual}
    order = [_name(each, key) for each in expected]
    whole = () not in named and len(named) == len(actual) == len(order)
    return [named[name] for name in order] if whole and set(order) == named.keys() else None


def _count_alike(actual: list[Record], expected: list[Record]) -> int:
    """Values that are the same in records at one place, numbers nearly so."""
    return sum(
        value == other
        or (type(value) is type(other) is float and math.isclose(value, other, rel_tol=1e-6))
        for left, right in zip(actual, expected, strict=True)
        for value, other in ((value, left.get(field)) for field, value in right.items())
    )


def say_met(rule_key: str, by: str) -> str:
    """That records stand in another order, and the rule that lets them."""
    key, _is, name = by.partition(" = ")
    how = f"here they meet by {json.loads(name)}" if key == "key" else "they hold the same"
    return (
        f"the records stand in another order; {how}. If their order means nothing, a rule says so: "
        f"{json.dumps(rule_key, ensure_ascii=False)} = {{ {by} }}"
    )


def say_moved(output: str, item: str, actual: list[Record], expected: list[Record]) -> str:
    """What to say of curves of one length whose points lie elsewhere; "" for anything else."""
    axis = _axis(actual, expected) if len(expected) >= _MANY else ""
    if axis not in AXES:
        return ""
    left, right = (fields(side).get(axis, []) for side in (actual, expected))
    if len(left) != len(right):
        return ""
    pairs = zip(left, right, strict=True)
    count = sum(not few.passes(mine, theirs, Tolerance()) for mine, theirs in pairs)
    if count < _MANY:
        return ""
    note = f"{count} of {len(expected)} records have another {axis}"
    return f"{note}{_proposal(output, item, actual, expected)}"


def _proposal(output: str, item: str, actual: list[Record], expected: list[Record]) -> str:
    said = say_curve(f"{output}:{item}" if item else output, _axis(actual, expected))
    return f"; {said}" if said else ""


def _axis(actual: list[Record], expected: list[Record]) -> str:
    """The field that the others may be curves over: it only rises or only falls, on both sides."""
    if min(len(actual), len(expected)) < _FEWEST_POINTS:
        return ""
    sides = fields(actual), fields(expected)
    shared = [key for key in sides[1] if key in sides[0]]
    if len(shared) < 2:
        return ""
    usable = [key for key in shared if all(is_monotone(side[key]) for side in sides)]
    named = [key for key in AXES if key in usable]
    # Steps of a training are counted in whole numbers: one that is missing is no matter of drawing.
    others = [key for key in usable if not all(value.is_integer() for value in sides[1][key])]
    return next(iter((*named, *others)), "")
