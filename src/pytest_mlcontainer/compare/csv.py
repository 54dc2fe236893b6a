"""CSV and TSV: columns are items.

A column of whole numbers is compared as integers, one of numbers as floats (`numbers` says how
precisely), any other as text. An empty cell in a column of numbers is a missing value, NaN. Numbers
with leading zeros are text, because "007" is a name. A first row of numbers is no header; columns
are then called by their position, from "0".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.arrays import Place, compare_arrays
from pytest_mlcontainer.compare.format import Format
from pytest_mlcontainer.compare.gaps import Values
from pytest_mlcontainer.compare.measure import array_of
from pytest_mlcontainer.compare.numbers import bring_together, integers
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import Pair, Side, read_both
from pytest_mlcontainer.compare.text import is_text
from pytest_mlcontainer.model import Difference, Verdict

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
_KEY_VALUE = re.compile(r"[^:,;\t]*:(?:\s|$)")
_DOUBLE_HOLDS = 2**53


@dataclass(frozen=True)
class Table:
    """One side. `columns` has as many lists of cells as there are names."""

    delimiter: str
    names: tuple[str, ...]
    columns: tuple[list[str], ...]
    rows: int


def is_key_value_text(text: str) -> bool:
    """Whether every line is `key: value`, which some tools write into files called .csv."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_KEY_VALUE.match(line) for line in lines)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two tables, column by column."""
    actual, expected = read_both(pair, _read)
    if actual.delimiter != expected.delimiter:
        note = f"delimiter {actual.delimiter!r}, expected {expected.delimiter!r}"
        yield from _drift(pair.name, "", note, book)
    for name in expected.names:
        if name not in actual.names:
            yield from _drift(pair.name, name, "column missing in the actual run", book)
    for name in actual.names:
        if name not in expected.names:
            yield from _drift(pair.name, name, "column only in the actual run", book)
    shared = [name for name in expected.names if name in actual.names]
    if shared != [name for name in actual.names if name in expected.names]:
        yield from _drift(pair.name, "", "the columns are in another order", book)
    if actual.rows != expected.rows:
        yield from _drift(pair.name, "", f"rows: {actual.rows}, expected {expected.rows}", book)
        return
    for name in shared:
        left = actual.columns[actual.names.index(name)]
        right = expected.columns[expected.names.index(name)]
        yield from _compare_columns(Place(pair.name, name), left, right, book)


def _drift(output: str, item: str, note: str, book: RuleBook) -> Iterator[Difference]:
    if not book.find(output, item).tolerance.ignore:
        yield Difference(output, item, Verdict.DRIFT, note=note)


def _read(side: Side) -> Table:
    data = side.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise side.unreadable(
            f"is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x}); write it with "
            'encoding="utf-8"'
        ) from error
    delimiter = _delimiter(side.name, text)
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row and rows and len(row) != len(rows[0]):
                raise side.unreadable(
                    f"is ragged: line {reader.line_num} has {_cells(len(row))}, the first has "
                    f"{len(rows[0])}"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        raise side.unreadable(f"is broken CSV at line {reader.line_num}: {error}") from error
    return _table(delimiter, rows)


def _delimiter(name: str, text: str) -> str:
    first = text.split("\n", 1)[0]
    usual = "\t" if name.lower().endswith(".tsv") else ","
    others = [other for other in (",", "\t", ";") if other in first]
    return usual if usual in first or not others else others[0]


def _table(delimiter: str, rows: list[list[str]]) -> Table:
    if not rows:
        return Table(delimiter, (), (), 0)
    headless = all(_is_number(cell) for cell in rows[0])
    cells = rows if headless else rows[1:]
    names: dict[str, None] = {}
    for position, header in enumerate(rows[0]):
        name = str(position) if headless or not header.strip() else header.strip()
        names[f"{name}#{position}" if name in names else name] = None
    columns = [list(column) for column in zip(*cells, strict=True)] or [[] for _ in names]
    return Table(delimiter, tuple(names), tuple(columns), len(cells))


def _compare_columns(
    place: Place, actual: list[str], expected: list[str], book: RuleBook
) -> Iterator[Difference]:
    left, right = _numbers(actual), _numbers(expected)
    if left is None and right is None:
        pair = np.array(actual, object), np.array(expected, object)
        yield from compare_arrays(place, array_of(pair[0]), array_of(pair[1]), book)
    elif left is None or right is None:
        note = "a column of text, expected numbers"
        if right is None:
            note = "a column of numbers, expected text"
        texts = np.array(actual, object), np.array(expected, object)
        place = Place(place.output, place.item, note=note)
        yield from compare_arrays(place, array_of(texts[0]), array_of(texts[1]), book)
    else:
        both = bring_together(left, right)
        place = Place(place.output, place.item, judged_as=both.judged_as, note=both.note)
        yield from compare_arrays(place, array_of(both.actual), array_of(both.expected), book)


def _numbers(cells: list[str]) -> Values | None:
    """The column as int64, uint64 or float64; None for text."""
    stripped = [cell.strip() for cell in cells]
    present = [cell for cell in stripped if cell]
    if cells and not present:
        return None
    if all(_WHOLE.fullmatch(cell) for cell in present):
        whole = [_int(cell) for cell in present]
        if len(present) == len(cells):
            return integers(whole)
        if any(abs(value) > _DOUBLE_HOLDS for value in whole):
            return None
    elif not all(_is_number(cell) or _WORD.fullmatch(cell) for cell in present):
        return None
    return np.array([float(cell) if cell else np.nan for cell in stripped], np.float64)


def _int(cell: str) -> int:
    """What Python refuses to convert for its length is beyond 64 bits anyway."""
    return int(cell) if len(cell) < 50 else 2**100


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _is_table(side: Side) -> bool:
    """Not so the `key: value` text that some tools write into files called .csv."""
    return not is_text(side) or not is_key_value_text(side.read().decode("utf-8-sig"))


FORMAT = Format("csv", compare, suffixes=(".csv", ".tsv"), folds=True, textual=True, fits=_is_table)
