"""Parquet: columns and their types, what is missing, nesting, layout, and files that lie."""

from __future__ import annotations

import datetime
import decimal
import inspect
import io
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAME = "p.parquet"
COLUMNS = {
    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | st.floats(),
    "s": st.none() | st.text(max_size=5),
    "l": st.none() | st.lists(st.none() | st.integers(-5, 5), max_size=3),
    "r": st.none()
    | st.fixed_dictionaries({"a": st.none() | st.booleans(), "b": st.lists(st.floats(0, 1))}),
}
SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("l", pa.list_(pa.int64())),
        ("r", pa.struct([("a", pa.bool_()), ("b", pa.list_(pa.float64()))])),
    ]
)


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def of(**columns: Any) -> bytes:
    return parquet(pa.table(columns))


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


def items(differences: Iterable[Difference]) -> dict[str, Difference]:
    return {each.item: each for each in differences}


@PROPERTY
@given(
    st.lists(st.fixed_dictionaries(COLUMNS), max_size=8),
    st.integers(1, 5),
    st.sampled_from(["none", "snappy", "zstd", "gzip"]),
    st.booleans(),
    st.sampled_from(["1.0", "2.0"]),
)
def test_layout_and_encoding_do_not_count(
    compare: Compare,
    rows: list[object],
    group: int,
    compression: str,
    dictionary: bool,
    page: str,
) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    other = parquet(
        table.replace_schema_metadata({"pandas": "{}"}),
        row_group_size=group,
        compression=compression,
        use_dictionary=dictionary,
        data_page_version=page,
        write_statistics=not dictionary,
    )
    differences, _notes = compare(NAME, other, parquet(table))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}


@PROPERTY
@given(
    st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=8),
    st.sampled_from(sorted(COLUMNS)),
    st.data(),
)
def test_one_changed_cell_is_found_in_its_column_and_row(
    compare: Compare, rows: list[dict[str, Any]], name: str, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = [dict(each) for each in rows]
    changed[row][name] = data.draw(COLUMNS[name])
    left, right = (pa.Table.from_pylist(each, SCHEMA) for each in (changed, rows))
    sides = left.column(name).to_pylist(), right.column(name).to_pylist()
    found = drifting(compare(NAME, parquet(left, row_group_size=3), parquet(right))[0])
    if repr(sides[0]).replace("-0.0", "0.0") == repr(sides[1]).replace("-0.0", "0.0"):
        assert found == {}
    elif found:
        assert {item.partition(".")[0] for item in found} == {name}
        assert {(each.worst_index or ())[0] for each in found.values()} == {row}
    else:
        # Floats that are equal within the tolerance.
        assert name in ("f", "r")


def test_a_null_is_neither_a_number_nor_nan(compare: Compare) -> None:
    values = [1.0, None, 3.0, float("nan")]
    assert drifting(compare(NAME, of(x=values), of(x=values, y=values))[0]).keys() == {"y"}
    for other, row in (([1.0, 0.0, 3.0, float("nan")], 1), ([1.0, None, 3.0, None], 3)):
        found = drifting(compare(NAME, of(x=other), of(x=values))[0])["x"]
        assert (found.worst_index, found.differing, found.size) == ((row,), 1, 4)
        assert found.note == f"1 value is missing on one side only, the first at [{row}]"
        assert "(missing)" in (found.worst_actual, found.worst_expected)


def test_numbers_beside_a_null_are_judged_by_their_own_tolerance(compare: Compare) -> None:
    sides = of(x=pa.array([1.0, None, 3.0], "f4")), of(x=pa.array([1.000001, None, 3.0], "f4"))
    (found,) = compare(NAME, *sides)[0]
    assert (found.verdict, found.differing) == (Verdict.EQUIVALENT, 1)
    assert found.rule.endswith("(float32 default)")


@pytest.mark.parametrize(
    ("actual", "expected", "note"),
    [
        (pa.array([1, 2], "i4"), pa.array([1, 2], "i8"), "type int32, expected int64"),
        (pa.array([1.5], "f4"), pa.array([1.5], "f8"), "type float, expected double"),
        (pa.array([1, 2]), pa.array([1.0, 2.0]), "type int64, expected double"),
        (pa.array([2**63], "u8"), pa.array([2**63 - 1]), "type uint64, expected int64"),
        (
            pa.array([10**6], pa.timestamp("us")),
            pa.array([10**9], pa.timestamp("ns")),
            "type timestamp[us], expected timestamp[ns]",
        ),
        (
            pa.array([1], pa.timestamp("us", "UTC")),
            pa.array([1], pa.timestamp("us")),
            "type timestamp[us, tz=UTC], expected timestamp[us]",
        ),
        (pa.array(["1"]), pa.array([1]), "type string, expected int64"),
        (pa.array([b"1"]), pa.array(["1"]), "type binary, expected string"),
    ],
)
def test_the_type_is_part_of_the_value(
    compare: Compare, actual: pa.Array, expected: pa.Array, note: str
) -> None:
    (found,) = compare(NAME, of(x=actual), of(x=expected))[0]
    assert found.verdict is Verdict.DRIFT
    numbers = not {"string", "binary"} & {str(actual.type), str(expected.type)}
    same = numbers and note != "type uint64, expected int64"
    assert found.note == (f"{note}; the values are the same" if same else note)


@pytest.mark.parametrize(
    ("actual", "expected", "verdict"),
    [
        (pa.array([1, 2], "i4"), pa.array([1, 2], "i8"), Verdict.IDENTICAL),
        (pa.array([1, 3], "i4"), pa.array([1, 2], "i8"), Verdict.DRIFT),
        (pa.array([0.1], "f4"), pa.array([0.1], "f8"), Verdict.EQUIVALENT),
        (pa.array([2**63], "u8"), pa.array([2**63 - 1]), Verdict.DRIFT),
    ],
)
def test_another_type_passes_where_the_rule_says_so(
    compare: Compare, actual: object, expected: object, verdict: Verdict
) -> None:
    differences = compare(NAME, of(x=actual), of(x=expected), Tolerance(any_dtype=True))[0]
    assert {each.verdict for each in differences} == {verdict}


def test_how_values_are_kept_does_not_count(compare: Compare) -> None:
    words = ["a", None, "b", "a"]
    kinds = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
    sides = [of(x=pa.array(words, kind), n=[1, 2, 3, 4]) for kind in kinds]
    for side in sides[1:]:
        differences, _notes = compare(NAME, side, sides[0])
        assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
    other = of(x=pa.array(["a", None, "c", "a"], kinds[2]), n=[1, 2, 3, 4])
    found = drifting(compare(NAME, other, sides[0])[0])["x"]
    assert (found.worst_index, found.worst_actual, found.worst_expected) == ((2,), "c", "b")


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_kept_as_deltas_are_read(compare: Compare, encoding: str) -> None:
    """As DuckDB and Rust's writers keep them; pyarrow reads these into no dictionary."""
    columns: dict[str, list[Any]] = {
        "s": [f"n{i % 7}" for i in range(50)],
        "l": [["a"], None] * 25,
        "b": [b"x"] * 50,
    }
    options = {"use_dictionary": False, "row_group_size": 20}
    kept = dict.fromkeys(["s", "l.list.element", "b"], encoding)
    plain, deltas = of(**columns), parquet(pa.table(columns), column_encoding=kept, **options)
    for sides in ((plain, deltas), (deltas, plain)):
        differences, _notes = compare(NAME, *sides)
        assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
    columns["s"][30] = "other"
    assert set(drifting(compare(NAME, deltas, of(**columns))[0])) == {"s"}


def test_every_scalar_type_is_compared_by_value(compare: Compare) -> None:
    moment = datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC)
    kinds = {
        "bool": ([True, False], pa.bool_()),
        "half": (np.array([1, 2], "f2"), pa.float16()),
        "date": ([moment.date(), datetime.date(1960, 1, 1)], pa.date32()),
        "time": ([moment, moment], pa.timestamp("ms", "Europe/Berlin")),
        "clock": ([moment.time(), datetime.time(1)], pa.time64("us")),
        "span": ([datetime.timedelta(1), datetime.timedelta(2)], pa.duration("s")),
        "money": ([decimal.Decimal("1.10"), decimal.Decimal("2.20")], pa.decimal128(9, 2)),
        "bytes": ([b"\x00\xff", b"b"], pa.binary()),
        "nothing": ([None, None], pa.null()),
    }
    right = {name: pa.array(values, kind) for name, (values, kind) in kinds.items()}
    left = {name: pa.concat_arrays([array[:1], array[:1]]) for name, array in right.items()}
    assert drifting(compare(NAME, of(**right), of(**right, more=[1, 2]))[0]).keys() == {"more"}
    found = drifting(compare(NAME, of(**left), of(**right))[0])
    assert found.keys() == kinds.keys() - {"time", "nothing"}
    assert {each.worst_index for each in found.values()} == {(1,)}
    assert found["money"].worst_actual == "1.10"


def test_a_bound_for_decimals_is_kept(compare: Compare) -> None:
    sides = [of(x=pa.array([decimal.Decimal(text)])) for text in ("1.01", "1.02")]
    assert compare(NAME, *sides, Tolerance(margin=0.02))[0][0].verdict is Verdict.EQUIVALENT
    assert compare(NAME, *sides, Tolerance(margin=0.001))[0][0].verdict is Verdict.DRIFT


def test_lists_are_compared_element_by_element(compare: Compare) -> None:
    def vectors(last: float, kind: Any) -> bytes:
        return of(v=pa.array([[1.0, 2.0], [3.0, last]], kind))

    for kind in (pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float32())):
        (near,) = compare(NAME, vectors(4.000001, kind), vectors(4.0, kind))[0]
        assert (near.verdict, near.worst_index, near.size) == (Verdict.EQUIVALENT, (1, 1), 4)
        (far,) = compare(NAME, vectors(5.0, kind), vectors(4.0, kind))[0]
        assert (far.verdict, far.worst_index) == (Verdict.DRIFT, (1, 1))
        assert [each.index for each in far.elements] == [(1, 1)]


@pytest.mark.parametrize(
    ("actual", "expected", "index", "texts"),
    [
        ([[1], [2]], [[1], [2, 3]], (1,), ("(a list of 1)", "(a list of 2)")),
        ([[1], None], [[1], []], (1,), ("(missing)", "(a list of 0)")),
        ([[1], [2, None]], [[1], [2, 3]], (1, 1), ("(missing)", "(a value)")),
        ([[[1], [2]]], [[[1], [2, 3]]], (0, 1), ("(a list of 1)", "(a list of 2)")),
        ([[[1], [2, 4]]], [[[1], [2, 3]]], (0, 1, 1), ("4", "3")),
    ],
)
def test_another_list_says_where(
    compare: Compare,
    actual: list[object],
    expected: list[object],
    index: tuple[int, ...],
    texts: tuple[str, str],
) -> None:
    (found,) = compare(NAME, of(v=actual), of(v=expected))[0]
    assert (found.verdict, found.worst_index) == (Verdict.DRIFT, index)
    assert (found.worst_actual, found.worst_expected) == texts


def test_fields_of_structs_are_columns(compare: Compare) -> None:
    def table(a: Any, b: Any) -> bytes:
        return of(s=pa.array([{"a": 1, "b": {"c": "x"}}, {"a": a, "b": b}]))

    expected = table(2, {"c": "y"})
    assert drifting(compare(NAME, table(2, {"c": "z"}), expected)[0]).keys() == {"s.b.c"}
    found = drifting(compare(NAME, table(2, None), table(2, {"c": None}))[0])
    assert found["s.b.c"].worst_index == (1,)
    differences, _ = compare(
        NAME, table(9, {"c": "y"}), expected, Tolerance(ignore=True), item="s.a"
    )
    assert drifting(differences) == {}


def test_lists_of_structs_and_maps_are_compared(compare: Compare) -> None:
    kind = pa.map_(pa.string(), pa.float64())
    sides = [
        of(
            m=pa.array([[("a", 1.0), ("b", last)], None], kind),
            l=pa.array([[{"x": 1, "y": "p"}], [{"x": 2, "y": word}]]),
        )
        for last, word in ((2.0, "q"), (3.0, "r"))
    ]
    found = drifting(compare(NAME, *sides)[0])
    assert {item: each.worst_index for item, each in found.items()} == {
        "m.value": (0, 1),
        "l.y": (1, 0),
    }


def test_another_structure_is_drift_and_says_what(compare: Compare) -> None:
    expected = of(a=[1, 2], b=[3, 4])
    for actual, item, note in (
        (of(a=[1], b=[3]), "", "rows: 1, expected 2; missing in the actual run: a = 2"),
        (of(a=[1, 2]), "b", "column missing in the actual run"),
        (of(a=[1, 2], b=[3, 4], c=[5, 6]), "c", "column only in the actual run"),
        (of(b=[3, 4], a=[1, 2]), "", "the columns are in another order"),
    ):
        found = drifting(compare(NAME, actual, expected)[0])
        assert {(each.item, each.note) for each in found.values()} == {(item, note)}


def test_columns_with_a_dot_or_one_name_are_told_apart(compare: Compare) -> None:
    def table(inner: Any, flat: Any, twice: Any) -> bytes:
        arrays = [pa.array([{"b": inner}]), pa.array([flat]), pa.array([1]), pa.array([twice])]
        return parquet(pa.Table.from_arrays(arrays, ["a", "a.b", "x", "x"]))

    expected = table(1, 2, 3)
    assert drifting(compare(NAME, table(9, 2, 3), expected)[0]).keys() == {"a.b"}
    assert drifting(compare(NAME, table(1, 9, 3), expected)[0]).keys() == {"a.b#1"}
    assert drifting(compare(NAME, table(1, 2, 9), expected)[0]).keys() == {"x#3"}


def test_more_rows_than_a_part_are_compared_across_row_groups(compare: Compare) -> None:
    count = 150_000
    numbers = np.arange(count, dtype="f4")
    words = np.array(["w", "v"])[np.arange(count) % 2]
    moved = numbers.copy()
    moved[[70_000, 149_999]] += 1000
    actual = parquet(pa.table({"x": moved, "w": words}), row_group_size=70_001)
    differences, _notes = compare(NAME, actual, of(x=numbers, w=words))
    found = drifting(differences)["x"]
    assert (found.differing, found.size) == (2, count)
    assert {each.index for each in found.elements} == {(70_000,), (149_999,)}
    assert [each.size for each in differences if each.verdict is Verdict.IDENTICAL] == [1]


def test_ten_thousand_columns_are_compared_in_seconds(compare: Compare) -> None:
    columns = {f"c{number}": [1.0, 2.0] for number in range(10_000)}
    changed = {**columns, "c7777": [1.0, 3.0]}
    differences, _notes = compare(NAME, of(**changed), of(**columns))
    found = drifting(differences)
    assert {item: each.worst_index for item, each in found.items()} == {"c7777": (1,)}


GOOD = of(x=list(range(1000)), w=["a", "b"] * 500)


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (GOOD[:3], "is truncated: 3 bytes are no Parquet file"),
        (GOOD[:8], "is truncated: 8 bytes are no Parquet file"),
        (GOOD[:-1], "is truncated: it does not end with PAR1"),
        (GOOD[: len(GOOD) // 2], "is truncated: it does not end with PAR1"),
        (GOOD[:-8] + b"\xff\xff\xff\x7fPAR1", "cannot be read, it is damaged"),
        (GOOD[:-8] + b"\x10\x00\x00\x00PAR1", "cannot be read, it is damaged"),
        (b"PAR1" + bytes(100) + b"\x08\x00\x00\x00PAR1", "cannot be read, it is damaged"),
        (b"PARE" + GOOD[4:-4] + b"PARE", "is encrypted"),
    ],
)
def test_a_file_that_cannot_be_read_fails_and_says_why(
    only: Only, actual: bytes, reason: str
) -> None:
    found = only(NAME, actual, GOOD)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith(f"actual run: {NAME} {reason}")


@settings(PROPERTY, max_examples=150)
@given(st.integers(4, len(GOOD) - 5), st.binary(min_size=1, max_size=4))
def test_no_damage_passes_unseen_or_crashes(compare: Compare, place: int, bytes_: bytes) -> None:
    damaged = GOOD[:place] + bytes_ + GOOD[place + len(bytes_) :]
    differences, _notes = compare(NAME, damaged[: len(GOOD)], GOOD)
    assert differences
    for each in differences:
        assert "comparator for parquet raised" not in each.note


@pytest.mark.parametrize("flip", [1, 4, 16, 64])
def test_no_byte_of_a_footer_ends_the_session(compare: Compare, flip: int) -> None:
    """Asked for a column whose type, codec or statistics make no sense, pyarrow calls abort()."""
    good = of(i=[1, 2, None], s=["a", "b", "c"], t=[datetime.datetime(2020, 1, 1)] * 3)
    length = int.from_bytes(good[-8:-4], "little")
    for place in range(len(good) - 8 - length + flip % 7, len(good) - 8, 7):
        damaged = bytearray(good)
        damaged[place] ^= flip
        differences, _notes = compare(NAME, bytes(damaged), good)
        assert differences


def test_a_page_that_unpacks_to_more_than_a_reader_may_take_fails(
    only: Only, pool: Callable[..., AbstractContextManager[Pool]]
) -> None:
    if "max_rows_per_page" not in inspect.signature(pq.ParquetWriter).parameters:
        pytest.skip("this pyarrow cannot write so large a page")
    zeros = np.zeros(100_000_000, "f4")
    sides = []
    for last in (0, 1):
        zeros[-1] = last
        options = dict.fromkeys(("data_page_size", "max_rows_per_page", "row_group_size"), 1 << 30)
        table = pa.table({"x": zeros})
        sides.append(parquet(table, compression="zstd", use_dictionary=False, **options))
    assert len(sides[0]) < 1 << 20
    with pool(memory_bytes=300 << 20) as readers:
        found = only(NAME, *sides, pool=readers)
    assert found.verdict is Verdict.FAILED
    assert "unreadable: the reader took more than 0.293 GiB of memory" in found.note


def footer(*parts: bytes) -> bytes:
    data = b"".join(parts)
    return b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1"


def test_a_schema_that_nests_without_end_ends_its_reader_at_most(only: Only) -> None:
    """Each level names its one child: a reader that follows by recursion runs out of stack."""
    element = b"\x48\x01a\x15\x02\x00"  # name "a", one child
    count = 200_000
    length = bytes([count & 127 | 128, count >> 7 & 127 | 128, count >> 14])
    nested = footer(b"\x15\x04\x19\xfc", length, element * count, b"\x00")
    found = only(NAME, nested, GOOD)
    assert found.verdict is Verdict.FAILED
    crashed = found.note.startswith("unreadable: the reader crashed (SIGSEGV)")
    assert crashed or "is damaged or truncated" in found.note


def test_more_rows_than_a_file_can_hold_are_refused(only: Only) -> None:
    """The footer of a table of one column, with its count of rows replaced."""
    table = parquet(pa.table({"x": pa.array([], "i4")}))
    at = table.rindex(b"\x16\x00")
    start = len(table) - 8 - int.from_bytes(table[-8:-4], "little")
    data = bytearray(table[start:-8])
    coded, number = b"", 2**60 << 1
    while number:
        coded += bytes([number & 127 | (128 if number > 127 else 0)])
        number >>= 7
    place = data.index(b"\x16\x00")
    assert start + place <= at
    data[place : place + 2] = b"\x16" + coded
    found = only(NAME, footer(bytes(data)), GOOD)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith(f"actual run: {NAME} claims {2**60} rows of 1 columns")
