"""SQLite: tables and columns, types of values, order, and databases that are damaged or lie."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAME = "runs.db"
CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    st.binary(max_size=4),
)
SCHEMA = "CREATE TABLE runs (id INTEGER PRIMARY KEY, score REAL, label TEXT)"
ROWS = ((1, 0.5, "cat"), (2, 0.25, "dog"))


Database = Callable[..., bytes]
Runs = Callable[..., bytes]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """`database("CREATE …", ("INSERT …", rows))`: the bytes of a file made by these."""
    path = tmp_path_factory.mktemp("sqlite") / "made.db"

    def make(*statements: str | tuple[str, Iterable[Any]]) -> bytes:
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                connection.executemany(*statement)
        connection.commit()
        connection.close()
        return path.read_bytes()

    return make


@pytest.fixture(scope="module")
def runs(database: Database) -> Runs:
    def make(rows: tuple[tuple[Any, ...], ...] = ROWS, schema: str = SCHEMA) -> bytes:
        marks = ", ".join("?" * len(rows[0]))
        return database(schema, (f"INSERT INTO runs VALUES ({marks})", rows))

    return make


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.data())
def test_the_layout_of_pages_does_not_count_and_a_changed_cell_is_found(
    compare: Compare,
    database: Database,
    rows: list[tuple[object, object]],
    data: st.DataObject,
) -> None:
    schema, insert = "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (?, ?)"
    expected = database(schema, (insert, rows))
    other = database(
        "PRAGMA page_size = 512", schema, "CREATE INDEX i ON t (b)", (insert, rows * 2),
        f"DELETE FROM t WHERE rowid > {len(rows)}",
    )  # fmt: skip
    assert drifting(compare(NAME, other, expected)[0]) == {}
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = [*rows]
    changed[row] = (rows[row][0], "something else")
    found = drifting(compare(NAME, database(schema, (insert, changed)), expected)[0])
    assert found.keys() == {"t.b"}
    assert found["t.b"].worst_index in ((row,), None)


def test_columns_of_tables_are_items_of_their_own_type(compare: Compare, runs: Runs) -> None:
    actual = runs([(1, 0.5000000001, "cat"), (3, 0.25, "eft")])
    found = {each.item: each for each in compare(NAME, actual, runs())[0]}
    assert found["runs.score"].verdict is Verdict.EQUIVALENT
    assert found["runs.id"].rule == "exact (int64 default)"
    label = found["runs.label"]
    assert (label.worst_index, label.worst_actual, label.worst_expected) == ((1,), "eft", "dog")


@pytest.mark.parametrize(
    ("actual", "note"),
    [
        ((1, 1, "cat"), "type integer, expected real; the values are the same"),
        ((1, None, "cat"), "1 value is missing on one side only, the first at [0]"),
        ((1, "1.0", "cat"), "type text, expected real"),
        ((1, b"1", "cat"), "type blob, expected real"),
    ],
)
def test_the_type_of_a_value_counts(
    compare: Compare, runs: Runs, actual: tuple[bytes | int | str | None, ...], note: str
) -> None:
    schema = "CREATE TABLE runs (id INTEGER PRIMARY KEY, score, label TEXT)"
    rows = [(1, 1.0, "cat"), (2, 2.0, "dog")]
    other = [actual, (2, 2, "dog")] if note.startswith("type integer") else [actual, rows[1]]
    if note.startswith(("type text", "type blob")):
        other = [actual, (2, actual[1], "dog")]
    found = drifting(compare(NAME, runs(other, schema), runs(rows, schema))[0])
    assert {item: each.note for item, each in found.items()} == {"runs.score": note}


def test_the_schema_counts(compare: Compare, runs: Runs, database: Database) -> None:
    wide = runs(schema=SCHEMA.replace("REAL", "NUMERIC"))
    found = drifting(compare(NAME, wide, runs())[0])
    assert found["runs.score"].note == "declared as NUMERIC, expected REAL"
    assert drifting(compare(NAME, wide, runs(), Tolerance(any_dtype=True))[0]) == {}
    both = database(SCHEMA, "CREATE TABLE more (x)")
    found = drifting(compare(NAME, both, database(SCHEMA))[0])
    assert {item: each.note for item, each in found.items()} == {
        "more": "table only in the actual run"
    }
    found = drifting(compare(NAME, database(SCHEMA), both)[0])
    assert found["more"].note == "table missing in the actual run"


def test_rows_stand_in_the_order_of_the_key(compare: Compare, database: Database) -> None:
    schema = "CREATE TABLE t (k TEXT PRIMARY KEY, v REAL) WITHOUT ROWID"
    insert, rows = "INSERT INTO t VALUES (?, ?)", [("b", 2.0), ("a", 1.0), ("c", 3.0)]
    sides = database(schema, (insert, rows[::-1])), database(schema, (insert, rows))
    assert drifting(compare(NAME, *sides)[0]) == {}
    loose = schema.removesuffix(" WITHOUT ROWID")
    sides = database(loose, (insert, rows[::-1])), database(loose, (insert, rows))
    assert drifting(compare(NAME, *sides)[0]).keys() == {"t"}
    assert drifting(compare(NAME, *sides, Tolerance(key=("k",)), item="t")[0]) == {}


def test_odd_names_are_only_names(compare: Compare, database: Database) -> None:
    schema = 'CREATE TABLE "a""; DROP TABLE x" ("rowid", "select ""*", "oid", "_rowid_")'
    insert = 'INSERT INTO "a""; DROP TABLE x" VALUES (?, 2, 3, 4)'
    sides = [database(schema, (insert, [(value,), (1,)])) for value in (1, 9)]
    assert drifting(compare(NAME, *sides)[0]).keys() == {'a"; DROP TABLE x.rowid'}


def test_a_rule_ignores_a_table_or_a_column(compare: Compare, runs: Runs) -> None:
    sides = runs([(1, 9.0, "cat"), (2, 0.25, "dog")]), runs()
    for item in ("runs", "runs.score"):
        differences, notes = compare(NAME, *sides, Tolerance(ignore=True), item=item)
        assert drifting(differences) == {}
        assert notes == (f"not compared: 1 item by rule {NAME}:{item} (ignore)",)


def test_views_triggers_and_computed_columns_are_not_run(
    compare: Compare, database: Database
) -> None:
    endless = (
        "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT count(*) FROM c"
    )
    schema = "CREATE TABLE t (a, b AS (a * 2), c AS (a + 1) STORED)"
    sides = [
        database(schema, endless, ("INSERT INTO t (a) VALUES (?)", [(value,)])) for value in (1, 2)
    ]
    assert drifting(compare(NAME, *sides)[0]).keys() == {"t.a", "t.c"}


def test_nothing_is_written_beside_the_file(compare: Compare, runs: Runs, tmp_path: Path) -> None:
    compare(NAME, runs([(1, 1.0, "x")]), runs())
    found = compare(NAME, runs([(1, 1.0, "x")]), runs())[0]
    assert drifting(found)
    (path,) = {each.output for each in found}
    assert path == NAME


def test_changes_left_in_a_log_are_not_missed(
    only: Only, runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from pytest_mlcontainer.compare import compare_outputs
    from pytest_mlcontainer.model import Output

    folder = tmp_path_factory.mktemp("wal")
    outputs = []
    for side, rows in (("actual", ROWS[:1]), ("expected", ROWS)):
        path = folder / side / NAME
        path.parent.mkdir()
        path.write_bytes(runs(rows))
        outputs.append((Output(NAME, path, path.stat().st_size),))
    (folder / "actual" / f"{NAME}-wal").write_bytes(b"something")
    (found,) = compare_outputs(outputs[0], outputs[1], ())[0]
    assert found.verdict is Verdict.FAILED
    assert f"has changes in its write-ahead log ({NAME}-wal)" in found.note
    assert sorted(each.name for each in (folder / "expected").iterdir()) == [NAME]


@pytest.mark.parametrize("length", [16, 100, 600, 5000])
def test_a_truncated_database_fails_and_says_so(
    only: Only, database: Database, runs: Runs, length: int
) -> None:
    rows = [(number, 0.5, "word" * 50) for number in range(200)]
    found = only(NAME, runs(rows)[:length], runs())
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith(f"actual run: {NAME} cannot be read as SQLite, it is damaged")


def test_a_tree_of_pages_without_end_is_given_up(only: Only, database: Database) -> None:
    """Interior pages that all point at the page before them hold more rows than atoms exist."""
    whole = bytearray(
        database(
            "PRAGMA page_size = 512",
            "CREATE TABLE t (a)",
            ("INSERT INTO t VALUES (?)", [("x" * 40,)] * 5000),
        )
    )
    interior = [at for at in range(512, len(whole), 512) if whole[at] == 5]
    leaves = [at for at in range(512, len(whole), 512) if whole[at] == 13]
    previous = leaves[0] // 512 + 1
    for at in reversed(interior):
        cells = int.from_bytes(whole[at + 3 : at + 5], "big")
        for cell in range(cells):
            pointer = at + int.from_bytes(whole[at + 12 + 2 * cell : at + 14 + 2 * cell], "big")
            whole[pointer : pointer + 4] = previous.to_bytes(4, "big")
        whole[at + 8 : at + 12] = previous.to_bytes(4, "big")
        previous = at // 512 + 1
    found = []
    worker = threading.Thread(
        target=lambda: found.append(
            only(NAME, bytes(whole), database("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"))
        ),
        daemon=True,
    )
    worker.start()
    worker.join(60)
    assert found
    assert not found[0].verdict.passes


@PROPERTY
@given(st.integers(100, 8000), st.binary(min_size=1, max_size=8))
@example(4049, b"\x80")  # the name of a column
def test_no_damage_crashes(compare: Compare, runs: Runs, place: int, bytes_: bytes) -> None:
    good = runs([(number, number / 3, f"w{number}") for number in range(300)])
    damaged = good[:place] + bytes_ + good[place + len(bytes_) :]
    differences, _notes = compare(NAME, damaged, good)
    assert differences
    assert not any("comparator for sqlite raised" in each.note for each in differences)
