"""Arrow's IPC formats: files (Feather 2 is one) and streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from pytest_mlcontainer.compare.formats.arrow_columns import (
    column_of_leaf,
    damaged,
    leaves_of,
    metadata_of,
    orders_of,
)
from pytest_mlcontainer.compare.formats.kind import Format, begins, need
from pytest_mlcontainer.compare.formats.metadata import compare_metadata
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.tables.columns import Table, unique_names
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.model import Difference

MAGIC = b"ARROW1"
_OLD_MAGIC = b"FEA1"


class _ArrowFile:
    """An IPC file or stream, of which one column of one record batch is in memory at a time."""

    def __init__(self, side: ComparedFile, stack: ExitStack) -> None:
        self._side = side
        self._pa = need(side, "pyarrow", "parquet")
        need(side, "pyarrow.compute", "parquet")
        self._ipc = need(side, "pyarrow.ipc", "parquet")
        if begins(side, _OLD_MAGIC):
            raise side.unreadable("is Feather version 1; write it with version 2")
        self._is_file = begins(side, MAGIC)
        if not side.size_bytes():
            raise side.unreadable("is empty")
        try:
            self._mapped = stack.enter_context(self._pa.memory_map(str(side.path)))
        except (OSError, self._pa.ArrowException) as error:
            raise damaged(side, error) from error

    def read(self) -> tuple[Table, dict[str, str]]:
        """Its columns, and its metadata.

        Raises:
            UnreadableError: it is damaged; also while columns are read.
        """
        pa = self._pa
        with self._reader(()) as (schema, _):
            fields = [schema.field(place) for place in range(len(schema))]
            leaves = [
                (place, leaf)
                for place, name in enumerate(unique_names([field.name for field in fields]))
                for leaf in leaves_of(pa, name, fields[place].type)
            ]
        rows = 0
        with self._reader((0,) if fields else ()) as (_, batches):
            for batch in batches:
                rows += batch.num_rows
        names = unique_names([leaf.name for _, leaf in leaves])
        columns = {
            name: column_of_leaf(self._side, pa, leaf, rows, True, partial(self._arrays, place))
            for name, (place, leaf) in zip(names, leaves, strict=True)
        }
        orders = orders_of(pa, schema, partial(self._arrays, _length=1))
        return Table(columns, rows), {**metadata_of(schema), **orders}

    def _arrays(self, place: int, _length: int) -> Iterator[Any]:
        with self._reader((place,)) as (_, batches):
            for batch in batches:
                batch.validate(full=True)
                yield batch.column(0)

    @contextmanager
    def _reader(self, places: tuple[int, ...]) -> Iterator[tuple[Any, Iterator[Any]]]:
        """The schema, and record batches with just the columns at these places."""
        options = self._ipc.IpcReadOptions(use_threads=False, included_fields=list(places))
        try:
            self._mapped.seek(0)
            if self._is_file:
                reader = self._ipc.open_file(self._mapped, options=options)
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                reader = self._ipc.open_stream(self._mapped, options=options)
                batches = iter(reader)
            yield reader.schema, batches
        except (OSError, ValueError, MemoryError, self._pa.ArrowException) as error:
            raise damaged(self._side, error) from error


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two tables, column by column."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _ArrowFile(side, stack).read())
        yield from compare_tables(pair.name, actual[0], expected[0], book)
        yield from compare_metadata(pair.name, actual[1], expected[1], book)


def _is_arrow(side: ComparedFile) -> bool:
    return begins(side, MAGIC + b"\0\0", _OLD_MAGIC)


FORMAT = Format("arrow", compare, _is_arrow, (".arrow", ".arrows", ".feather"), folds=True)
