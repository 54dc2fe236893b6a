"""Arrow IPC: files, streams and Feather; batches, compression and dictionaries; damaged files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.formats.arrow_columns import _looked_up
from pytest_mlcontainer.model import Difference, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCHEMA = pa.schema(
    [
        ("i", pa.int32()),
        ("f", pa.float32()),
        ("s", pa.string()),
        ("l", pa.list_(pa.float64())),
        ("d", pa.dictionary(pa.int16(), pa.string())),
        ("b", pa.bool_()),
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-100, 100),
            "f": st.none() | st.floats(width=32),
            "s": st.none() | st.text(max_size=3),
            "l": st.none() | st.lists(st.none() | st.floats(0, 1), max_size=3),
            "d": st.none() | st.sampled_from(["x", "y"]),
            "b": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


def ipc(
    table: pa.Table,
    make: Callable[..., Any] = pa.ipc.new_file,
    rows: int | None = None,
    **options: Any,
) -> bytes:
    stream = io.BytesIO()
    with make(stream, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return stream.getvalue()


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(ROWS, st.integers(1, 5), st.sampled_from([None, "lz4", "zstd"]), st.booleans())
def test_batches_and_compression_do_not_count(
    compare: Compare,
    rows: list[object],
    size: int,
    compression: str | None,
    streamed: bool,
) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    make, name = (pa.ipc.new_stream, "t.arrows") if streamed else (pa.ipc.new_file, "t.feather")
    plain = table.set_column(4, "d", table["d"].cast(pa.large_string()))
    other = ipc(plain, make, size, compression=compression)
    differences, _notes = compare(name, other, ipc(table, make))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}


@PROPERTY
@given(ROWS, st.data())
def test_one_changed_cell_is_found(
    compare: Compare, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    name, value = data.draw(
        st.sampled_from([("i", 999), ("f", 7e30), ("s", "changed"), ("d", "z"), ("l", [9.0] * 4)])
    )
    changed = [*rows]
    changed[row] = {**rows[row], name: value}
    left, right = (pa.Table.from_pylist(each, SCHEMA) for each in (changed, rows))
    found = drifting(compare("t.arrow", ipc(left, rows=3), ipc(right))[0])
    assert {item: (each.worst_index or ())[0] for item, each in found.items()} == {name: row}


def test_what_feather_writes_is_read(compare: Compare, tmp_path: Path) -> None:
    sides = []
    for last in (3.0, 4.0):
        pyarrow.feather.write_feather(pa.table({"x": [1.0, last]}), tmp_path / "f")
        sides.append((tmp_path / "f").read_bytes())
    (found,) = drifting(compare("f.feather", *sides)[0]).values()
    assert (found.item, found.worst_index, found.worst_actual) == ("x", (1,), "3.0")


def test_a_file_and_a_stream_are_the_same_table(compare: Compare) -> None:
    table = pa.table({"x": [1, 2, 3]})
    sides = ipc(table), ipc(table, pa.ipc.new_stream)
    assert drifting(compare("t.arrow", *sides)[0]) == {}


GOOD = ipc(pa.table({"x": list(range(100)), "s": ["a", None, "ccc", "d"] * 25}))


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (GOOD[:-20], "cannot be read, it is damaged or truncated"),
        (GOOD[:200], "cannot be read, it is damaged or truncated"),
        (b"", "is empty"),
        (b"FEA1" + bytes(100), "is Feather version 1; write it with version 2"),
    ],
)
def test_a_file_that_cannot_be_read_fails_and_says_why(
    only: Only, actual: bytes, reason: str
) -> None:
    found = only("t.arrow", actual, GOOD)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith(f"actual run: t.arrow {reason}")


def test_a_name_that_is_no_text_is_damage(only: Only) -> None:
    whole = ipc(pa.table({"column": [1, 2]}))
    found = only("t.arrow", whole.replace(b"column", b"col\xc4mn"), whole)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: t.arrow cannot be read, it is damaged or truncated")


@settings(PROPERTY, max_examples=200)
@given(st.integers(8, len(GOOD) - 8), st.binary(min_size=1, max_size=4))
def test_no_damage_crashes(compare: Compare, place: int, bytes_: bytes) -> None:
    damaged = GOOD[:place] + bytes_ + GOOD[place + len(bytes_) :]
    differences, _notes = compare("t.arrow", damaged[: len(GOOD)], GOOD)
    assert differences
    assert not any("comparator for arrow raised" in each.note for each in differences)


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_outside_its_dictionary_is_damage(only: Only, index: int) -> None:
    """It must not be taken for a value from the dictionary's end."""
    indices = pa.array([0, index], pa.int8())
    wild = pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"]), safe=False)
    tame = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["x", "y"]))
    found = only("t.arrow", *(ipc(pa.table({"d": side})) for side in (wild, tame)))
    assert found.verdict is Verdict.FAILED
    assert "out of bounds" in found.note


@pytest.mark.parametrize("index", [-1, 2])
def test_no_index_is_looked_up_outside_its_dictionary(index: int) -> None:
    """Parquet's are not checked by its reader, unlike those of Arrow files."""
    indices = pa.array([0, None, index], pa.int8())
    wild = pa.DictionaryArray.from_arrays(indices, pa.array([1.5, 2.5]), safe=False)
    with pytest.raises(pa.ArrowInvalid, match="outside its dictionary of 2"):
        _looked_up(pa, wild)
