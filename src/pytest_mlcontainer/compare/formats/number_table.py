"""Text that holds nothing but numbers in rows, as `numpy.savetxt` writes it, whatever its name.

Cells are separated by blanks, tabs, commas or semicolons. Lines that begin with # or % are comments
and have to be the same. Columns are compared as those of a CSV file, so that a number near zero is
judged beside those around it. A file of one row, or of whole numbers alone, stays text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mlcontainer.compare.formats import text_file as text
from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.tables.columns import Table
from pytest_mlcontainer.compare.tables.csv_cells import Cells
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.model import Difference

_NUMBER = (
    r"[-+]?(?:(?:0|[1-9][0-9]{0,40})(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,4})?"
    r"|[-+]?(?:nan|NaN|inf|Inf|infinity)"
)
_ROW = re.compile(rf"(?:{_NUMBER})(?:(?:[ \t]*[,;]|[ \t])[ \t]*(?:{_NUMBER}))*", re.ASCII)
_DECIMAL = re.compile(r"[.eE]")
_SEPARATOR = re.compile(r"[ \t]*[,;][ \t]*|[ \t]+")
_LONGEST_LINE = 1 << 20
_BLOCK_ROWS = 4096
_COMMENTS = ("#", "%")
_LEAST_ROWS = 2


@dataclass(frozen=True)
class _NumberTable:
    table: Table
    comments: tuple[str, ...]


def is_number_table(side: ComparedFile) -> bool:
    """Whether every line is a row of as many numbers, or a comment."""
    rows, width, decimal = 0, 0, False
    try:
        for line in _lines(side):
            if line.startswith(_COMMENTS):
                continue
            if _ROW.fullmatch(line) is None:
                return False
            cells = len(_SEPARATOR.split(line))
            if width not in (0, cells):
                return False
            rows, width = rows + 1, cells
            decimal = decimal or _DECIMAL.search(line) is not None
    except UnicodeDecodeError:
        return False
    return rows >= _LEAST_ROWS and decimal


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two tables, column by column; as text where comments differ."""
    actual, expected = read_both(pair, _read)
    if actual.comments != expected.comments:
        yield from text.compare(pair, book, "comments differ; compared as text")
        return
    yield from compare_tables(pair.name, actual.table, expected.table, book)


def _read(side: ComparedFile) -> _NumberTable:
    columns: list[Cells] = []
    comments: list[str] = []
    rows = 0
    lines = _lines(side)
    while block := list(itertools.islice(lines, _BLOCK_ROWS)):
        comments.extend(line for line in block if line.startswith(_COMMENTS))
        cells = [_SEPARATOR.split(line) for line in block if not line.startswith(_COMMENTS)]
        if not cells:
            continue
        columns = columns or [Cells(False, False) for _ in cells[0]]
        for column, part in zip(columns, zip(*cells, strict=True), strict=True):
            column.add(part)
        rows += len(cells)
    read = {str(place): column.column() for place, column in enumerate(columns)}
    found = {name: column for name, column in read.items() if column is not None}
    if len(found) != len(columns):
        raise side.malformed("holds numbers that no column can hold")
    return _NumberTable(Table(found, rows), tuple(comments))


def _lines(side: ComparedFile) -> Iterator[str]:
    """Lines without blanks at their ends, those that are empty left out.

    Raises:
        UnicodeDecodeError: it is not ASCII, or has a line too long to be a row.
    """
    with side.open() as stream:
        while line := stream.readline(_LONGEST_LINE):
            if len(line) >= _LONGEST_LINE:
                raise UnicodeDecodeError("ascii", line[:1], 0, 1, "a line without end")
            if stripped := line.decode("ascii").strip():
                yield stripped


FORMAT = Format("table of numbers", compare, folds=True, textual=True)
