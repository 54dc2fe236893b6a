"""Tells how long a training took from an axis of time, by what stands beside it.

A column `time` beside `epoch` and `train/loss` is what a clock said, as Ultralytics and fastai
write it. The same name in the output of a simulation, or of a sensor, is part of the result.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_mlcontainer.compare.tables.columns import Column, Table, load, mask_of
from pytest_mlcontainer.compare.tables.record_lists import Record
from pytest_mlcontainer.model.clock_names import (
    are_of_training,
    depends_on_neighbours,
    is_counter,
    is_measured,
)

_FEWEST: Final = 3
_MOST_ROWS: Final = 1 << 20
_EVEN: Final = 1e-6
_MILLISECONDS: Final = range(1_200_000_000_000, 2_200_000_000_000)  # of the years 2008 to 2039
_CLOCK_TEXT: Final = re.compile(r"(?:[0-9]{1,3}:)?[0-9]{1,3}:[0-9]{2}(?:[.,][0-9]+)?")


def clock_in_table(name: str, actual: Table, expected: Table) -> bool | None:
    """Whether a column is what a clock said; None where its name alone has to tell."""
    nameless = name == "0" and len(expected.columns) > 1
    if not nameless and not (depends_on_neighbours(name) and are_of_training(expected.columns)):
        return None
    sides = [table.columns[name] for table in (actual, expected)]
    if any(side.depth or side.rows > _MOST_ROWS for side in sides):
        return None
    if nameless:
        return True if all(_are_milliseconds(_cells(side)) for side in sides) else None
    return True if _are_clocks(*map(_cells, sides)) else None


def clocks_in_records(actual: Sequence[Record], expected: Sequence[Record]) -> dict[str, bool]:
    """The fields of records of which their neighbours tell whether a clock said them.

    A field that only rises, beside numbers and outside a log of training, is an axis: it is False.
    """
    first = expected[0] if expected else {}  # of records that are curves alone nothing is left
    called = [name for name in first if type(name) is str]  # in YAML a key may be a number
    names = [name for name in called if depends_on_neighbours(name)]
    if not names:
        return {}
    trained = are_of_training(_leaf_names(expected[:_FEWEST]))
    beside = [name for name in called if not (is_counter(name) or is_measured(name, 1))]
    over = any(_is_number(first[name]) for name in beside)
    found: dict[str, bool] = {}
    for name in names:
        sides = [[each[name] for each in side if name in each] for side in (actual, expected)]
        if trained and _are_clocks(*sides):
            found[name] = True
        elif over and all(map(_rises, sides)):
            found[name] = False
    return found


def clocks_in_lists(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    """The names of lists that a clock gave, in a log of training that is kept column by column.

    Args:
        actual, expected: what stands beside each other, of which lists count.
    """
    beside = [name for name, value in expected.items() if type(value) is list]
    names = [name for name in beside if type(name) is str]  # in YAML a key may be a number
    if are_of_training(names):
        for name in filter(depends_on_neighbours, names):
            other = actual.get(name)
            if type(other) is list and _are_clocks(other, expected[name]):
                yield name


def _leaf_names(records: Sequence[Record]) -> Iterator[str]:
    """The names of fields, and of those in a field: `{"epoch": 1, "train": {"loss": 0.1}}`."""
    for record in records:
        for name, value in record.items():
            inner = value if type(value) is dict else {}
            yield from (f"{name}/{each}" for each in inner)
            yield str(name)


def _are_milliseconds(cells: list[Any]) -> bool:
    """Whether they are times since 1970, as MLflow writes one before each value of a metric."""
    whole = bool(cells) and all(_is_number(cell) and float(cell).is_integer() for cell in cells)
    return (
        whole and all(cell in _MILLISECONDS for cell in map(int, cells)) and cells == sorted(cells)
    )


def _cells(column: Column) -> list[Any]:
    part = load(column)
    missing = mask_of(part)
    return [cell for cell, lost in zip(part.values.tolist(), missing, strict=True) if not lost]


def _are_clocks(actual: list[Any], expected: list[Any]) -> bool:
    """Whether all cells may be a clock's, and those of a side are no even grid."""
    if not all(map(_may_be_clock, itertools.chain(actual, expected))):
        return False
    return not (_is_even(actual) and _is_even(expected))


def _may_be_clock(cell: Any) -> bool:
    if type(cell) is str:
        return _CLOCK_TEXT.fullmatch(cell.strip()) is not None
    return _is_number(cell)


def _is_number(cell: Any) -> bool:
    return type(cell) in (int, float)


def _steps(values: list[Any]) -> list[float]:
    """From each number to the next; none where there are few, or anything else among them."""
    if len(values) < _FEWEST or not all(map(_is_number, values)):
        return []
    steps = [float(after - before) for before, after in itertools.pairwise(values)]
    return steps if all(map(math.isfinite, steps)) else []


def _rises(values: list[Any]) -> bool:
    return min(_steps(values), default=0.0) > 0


def _is_even(values: list[Any]) -> bool:
    """Whether the numbers rise by the same each time, as an axis does and no clock."""
    steps = _steps(values)
    return min(steps, default=0.0) > 0 and max(steps) - min(steps) <= _EVEN * max(steps)
