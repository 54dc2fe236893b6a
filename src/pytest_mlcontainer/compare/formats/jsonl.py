"""JSON Lines: a table whose rows are lines and whose columns are leaves, `metrics.loss`.

Keys may differ from line to line: a column is missing where a line does not have it, which is not
the same as null. A list of plain values is one cell; other lists are taken apart, as in
`history[3].loss`.
What stands before the object in every line, a time as a rule, is the column `#prefix`.
"""

from __future__ import annotations

import itertools
import json
import re
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.json_file import parse
from pytest_mlcontainer.compare.formats.json_text import JsonError, parse_carefully, unique_keys
from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.numbers import integers, wholes_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.tables.columns import Column, Table, column_of, objects, shorten
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.model import Difference

PREFIX = "#prefix"
_SUFFIXES = (".jsonl", ".ndjson")
_LONGEST_LINE = 1 << 24
_LONGEST_PREFIX = 200
_LONGEST_NAME = 2000
_PREFIX = re.compile(r"[^\s{][^{]*?\s*(?={)")
_NULL = 1


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, column by column."""
    actual, expected = read_both(pair, _read)
    yield from compare_tables(pair.name, actual, expected, book, ordered=False)


class _Cells:
    """A column while it is read: which lines have it, and what they hold."""

    def __init__(self) -> None:
        self._rows = array("q")
        self._blocks: list[Values] = []
        self._values: list[Any] = []

    def add(self, row: int, value: Any) -> None:
        self._rows.append(row)
        self._values.append(value)
        if len(self._values) == 4096:
            self._pack()

    def has(self, row: int) -> bool:
        return bool(self._rows) and self._rows[-1] == row

    def column(self, rows: int) -> Column:
        self._pack()
        at = np.frombuffer(self._rows, np.int64)
        where = None if len(at) == rows else at
        values = self._blocks[0] if len(self._blocks) == 1 else _joined(self._blocks)
        if not values.dtype.hasobject:
            return column_of(values, at=where)
        cells = values.tolist()
        lists = [cell for cell in cells if type(cell) is list]
        if lists and all(type(cell) is list or cell is None for cell in cells):
            lengths = np.array([-1 if cell is None else len(cell) for cell in cells], np.int64)
            flat = [value for cell in lists for value in cell]
            found, missing = _typed(flat)
            return column_of(found, "", missing, (lengths,), where, _wholes(found, flat))
        found, missing = _typed(cells)
        return column_of(found, "", missing, (), where, _wholes(found, cells))

    def _pack(self) -> None:
        """Numbers as an array, which needs a quarter of the memory."""
        if self._values:
            kinds = {type(value) for value in self._values}
            block = objects(self._values)
            if kinds == {float}:
                block = np.array(self._values, np.float64)
            elif kinds == {int}:
                whole = integers(self._values)
                block = block if whole is None or whole.dtype != np.int64 else whole
            self._blocks.append(block)
            self._values = []


def _joined(blocks: list[Values]) -> Values:
    if {block.dtype.name for block in blocks} in ({"float64"}, {"int64"}):
        return np.concatenate(blocks)
    return np.concatenate([objects(block.tolist()) for block in blocks])


def _wholes(found: Values, cells: list[Any]) -> Values | None:
    """Which cells of a column of decimals are whole numbers."""
    return wholes_of(cells) if found.dtype.kind == "f" else None


def _typed(cells: list[Any]) -> tuple[Values, Values | None]:
    """Cells of one kind as an array, of several as the text that they are written as."""
    nulls = np.array([cell is None for cell in cells], np.uint8) * np.uint8(_NULL)
    missing = nulls if nulls.any() else None
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds <= {int, float} and kinds:
        found = _numbers([0 if cell is None else cell for cell in cells], kinds == {int})
        if found is not None:
            return found, missing
    if kinds == {bool}:
        return np.array([bool(cell) for cell in cells]), missing
    if kinds == {str}:
        return objects([None if cell is None else shorten(cell) for cell in cells]), missing
    return objects([None if cell is None else shorten(json.dumps(cell)) for cell in cells]), missing


def _numbers(cells: list[Any], whole: bool) -> Values | None:
    if whole:
        return integers(cells)
    try:
        return np.array([float(cell) for cell in cells], np.float64)
    except OverflowError:
        return None


def _read(side: ComparedFile) -> Table:
    """The whole table.

    Raises:
        UnreadableError: a line is broken; the text says which.
    """
    columns: dict[str, _Cells] = {}
    rows = 0
    prefixed: int | None = None
    for number, line in _lines(side):
        prefix = _prefix(line)
        if rows and (prefixed is None) != (prefix is None):
            other = "nothing" if prefixed is None else "something"
            raise side.malformed(
                f"is broken JSON Lines at line {number}: {other} stands before the first object"
            )
        if prefix is not None:
            prefixed = number
            columns.setdefault(PREFIX, _Cells()).add(rows, line[:prefix].strip())
        for name, value in _leaves(_parse(side, number, line, prefix or 0)):
            cells = columns.get(name)
            while cells is not None and cells.has(rows):
                name += "#"  # {"a.b": 1, "a": {"b": 2}}
                cells = columns.get(name)
            if cells is None:
                cells = columns[name] = _Cells()
            cells.add(rows, value)
        rows += 1
    return Table({name: cells.column(rows) for name, cells in columns.items()}, rows)


def _lines(side: ComparedFile) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    with side.open() as stream:
        for number in itertools.count(1):
            data = stream.readline(_LONGEST_LINE)
            if not data:
                return
            if len(data) >= _LONGEST_LINE:
                raise side.unreadable(f"has more than {_LONGEST_LINE} bytes in line {number}")
            try:
                line = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise side.malformed(
                    f"is not UTF-8 text (line {number}, byte {error.start} of it)"
                ) from error
            if not line.isspace():
                yield number, line


def _prefix(line: str) -> int | None:
    """Where the object begins, if something else stands before it."""
    if line.startswith("{") or line.lstrip()[:1] in ("{", "[", '"'):
        return None
    found = _PREFIX.match(line[:_LONGEST_PREFIX])
    return None if found is None else found.end()


def _parse(side: ComparedFile, number: int, line: str, start: int) -> Any:
    text = line[start:] if start else line
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        pass
    try:
        return parse_carefully(text)
    except JsonError as error:
        what = str(error).replace(" at line 1, column", ", column")
        raise side.malformed(f"is broken JSON Lines at line {number}: {what}") from error


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Each leaf and the path to it, without recursion."""
    waiting = [("", value)]
    while waiting:
        name, value = waiting.pop()
        if type(value) is dict and value:
            dot = f"{name}." if name else ""
            inner = [(f"{dot}{key}"[:_LONGEST_NAME], each) for key, each in value.items()]
            waiting += reversed(inner)
        elif type(value) is list and any(type(each) in (dict, list) for each in value):
            inner = [(f"{name}[{place}]"[:_LONGEST_NAME], each) for place, each in enumerate(value)]
            waiting += reversed(inner)
        else:
            yield name, "{}" if type(value) is dict else value


def _is_jsonl(side: ComparedFile) -> bool:
    """At least two lines, each of them an object by its looks, the first two by parsing them.

    A file called .json is taken for JSON that something follows, unless it ends as lines do.
    """
    with side.open() as stream:
        if stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            return False
        stream.seek(0)
        whole = 0
        while data := stream.readline(_LONGEST_LINE):
            line = data.removeprefix(b"\xef\xbb\xbf").strip()
            if not line:
                continue
            if data[-1:] != b"\n" and side.name.lower().endswith(".json"):
                return False
            if not (line.startswith(b"{") and line.endswith(b"}")):
                return False
            if whole < 2 and not _is_object(line):
                return False
            whole += 1
    return whole > (0 if side.name.lower().endswith(_SUFFIXES) else 1)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse(line.decode("utf-8")), dict)
    except (JsonError, UnicodeDecodeError):
        return False


FORMAT = Format("jsonl", compare, _is_jsonl, _SUFFIXES, folds=True, textual=True)
