"""SQLite: columns of tables are items, `table.column`.

The file is opened as one that cannot change: nothing is written, no journal is looked at, no view,
trigger or virtual table is run, and no schema is trusted. Rows stand in the order of their rowid or
primary key. Columns and their declared types are part of the value; values are compared by the type
that they have.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, begins
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, UnreadableError, read_both
from pytest_mlcontainer.compare.tables.columns import (
    PART_ROWS,
    Column,
    ColumnChunk,
    Table,
    objects,
    shorten,
)
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.compare.values.notes import drift
from pytest_mlcontainer.model import Difference

MAGIC = b"SQLite format 3\0"
_STEPS = 1 << 16
_STEPS_PER_BYTE = 64
_LEAST_BYTES = 1 << 20
_ROW_BYTES = 2
_TABLES = 10_000
_VIRTUAL_COLUMN = 2
_DOUBLE_HOLDS = 2**53
_ROWIDS = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True)
class TableSchema:
    """A table as the schema declares it.

    Args:
        columns: name and declared type.
        order: what its rows are sorted by.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    order: str


class _Database:
    """A database, open for reading."""

    def __init__(self, side: ComparedFile, stack: ExitStack) -> None:
        self._side = side
        self._size_bytes = max(side.size_bytes(), _LEAST_BYTES)
        self._steps = 0
        _check_logs(side)
        uri = f"{side.path.resolve().as_uri()}?mode=ro&immutable=1"
        with self._guard():
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            stack.callback(self._connection.close)
            self._connection.text_factory = _text
            self._connection.set_progress_handler(self._tick, _STEPS)
            if hasattr(self._connection, "setlimit"):
                self._connection.setlimit(0, self._size_bytes)  # SQLITE_LIMIT_LENGTH
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()

    def tables(self) -> dict[str, TableSchema]:
        """Tables that hold rows of their own, by name.

        Raises:
            UnreadableError: the file is damaged, or its schema cannot be read.
        """
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 "
            f"AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name LIMIT {_TABLES + 1}"
        )
        names = [str(name) for (name,) in self._rows(query)]
        if len(names) > _TABLES:
            raise self._side.unreadable(f"has more than {_TABLES} tables")
        return {name: self._declared(name) for name in names}

    def table(self, declared: TableSchema) -> Table:
        """Its columns; nothing but their types and how many rows there are is read yet."""
        limit = self._size_bytes // _ROW_BYTES
        source = f"{_quoted(declared.name)} NOT INDEXED"
        counted = self._rows(f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT {limit + 1})")
        ((rows,),) = counted
        if rows > limit:
            raise self._side.unreadable(
                f"is damaged: table {declared.name!r} claims more than {limit} rows"
            )
        columns = {name: self._column(declared, name, rows) for name, _ in declared.columns}
        return Table(columns, rows)

    def _declared(self, name: str) -> TableSchema:
        found = list(self._rows(f"PRAGMA table_xinfo({_quoted(name)})"))
        columns = tuple(
            (str(column), str(type or "").upper())
            for _, column, type, _, _, _, hidden in found
            if hidden != _VIRTUAL_COLUMN
        )
        if not columns:
            raise self._side.unreadable(f"is damaged: table {name!r} has no columns")
        taken = {str(row[1]).lower() for row in found}
        free = next((each for each in _ROWIDS if each not in taken), None)
        key = [_quoted(str(row[1])) for row in sorted(found, key=lambda row: row[5]) if row[5]]
        order = ", ".join(key)
        if free is not None and self._has(name, free):
            order = free
        return TableSchema(name, columns, order)

    def _has(self, table: str, rowid: str) -> bool:
        """Whether the table has a rowid: one without it says so when asked for it."""
        try:
            self._connection.execute(f"SELECT {rowid} FROM {_quoted(table)} LIMIT 0").fetchall()
        except sqlite3.OperationalError:
            return False
        except (sqlite3.Error, ValueError) as error:  # names that are no UTF-8, too
            raise self._damaged(error) from error
        return True

    def _column(self, declared: TableSchema, name: str, rows: int) -> Column:
        query = f"SELECT {_quoted(name)} FROM {_quoted(declared.name)} NOT INDEXED"
        kinds = self._kinds(query, name)
        dtype = _dtype(kinds)
        if kinds - {"null"} == {"integer", "real"} and not self._has_large(query, name):
            dtype = np.dtype(np.float64)
        if declared.order:
            query += f" ORDER BY {declared.order}"
        text = "|".join(sorted(kinds - {"null"})) or "null"
        parts = partial(self._parts, query, dtype, text, rows)
        return Column(text, dtype, parts, rows, 0, "null" in kinds)

    def _kinds(self, query: str, name: str) -> set[str]:
        """The types that values of the column have."""
        typed = query.replace(f"SELECT {_quoted(name)}", f"SELECT typeof({_quoted(name)})", 1)
        return {str(kind) for (kind,) in self._rows(f"SELECT DISTINCT * FROM ({typed})")}

    def _has_large(self, query: str, name: str) -> bool:
        """Whether the column has whole numbers that a double does not hold."""
        column = _quoted(name)
        large = f"abs({column} / 2) > {_DOUBLE_HOLDS // 2}"
        found = self._rows(f"{query} WHERE typeof({column}) = 'integer' AND {large} LIMIT 1")
        return len(list(found)) > 0

    def _parts(
        self, query: str, dtype: Dtype, kind: str, count: int, length: int
    ) -> Iterator[ColumnChunk]:
        rows, seen = self._rows(query), 0
        length = min(length, PART_ROWS)
        while block := [_short(row[0]) for row in itertools.islice(rows, length)]:
            nulls = np.array([value is None for value in block], np.uint8)
            seen += len(block)
            yield ColumnChunk(_values(block, dtype, kind), nulls if nulls.any() else None)
        if seen != count:
            raise self._side.unreadable(
                f"is damaged: a table has {count} rows when counted and {seen} when read"
            )

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        self._steps = 0
        with self._guard():
            for row in self._connection.execute(query):  # noqa: UP028 - it would close the cursor
                yield row

    def _tick(self) -> bool:
        """Whether to stop: more steps than reading such a file takes."""
        self._steps += 1
        allowed = self._size_bytes * _STEPS_PER_BYTE // _STEPS + 1
        return self._steps > allowed

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> UnreadableError:
        if "interrupted" in str(error):
            return self._side.unreadable(
                "takes more work to read than a database of its size can need; it is damaged"
            )
        return self._side.unreadable(f"cannot be read as SQLite, it is damaged ({error!s:.200})")


def _check_logs(side: ComparedFile) -> None:
    """What a run left in a log beside the database would be missed."""
    for suffix, what in (("-wal", "write-ahead log"), ("-journal", "rollback journal")):
        log = side.path.with_name(side.path.name + suffix)
        if log.is_file() and log.stat().st_size > 0:
            raise side.unreadable(
                f"has changes in its {what} ({side.name}{suffix}), which is not read: close the "
                "database before the run ends, or use PRAGMA wal_checkpoint(TRUNCATE)"
            )


def _text(data: bytes) -> str:
    return shorten(data.decode("utf-8", "surrogateescape"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _dtype(kinds: set[str]) -> Dtype:
    kinds = kinds - {"null"}
    if kinds == {"integer"}:
        return np.dtype(np.int64)
    if kinds == {"real"}:
        return np.dtype(np.float64)
    return np.dtype(object)


def _values(block: list[Any], dtype: Dtype, kind: str) -> Values:
    if not dtype.hasobject:
        return np.array([0 if value is None else value for value in block], dtype)
    if kind in ("text", "blob"):
        return objects(block)
    return objects([None if value is None else repr(value) for value in block])


def _short(value: Any) -> Any:
    return shorten(value) if isinstance(value, bytes) else value


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two databases, table by table."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _open(side, stack))
        left, right, undecided = book.rename(pair.name, actual[1], expected[1])
        yield from undecided
        for name in dict.fromkeys((*right, *left)):
            if name not in left:
                yield from drift(pair.name, name, "table missing in the actual run", book)
            elif name not in right:
                yield from drift(pair.name, name, "table only in the actual run", book)
            elif not book.peek(pair.name, name).tolerance.ignore:
                yield from _compare_types(pair.name, name, left[name], right[name], book)
                yield from compare_tables(
                    pair.name,
                    actual[0].table(left[name]),
                    expected[0].table(right[name]),
                    book,
                    under=name,
                )
            else:
                book.find(pair.name, name)


def _open(side: ComparedFile, stack: ExitStack) -> tuple[_Database, dict[str, TableSchema]]:
    file = _Database(side, stack)
    return file, file.tables()


def _compare_types(
    output: str, table: str, actual: TableSchema, expected: TableSchema, book: RuleBook
) -> Iterator[Difference]:
    """Declared types; which columns there are is compared with the values."""
    mine = dict(actual.columns)
    for name, declared in expected.columns:
        if name in mine and mine[name] != declared:
            applied = book.peek(output, f"{table}.{name}", (table,))
            if not applied.tolerance.any_dtype:
                note = f"declared as {mine[name] or 'nothing'}, expected {declared or 'nothing'}"
                yield from drift(output, f"{table}.{name}", note, book, (table,))


FORMAT = Format("sqlite", compare, lambda side: begins(side, MAGIC), (".sqlite", ".sqlite3"))
