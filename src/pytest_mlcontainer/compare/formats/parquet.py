"""Parquet: columns are items, read row group by row group and page by page.

What Parquet knows beside the table, who wrote it, pandas' own notes, compression, encodings and the
layout of row groups, does not count; other metadata of the schema and of columns does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
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
from pytest_mlcontainer.compare.tables.columns import PART_ROWS, Table, unique_names
from pytest_mlcontainer.compare.tables.tables import compare_tables
from pytest_mlcontainer.model import Difference

MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_BUFFER_BYTES = 1 << 18
_GROUP_CELLS = 1 << 20
_GROUP_COLUMNS = 512
# So many cells are decoded of any file, and so many for each byte of a larger one.
_CELLS = 1 << 31
_CELLS_PER_BYTE = 256


class _ParquetFile:
    """A Parquet file; of a small one many columns at once, of a large one a part of a column."""

    def __init__(self, side: ComparedFile, stack: ExitStack) -> None:
        self._side = side
        self._pa = need(side, "pyarrow", "parquet")
        need(side, "pyarrow.compute", "parquet")
        self._parquet = need(side, "pyarrow.parquet", "parquet")
        self._broken = (OSError, ValueError, MemoryError, self._pa.ArrowException)
        _check_ends(side)
        try:
            with self._open(None) as first:
                schema, metadata = first.schema, first.metadata
                # What is read into dictionaries is not said to be in order.
                self._written_schema = first.schema_arrow
                columns = [schema.column(place) for place in range(len(schema))]
                texts = [
                    each.path
                    for place, each in enumerate(columns)
                    if each.physical_type == "BYTE_ARRAY" and not _has_deltas(metadata, place)
                ]
            self._file = stack.enter_context(self._open(texts, metadata))
            self._schema = self._file.schema_arrow
        except self._broken as error:
            raise damaged(side, error) from error
        self._metadata = self._file.metadata
        self._paths = [each.path for each in columns]
        self._names: list[str] = self._schema.names
        self._twice = {name for name, count in Counter(self._names).items() if count > 1}
        self._tops: list[int] = []
        self._group: tuple[int, Any] = (-1, None)

    def _open(self, texts: list[str] | None, metadata: Any = None) -> Any:
        return self._parquet.ParquetFile(
            str(self._side.path),
            metadata=metadata,
            read_dictionary=texts,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
        )

    def read(self) -> tuple[Table, dict[str, str]]:
        """Its columns, and its metadata.

        Raises:
            UnreadableError: it is damaged, or claims what its size cannot hold; also while columns
                are read.
        """
        rows = self._metadata.num_rows
        self._check_size(rows)
        columns = {}
        tops = unique_names(self._names)
        leaves = [
            (place, leaf)
            for place, name in enumerate(tops)
            for leaf in leaves_of(self._pa, name, self._schema.field(place).type)
        ]
        if len(leaves) != len(self._paths):
            raise self._side.unreadable(
                f"has {len(self._paths)} columns, but a schema for {len(leaves)}"
            )
        self._tops = [place for place, _ in leaves]
        names = unique_names([leaf.name for _, leaf in leaves])
        for physical, (name, (place, leaf)) in enumerate(zip(names, leaves, strict=True)):
            arrays = partial(self._arrays, physical, self._names[place])
            misses = self._schema.field(place).nullable or bool(leaf.steps)
            misses = misses and self._may_miss(physical)
            columns[name] = column_of_leaf(self._side, self._pa, leaf, rows, misses, arrays)
        orders = orders_of(self._pa, self._written_schema, self._first)
        return Table(columns, rows), {**metadata_of(self._schema), **orders}

    def _first(self, place: int) -> Iterator[Any]:
        """The first cell of a table's own column that is not a struct."""
        return islice(self._arrays(self._tops.index(place), self._names[place], 1), 1)

    def _check_size(self, rows: int) -> None:
        size_bytes = self._side.size_bytes()
        cells = rows * max(1, len(self._paths))
        if rows < 0 or cells > max(_CELLS, _CELLS_PER_BYTE * size_bytes):
            raise self._side.unreadable(
                f"claims {rows} rows of {len(self._paths)} columns, more than its {size_bytes} "
                "bytes can be trusted with"
            )

    def _may_miss(self, physical: int) -> bool:
        """Whether the statistics leave it open that a cell is missing."""
        return any(_missing(chunk) != 0 for chunk in _chunks(self._metadata, physical))

    def _arrays(self, physical: int, name: str, length: int) -> Iterator[Any]:
        rows = 0
        try:
            for array in self._read(physical, name, length):
                rows += len(array)
                yield array
        except self._broken as error:
            raise damaged(self._side, error) from error
        if rows != self._metadata.num_rows:
            raise self._side.unreadable(
                f"is damaged: column {name!r} has {rows} rows of {self._metadata.num_rows}"
            )

    def _read(self, physical: int, name: str, length: int) -> Iterator[Any]:
        rows = self._metadata.num_rows
        path = self._paths[physical]
        width = min(_GROUP_COLUMNS, _GROUP_CELLS // max(1, rows))
        if path != name or width < 2 or name in self._twice:
            length = max(1, min(length, PART_ROWS))
            before = self._names[: self._tops[physical]].count(name)
            for batch in self._batches(length, [path]):
                places = batch.schema.get_all_field_indices(name)
                yield batch.column(places[min(before, len(places) - 1)])
            return
        first = physical - physical % width
        if self._group[0] != first:
            paths = self._paths[first : first + width]
            self._group = first, list(self._batches(max(1, rows), paths))
        for batch in self._group[1]:
            yield batch.column(name)

    def _batches(self, length: int, paths: list[str]) -> Iterator[Any]:
        batches: Iterator[Any] = self._file.iter_batches(length, columns=paths, use_threads=False)
        return batches


def _chunks(metadata: Any, physical: int) -> Iterator[Any]:
    """The parts of a column, one in each row group."""
    for number in range(metadata.num_row_groups):
        yield metadata.row_group(number).column(physical)


def _has_deltas(metadata: Any, physical: int) -> bool:
    """Whether texts are kept as deltas, which pyarrow cannot read into a dictionary."""
    return any(
        encoding.startswith("DELTA")
        for chunk in _chunks(metadata, physical)
        for encoding in chunk.encodings
    )


def _missing(chunk: Any) -> int | None:
    """How many cells of it are null; None where it does not say."""
    statistics = chunk.statistics
    if statistics is None or not statistics.has_null_count:
        return None
    return int(statistics.null_count)


def _check_ends(side: ComparedFile) -> None:
    """The magic bytes at both ends, which say better than the library what is wrong."""
    with side.open() as stream:
        size_bytes = stream.seek(0, 2)
        if size_bytes < 12:
            raise side.unreadable(f"is truncated: {size_bytes} bytes are no Parquet file")
        stream.seek(size_bytes - 8)
        tail = stream.read(8)
    if tail[4:] == _ENCRYPTED or begins(side, _ENCRYPTED):
        raise side.unreadable("is encrypted; write it without encryption")
    if tail[4:] != MAGIC:
        raise side.unreadable("is truncated: it does not end with PAR1")


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two tables, column by column."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _ParquetFile(side, stack).read())
        yield from compare_tables(pair.name, actual[0], expected[0], book)
        yield from compare_metadata(pair.name, actual[1], expected[1], book)


def _is_parquet(side: ComparedFile) -> bool:
    return begins(side, MAGIC, _ENCRYPTED)


FORMAT = Format("parquet", compare, _is_parquet, (".parquet", ".pq"), folds=True)
