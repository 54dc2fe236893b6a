"""Rows in any order, for every kind of table: by key, and as a multiset."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Rule, Tolerance, Verdict
from tests.fixture_types import Compare

PROPERTY = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = ("id", "label", "score")
ROWS = [(1, "a", 0.5), (2, "b", 0.25), (3, "a", 0.125), (4, "c", 1.5)]
KEY = Tolerance(key=("id",))
UNORDERED = Tolerance(unordered=True)


Rows = Sequence[tuple[Any, ...]]
Found = list[tuple[str, Difference]]
Written = Callable[[str, Rows], bytes]
Tables = Callable[..., Found]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """`written(kind, rows)`: the name and bytes of a table of this kind."""
    folder = tmp_path_factory.mktemp("tables")

    def write(kind: str, rows: Rows) -> bytes:
        columns = (
            dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
            if rows
            else {name: [] for name in NAMES}
        )
        types = {"id": pa.int64(), "label": pa.string(), "score": pa.float64()}
        table = pa.table({name: pa.array(each, types[name]) for name, each in columns.items()})
        stream = io.BytesIO()
        if kind == "parquet":
            pq.write_table(table, stream)
        elif kind == "arrow":
            with pa.ipc.new_file(stream, table.schema) as writer:
                writer.write_table(table)
        elif kind == "jsonl":
            lines = [json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows]
            stream.write("".join(lines).encode())
        elif kind == "csv":
            text = io.StringIO()
            csv.writer(text).writerows([NAMES, *rows])
            stream.write(text.getvalue().encode())
        else:
            path = folder / "t.db"
            path.unlink(missing_ok=True)
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE t (id INTEGER, label TEXT, score REAL)")
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
            connection.commit()
            connection.close()
            stream.write(path.read_bytes())
        return stream.getvalue()

    return write


@pytest.fixture(scope="module", params=["csv", "jsonl", "parquet", "arrow", "sqlite"])
def tables(request: pytest.FixtureRequest, compare: Compare, written: Written) -> Tables:
    """`tables(actual rows, expected rows, tolerance)`: differing items and all the notes."""
    kind = request.param

    def run(
        actual: Rows,
        expected: Rows,
        tolerance: Tolerance | None = None,
        *rules: tuple[str, Tolerance],
    ) -> Found:
        name, item = f"t.{kind}", "t" if kind == "sqlite" else None
        whole = () if tolerance is None else (Rule(name, item, tolerance),)
        prefix = "t." if kind == "sqlite" else ""
        special = tuple(Rule(name, f"{prefix}{column}", each) for column, each in rules)
        sides = written(kind, actual), written(kind, expected)
        differences = compare(name, *sides, rules=(*special, *whole))[0]
        return [
            (each.item.removeprefix("t").removeprefix("."), each)
            for each in differences
            if each.note or not each.verdict.passes
        ]

    return run


def drifting(found: Found) -> dict[str, Difference]:
    return {item: each for item, each in found if not each.verdict.passes}


def test_another_order_is_drift_unless_a_rule_lets_it(tables: Tables) -> None:
    moved = drifting(tables(ROWS[::-1], ROWS))
    assert moved.keys() == {""}
    assert "the rows stand in another order; here they meet by id." in moved[""].note
    assert moved[""].note.endswith(' = { key = "id" }')
    assert drifting(tables(ROWS[::-1], ROWS, KEY)) == {}
    assert drifting(tables(ROWS[::-1], ROWS, UNORDERED)) == {}


def test_rows_that_nothing_names_and_that_moved_are_said_to(tables: Tables) -> None:
    rows: list[tuple[Any, ...]] = [(n % 3, "ab"[n % 2], n / 7) for n in range(12)]
    moved = drifting(tables(rows[::-1], rows))
    assert moved.keys() == {""}
    assert "the rows stand in another order; they hold the same." in moved[""].note
    assert moved[""].note.endswith(" = { unordered = true }")
    assert drifting(tables(rows[::-1], rows, UNORDERED)) == {}
    others = [(*rows[0][:2], 5.0), *rows[:0:-1]]
    assert "" not in drifting(tables(others, rows))
    assert drifting(tables(others, rows, UNORDERED))


def test_of_rows_that_moved_those_that_belong_together_are_compared(tables: Tables) -> None:
    """So a value that changed is seen, and where."""
    changed = [(*row[:2], 9.0) if row[0] == 3 else row for row in ROWS[::-1]]
    found = drifting(tables(changed, ROWS))
    assert found.keys() == {"", "score"}
    assert (found["score"].worst_index, found["score"].differing) == ((2,), 1)


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param([(2, "a", 0.5), (1, "b", 0.25), (3, "c", 0.125)], id="a rank changed"),
        pytest.param([(1, "a", 0.25), (2, "b", 0.5), (3, "c", 0.125)], id="values changed places"),
        pytest.param([(1, "a", 0.5), (1, "b", 0.25), (3, "c", 0.125)], id="a name twice"),
    ],
)
def test_rows_that_did_not_move_are_compared_as_they_stand(tables: Tables, expected: Rows) -> None:
    rows = [(1, "a", 0.5), (2, "b", 0.25), (3, "c", 0.125)]
    found = drifting(tables(rows, expected))
    assert len(found) == 1
    assert "" not in found


@PROPERTY
@given(st.data())
def test_a_permutation_is_undone(tables: Tables, data: st.DataObject) -> None:
    cells = st.tuples(
        st.integers(0, 3), st.sampled_from("ab"), st.floats(allow_nan=False, width=32)
    )
    rows = data.draw(st.lists(cells, min_size=1, max_size=8))
    shuffled = data.draw(st.permutations(rows))
    assert drifting(tables(shuffled, rows, UNORDERED)) == {}
    numbered = [(number, *row[1:]) for number, row in enumerate(rows)]
    shuffled = data.draw(st.permutations(numbered))
    assert drifting(tables(shuffled, numbered, KEY)) == {}
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = [(*each[:2], 3e38 if each[0] == row else each[2]) for each in shuffled]
    if numbered[row][2] != 3e38:
        found = drifting(tables(changed, numbered, KEY))
        if math.isclose(numbered[row][2], 3e38, rel_tol=1e-6):
            return
        assert found.keys() == {"score"}
        assert found["score"].worst_index == (row,)
        assert found["score"].note.endswith(f"worst at id = {row}")


def test_rows_without_counterpart_are_named(tables: Tables) -> None:
    found = tables([(9, "z", 0.0), *ROWS[:2]], ROWS, KEY)
    notes = [each.note for _, each in found if each.verdict is Verdict.DRIFT]
    assert sorted(notes) == [
        "1 row is only in the actual run: id = 9",
        "2 rows are missing in the actual run: id = 3; id = 4",
    ]


def test_a_key_that_is_not_unique_is_said(tables: Tables) -> None:
    rows = [*ROWS, (1, "x", 7.0)]
    found = tables(rows[::-1], rows, Tolerance(key=("id",)))
    notes = {each.note for _, each in found}
    assert "1 key occurs more than once, and such rows meet in their order: id = 1" in notes
    assert drifting(found).keys() == {"label", "score"}
    both = tables(rows[::-1], rows, Tolerance(key=("id", "label")))
    assert drifting(both) == {}
    assert not any("more than once" in each.note for _, each in both)


def test_a_key_that_is_no_column_fails_and_names_those_there_are(tables: Tables) -> None:
    found = tables(ROWS[::-1], ROWS, Tolerance(key=("idd",)))
    assert [each.verdict for _, each in found] == [Verdict.FAILED]
    assert found[0][1].note == "the key 'idd' is no column; there are: id, label, score"


def test_without_a_key_a_changed_exact_cell_is_a_row_that_has_no_counterpart(
    tables: Tables,
) -> None:
    rows = [(1, "q", 0.5), *ROWS[1:]]
    found = tables(rows, ROWS[::-1], UNORDERED)
    notes = sorted(each.note for _, each in found if each.verdict is Verdict.DRIFT)
    assert notes == [
        "1 row is missing in the actual run: id = 1, label = a",
        "1 row is only in the actual run: id = 1, label = q",
    ]


def test_without_a_key_close_numbers_still_meet(tables: Tables) -> None:
    rows = [(1, "a", 0.5), (1, "a", 0.25), (1, "b", 2.0)]
    near = [(1, "b", 2.0 + 1e-9), (1, "a", 0.25 + 1e-10), (1, "a", 0.5 - 1e-10)]
    assert drifting(tables(near, rows, UNORDERED)) == {}
    far = [(1, "b", 2.0), (1, "a", 0.3), (1, "a", 0.5)]
    found = drifting(tables(far, rows, UNORDERED))
    assert found.keys() == {"score"}
    assert found["score"].worst_index == (1,)


def test_an_ignored_column_is_no_part_of_the_key(tables: Tables) -> None:
    rows = [(number + 100, *row[1:]) for number, row in enumerate(ROWS)]
    ignored = ("id", Tolerance(ignore=True))
    assert drifting(tables(rows[::-1], ROWS, UNORDERED, ignored)) == {}
    assert drifting(tables(rows[::-1], ROWS, UNORDERED)) != {}


def test_a_value_that_moved_to_another_row_is_seen(compare: Compare) -> None:
    """Two columns of floats, each the same as a multiset: the first one says which row is which."""
    x, y = np.arange(6) / 7, np.arange(6) / 11

    def table(x: Any, y: Any) -> bytes:
        stream = io.BytesIO()
        pq.write_table(pa.table({"x": x, "y": y}), stream)
        return stream.getvalue()

    order = [3, 1, 0, 5, 4, 2]
    rule = (Rule("t.parquet", None, UNORDERED),)
    same = compare("t.parquet", table(x[order], y[order]), table(x, y), rules=rule)[0]
    assert all(each.verdict.passes for each in same)
    moved = compare("t.parquet", table(x[order], y), table(x, y), rules=rule)[0]
    assert {each.item for each in moved if not each.verdict.passes} == {"y"}


def test_missing_cells_and_lists_go_with_their_rows(compare: Compare) -> None:
    def table(order: Any) -> bytes:
        columns = {
            "id": pa.array([1, None, 3]),
            "v": pa.array([[1.0, 2.0], None, []]),
            "x": pa.array([None, 0.5, 1.5]),
        }
        stream = io.BytesIO()
        pq.write_table(pa.table(columns).take(order), stream)
        return stream.getvalue()

    for tolerance in (KEY, UNORDERED):
        differences = compare("t.parquet", table([2, 0, 1]), table([0, 1, 2]), tolerance)[0]
        assert all(each.verdict.passes for each in differences)


def test_lines_that_lack_a_column_meet_too(compare: Compare) -> None:
    rows = [{"id": 1, "a": 1.5}, {"id": 2}, {"id": 3, "a": 2.5, "b": "x"}]
    sides = ["".join(json.dumps(row) + "\n" for row in each) for each in (rows[::-1], rows)]
    assert all(each.verdict.passes for each in compare("t.jsonl", *sides, KEY)[0])
    assert all(each.verdict.passes for each in compare("t.jsonl", *sides, UNORDERED)[0])
    other = sides[0].replace("2.5", "3.5")
    (found,) = (each for each in compare("t.jsonl", other, sides[1], KEY)[0] if each.beyond)
    assert (found.item, found.worst_index, found.note) == ("a", (2,), "worst at id = 3")
