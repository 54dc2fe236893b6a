"""CSV and TSV: columns are items.

A column of whole numbers is compared as integers, one of numbers as floats (`numbers` says how
precisely), any other as text. An empty cell in a column of numbers is a missing value, NaN. Numbers
with leading zeros are text, because "007" is a name. A first row of numbers is no header; columns
are then called by their position, from "0". Where cells are separated by semicolons, as in locales
that have a decimal comma, 1,5, 1.234,5 and 1 234,5 are numbers. Lines of comment above the header,
which begin with #, are one item, `#`.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.text_encodings import (
    BYTE_ORDER_MARKS,
    SINGLE_BYTE,
    encoding_of,
)
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    ComparedFile,
    Pair,
    UnreadableError,
    chunks,
    read_both,
)
from pytest_mlcontainer.compare.tables.columns import Table
from pytest_mlcontainer.compare.tables.csv_cells import Cells, is_number
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift
from pytest_mlcontainer.compare.values.wholes import compare_texts_with_numbers
from pytest_mlcontainer.model import Difference

_KEY_VALUE = re.compile(r"[^:,;\t]*:(?:\s|$)")
_LONGEST_LINE = 1 << 24
_COLUMNS = 100_000
_COMMENT = "#"
_COMMENTS = 1000  # at most
_BLOCK_CELLS = 1 << 16


@dataclass(frozen=True)
class File:
    """One side's file as a table, and how its text was read.

    Args:
        commas: names of the columns whose numbers are written with a decimal comma.
        comments: lines above the header.
    """

    delimiter: str
    encoding: str
    table: Table
    commas: frozenset[str]
    comments: tuple[str, ...]


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two tables, column by column."""
    actual, expected = read_both(pair, _read)
    for what in ("delimiter", "encoding"):
        mine, theirs = getattr(actual, what), getattr(expected, what)
        if mine != theirs:
            yield from drift(pair.name, "", f"{what} {mine!r}, expected {theirs!r}", book)
    if actual.comments or expected.comments:
        place = ItemLocation(pair.name, _COMMENT)
        mine, theirs = (array_of(np.array(each.comments, object)) for each in (actual, expected))
        yield from compare_texts_with_numbers(place, mine, theirs, book)
    for name in sorted(actual.commas ^ expected.commas):
        if name in actual.table.columns and name in expected.table.columns:
            note = "written with a decimal comma, expected a decimal point"
            if name in expected.commas:
                note = "written without the decimal comma that is expected"
            yield from drift(pair.name, name, note, book)
    yield from compare_tables(pair.name, actual.table, expected.table, book)


def _read(side: ComparedFile) -> File:
    """The whole table; once more for columns that held numbers at first and text later.

    Raises:
        UnreadableError: it is no table; the text names the line.
    """
    encoding = _encoding(side)
    try:
        return _read_as(side, encoding)
    except UnreadableError as error:
        # Spreadsheets export in the encoding of the machine's language.
        single = encoding_of(side) if isinstance(error.__cause__, UnicodeError) else None
        if single not in SINGLE_BYTE:
            raise
        return _read_as(side, single)


def _read_as(side: ComparedFile, encoding: str) -> File:
    _refuse_key_value_text(side, encoding)
    comments = _comments(side, encoding)
    delimiter = _delimiter(side, encoding, len(comments))
    texts: set[int] = set()
    while True:
        names, cells, rows = _read_cells(side, encoding, delimiter, texts, len(comments))
        columns = [each.column() for each in cells]
        found = {name: each for name, each in zip(names, columns, strict=True) if each is not None}
        if len(found) == len(names):
            commas = (name for name, each in zip(names, cells, strict=True) if each.has_commas)
            label = "utf-8" if encoding == "utf-8-sig" else encoding
            return File(delimiter, label, Table(found, rows), frozenset(commas), comments)
        texts |= {place for place, each in enumerate(columns) if each is None}


def _read_cells(
    side: ComparedFile, encoding: str, delimiter: str, texts: set[int], above: int
) -> tuple[tuple[str, ...], list[Cells], int]:
    """Names, columns, and how many rows there are."""
    names: tuple[str, ...] = ()
    columns: list[Cells] = []
    count = 0
    with _lines(side, encoding, above) as lines:
        for rows in _blocks(side, lines, delimiter, above):
            if not columns:
                commas = delimiter == ";"
                headless = all(is_number(cell, commas) for cell in rows[0])
                names = _names(rows[0], headless)
                columns = [Cells(place in texts, commas) for place in range(len(names))]
                rows = rows if headless else rows[1:]
            if set(map(len, rows)) - {len(columns)}:
                raise _ragged(side, encoding, delimiter, len(columns), above)
            count += len(rows)
            for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
                column.add(cells)
    return names, columns, count


def _blocks(
    side: ComparedFile, lines: Iterator[str], delimiter: str, above: int
) -> Iterator[list[list[str]]]:
    """Rows that are not empty, some at a time; the first one is alone."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    length = 1
    try:
        while block := list(itertools.islice(reader, length)):
            rows = [row for row in block if row]
            if not rows:
                continue
            if len(rows[0]) > _COLUMNS:
                raise side.unreadable(
                    f"has {len(rows[0])} columns; at most {_COLUMNS} are compared"
                )
            yield rows
            length = max(1, _BLOCK_CELLS // len(rows[0]))
    except csv.Error as error:
        line = above + reader.line_num
        raise side.malformed(f"is broken CSV at line {line}: {error}") from error


def _ragged(
    side: ComparedFile, encoding: str, delimiter: str, width: int, above: int
) -> UnreadableError:
    """Which line is the first that is longer or shorter than the first of all."""
    with _lines(side, encoding, above) as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        row = next(row for row in reader if row and len(row) != width)
        line = above + reader.line_num
        return side.malformed(
            f"is ragged: line {line} has {_cells(len(row))}, the first has {width}"
        )


@contextmanager
def _lines(side: ComparedFile, encoding: str, above: int = 0) -> Iterator[Iterator[str]]:
    """The lines of a file, without the first few."""
    _check_lines(side)
    with side.open() as stream:
        try:
            text = io.TextIOWrapper(stream, encoding, newline="")
            yield itertools.islice(text, above, None)
        except UnicodeError as error:
            raise _undecodable(side, encoding) from error


def _check_lines(side: ComparedFile) -> None:
    """A reader takes a whole line into memory, however long it is."""
    length = 0
    with side.open() as stream:
        for chunk in chunks(stream):
            last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            length = length + len(chunk) if last < 0 else len(chunk) - last - 1
            if length >= _LONGEST_LINE:
                raise side.unreadable(f"has a line of more than {_LONGEST_LINE} bytes")


def _encoding(side: ComparedFile) -> str:
    with side.open() as stream:
        start = stream.read(4)
    return next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")


def _undecodable(side: ComparedFile, encoding: str) -> UnreadableError:
    """Which byte cannot be read; the encodings that Windows writes are a guess worth naming."""
    name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
    decoder = codecs.getincrementaldecoder(encoding)()
    before = 0
    with side.open() as stream:
        for chunk in chunks(stream):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                place = before - kept + error.start
                byte = error.object[error.start]
                hint = "; it may be cp1252 or latin-1" if encoding == "utf-8" else ""
                return side.malformed(
                    f"is not {name} text (byte {place} is 0x{byte:02x}){hint}; write it with "
                    'encoding="utf-8"'
                )
            except UnicodeError as error:
                return side.malformed(f"is not {name} text ({error})")
            before += len(chunk)
    return side.malformed(f"is not {name} text: it ends within a character")


def _comments(side: ComparedFile, encoding: str) -> tuple[str, ...]:
    """The lines above the header that begin with #, unless the last of them is the header."""
    with _lines(side, encoding) as lines:
        above = list(itertools.takewhile(_is_comment, itertools.islice(lines, _COMMENTS)))
    if not above:
        return ()
    with _lines(side, encoding, len(above)) as lines:
        first = next(lines, "")
    delimiter = _delimiter_of(side, first)
    if not first or (above[-1].count(delimiter) == first.count(delimiter) and not _is_json(above)):
        del above[-1]
    return tuple(line.rstrip() for line in above)


def _is_comment(line: str) -> bool:
    return line.startswith(_COMMENT)


def _is_json(comments: list[str]) -> bool:
    return comments[-1].lstrip(f"{_COMMENT} ").startswith("{")


def _delimiter(side: ComparedFile, encoding: str, above: int) -> str:
    with _lines(side, encoding, above) as lines:
        return _delimiter_of(side, next(lines, ""))


def _delimiter_of(side: ComparedFile, first: str) -> str:
    usual = "\t" if side.name.lower().endswith(".tsv") else ","
    others = [other for other in (",", "\t", ";") if other in first]
    if ";" in others and all(is_number(cell, commas=True) for cell in first.split(";")):
        return ";"
    return usual if usual in first or not others else others[0]


def _names(row: list[str], headless: bool) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for position, header in enumerate(row):
        name = str(position) if headless or not header.strip() else header.strip()
        names[f"{name}#{position}" if name in names else name] = None
    return tuple(names)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _refuse_key_value_text(side: ComparedFile, encoding: str) -> None:
    """Some tools write lines of `key: value` into files called .csv; of a table, one line shows."""
    with _lines(side, encoding) as lines:
        filled = (line for line in lines if line.strip())
        first = next(filled, None)
        if first is not None and all(map(_KEY_VALUE.match, itertools.chain([first], filled))):
            raise side.malformed("is text, `key: value` in every line")


FORMAT = Format("csv", compare, suffixes=(".csv", ".tsv"), folds=True, textual=True)
