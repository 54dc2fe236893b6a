"""CSV and TSV: columns, types, and tables that cannot be compared."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CELLS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
)


def table(rows: Iterable[Iterable[str]], **kwargs: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, **kwargs).writerows(rows)
    return stream.getvalue()


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_a_table_is_identical_with_itself_in_other_quotes(
    compare: Compare, rows: list[tuple[str, str, str]]
) -> None:
    rows = [("a", "b", "c"), *rows]
    quoted = table(rows, quoting=csv.QUOTE_ALL, lineterminator="\n")
    differences, _notes = compare("a.csv", table(rows), quoted)
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}


def test_columns_are_items_of_their_own_type(compare: Compare) -> None:
    expected = "id,score,label\n1,0.5,cat\n2,0.25,dog\n"
    actual = "id,score,label\n1,0.5000000000001,cat\n3,0.25,eft\n"
    found = {each.item: each for each in compare("p.csv", actual, expected)[0]}
    assert found["score"].verdict is Verdict.EQUIVALENT
    assert (found["id"].verdict, found["id"].rule) == (Verdict.DRIFT, "exact (int64 default)")
    assert (found["label"].verdict, found["label"].worst_index) == (Verdict.DRIFT, (1,))
    assert (found["label"].worst_actual, found["label"].worst_expected) == ("eft", "dog")


def test_the_last_printed_digit_counts(compare: Compare) -> None:
    differences, _notes = compare("p.csv", "x\n0.123457\n", "x\n0.123456\n")
    assert set(drifting(differences)) == {"x"}


def test_identical_columns_are_counted_not_listed(compare: Compare) -> None:
    drift, folded = compare("p.csv", "a,b,c\n1,2,3\n", "a,b,c\n1,2,4\n")[0]
    assert (drift.item, folded.size, folded.unit) == ("c", 2, "items")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [("007", "7"), ("1_0", "10"), ("True", "1"), ("0x10", "16"), ("yes", "no"), ("1e3", "1001")],
)
def test_what_only_looks_alike_is_told_apart(compare: Compare, actual: str, expected: str) -> None:
    differences, _notes = compare("p.csv", f"x\n{actual}\n", f"x\n{expected}\n")
    assert set(drifting(differences)) == {"x"}


def test_an_empty_cell_among_numbers_is_nan(compare: Compare) -> None:
    text = "a,b\n1,\n2,3\n"
    assert drifting(compare("p.csv", text, "a,b\n1,nan\n2,3.0\n")[0]) == {}
    assert set(drifting(compare("p.csv", text, "a,b\n1,0\n2,3\n")[0])) == {"b"}


@pytest.mark.parametrize(
    ("actual", "item", "note"),
    [
        ("a,b\n1,2\n", "", "rows: 1, expected 2; missing in the actual run: a = 3"),
        ("a\n1\n3\n", "b", "column missing in the actual run"),
        ("a,b,c\n1,2,5\n3,4,5\n", "c", "column only in the actual run"),
        ("b,a\n2,1\n4,3\n", "", "the columns are in another order"),
        ("a;b\n1;2\n3;4\n", "", "delimiter ';', expected ','"),
    ],
)
def test_another_structure_is_drift_and_says_what(
    compare: Compare, actual: str, item: str, note: str
) -> None:
    differences, _notes = compare("p.csv", actual, "a,b\n1,2\n3,4\n")
    assert {(each.item, each.note) for each in drifting(differences).values()} == {(item, note)}


def test_text_where_numbers_were_is_drift_with_a_note(compare: Compare) -> None:
    differences, _notes = compare("p.csv", "a,b\n1,x\n", "a,b\n1,2\n")
    assert drifting(differences)["b"].note == "a column of text, expected numbers"


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        ("a,b\n1,2\n3\n", "is ragged: line 3 has 1 cell, the first has 2"),
        ("a,b\n1,2,3\n", "is ragged: line 2 has 3 cells, the first has 2"),
        ('a,b\n1,"2\n', "is broken CSV at line 2"),
    ],
)
def test_a_table_that_cannot_be_read_fails_and_names_the_place(
    only: Only, actual: str, reason: str
) -> None:
    found = only("p.csv", actual, "a,b\n1,2\n")
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith(f"actual run: p.csv {reason}")


def test_a_table_without_header_has_numbered_columns(compare: Compare) -> None:
    differences, _notes = compare("p.csv", "1,2.5\n3,4.5\n", "1,2.5\n3,5.5\n")
    assert set(drifting(differences)) == {"1"}


def test_columns_of_the_same_name_are_all_compared(compare: Compare) -> None:
    differences, _notes = compare("p.csv", "x,x,\n1,2,3\n", "x,x,\n1,9,8\n")
    assert set(drifting(differences)) == {"x#1", "2"}


def test_a_file_called_csv_that_holds_key_value_text_is_text(only: Only) -> None:
    found = only("m.csv", "accuracy: 0.91\nnote: a, b\n", "accuracy: 0.92\nnote: a, b\n")
    assert (found.verdict, found.unit, found.worst_actual) == (
        Verdict.DRIFT,
        "lines",
        "accuracy: 0.91",
    )


def test_one_column_of_times_is_a_table(compare: Compare) -> None:
    differences, _notes = compare("t.csv", "t\n2024-01-01 00:00\n", "t\n2024-01-01 01:00\n")
    assert set(drifting(differences)) == {"t"}


MONITOR = (
    '#{{"t_start": {began}, "env_id": "CartPole-v1"}}\nr,l,t\n20.0,20,0.51\n25.0,{steps},0.61\n'
)


def test_comments_above_the_header_are_an_item_of_their_own(compare: Compare) -> None:
    """As Stable-Baselines3 writes them: they do not make text of the table."""
    expected = MONITOR.format(began=1764400000.25, steps=25)
    actual = MONITOR.format(began=1764407777.75, steps=26)

    assert drifting(compare("a.csv", actual, expected)[0]).keys() == {"#", "l"}
    same = MONITOR.format(began=1764400000.25, steps=26)
    assert drifting(compare("a.csv", same, expected)[0]).keys() == {"l"}


def test_lines_are_counted_from_the_comments_on(compare: Compare) -> None:
    long = "x" * 200_000
    for text, says in (
        ('# c\na,b\n1,"{}\n', "is broken CSV at line 3"),
        (f"# c\n{long},b\n1,{{}}\n", "is broken CSV at line 2"),
        ("# c\na,b\n1,2\n{}\n", "is ragged: line 4"),
    ):
        (found,), _notes = compare("a.csv", text.format(4), text.format(5))
        assert says in found.note


@pytest.mark.parametrize(
    ("head", "column"), [("# a,b", "b"), ("#made by a, b and c\n#a,b", "b"), ("# x\na,b", "b")]
)
def test_a_header_may_be_the_last_comment(compare: Compare, head: str, column: str) -> None:
    found, _notes = compare("a.csv", f"{head}\n1,2\n3,5\n", f"{head}\n1,2\n3,4\n")
    assert drifting(found).keys() == {column}


def test_tsv_and_a_byte_order_mark_are_read(compare: Compare) -> None:
    text = "\ufeffa\tb\n1\t2,5\n"
    assert drifting(compare("p.tsv", text, "a\tb\n1\t2,5\n")[0]) == {}


def test_a_rule_for_a_column_holds_for_it_alone(compare: Compare) -> None:
    sides = "a,b\n1.1,1.1\n", "a,b\n1.0,1.0\n"
    differences, _notes = compare("p.csv", *sides, Tolerance(rtol=0.2), item="a")
    assert set(drifting(differences)) == {"b"}


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n"])
def test_tables_without_rows_are_compared(compare: Compare, text: str) -> None:
    differences, _notes = compare("p.csv", text, text + "\n")
    assert drifting(differences) == {}
    assert drifting(compare("p.csv", text, "a,b\n1,2\n")[0])


def test_ids_too_large_for_a_double_stay_exact_beside_an_empty_cell(compare: Compare) -> None:
    sides = "id,x\n9007199254740993,1\n,1\n", "id,x\n9007199254740992,1\n,1\n"
    assert set(drifting(compare("p.csv", *sides)[0])) == {"id"}


def test_a_semicolon_comes_with_a_decimal_comma(compare: Compare) -> None:
    sides = "a;b\n1,5;x\n1.234,5;y\n", "a;b\n1,5;x\n1234,50000000001;y\n"
    found = {each.item: each for each in compare("p.csv", *sides)[0]}
    assert found["a"].verdict is Verdict.EQUIVALENT
    assert set(drifting(compare("p.csv", "1,5;2\n", "1,5;3\n")[0])) == {"1"}
    points = drifting(compare("p.csv", "a;b\n1.5;x\n1234.5;y\n", sides[0])[0])
    assert points["a"].note == "written without the decimal comma that is expected"


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u2009", "\u202f"])
def test_thousands_may_be_set_apart_by_blanks_beside_a_decimal_comma(
    compare: Compare, blank: str
) -> None:
    expected = f"a;b\n1,5;x\n12{blank}345{blank}678,5;y\n"
    noisy = compare("p.csv", expected.replace("678,5", "678,500000001"), expected)[0]
    assert all(each.verdict.passes for each in noisy)
    found = drifting(compare("p.csv", expected.replace("678,5", "778,5"), expected)[0])
    assert found["a"].max_abs == pytest.approx(100)
    words = "a;b\n1 2,5;x\n12 34,5;y\n"
    assert drifting(compare("p.csv", words, words.replace("34", "35"))[0])["a"].max_abs is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_an_encoding_with_a_mark_is_read_and_another_one_is_said(
    compare: Compare, encoding: str
) -> None:
    text = "word,x\nnaïve,1\n日本,2\n"
    sides = text.replace("2", "3").encode(encoding), text.encode(encoding)
    assert set(drifting(compare("p.csv", *sides)[0])) == {"x"}
    found = drifting(compare("p.csv", sides[1], text)[0])
    notes = {each.note for each in found.values()}
    assert notes == (set() if "8" in encoding else {f"encoding '{encoding}', expected 'utf-8'"})


def test_text_in_another_encoding_says_which_byte(only: Only) -> None:
    text = ("word,x\n" + "plain,1\n" * 300_000).encode()
    found = only("p.csv", text + b"Gr\x81e,2\n", text)
    assert found.note.startswith(
        f"actual run: p.csv is not UTF-8 text (byte {len(text) + 2} is 0x81); it may be cp1252 or "
        'latin-1; write it with encoding="utf-8"'
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Größe;Preis\n1;{}\n2;2,5\n", "latin-1"), ("Größe;Preis in €\n“a”;{}\nb;2,5\n", "cp1252")],
)
def test_what_spreadsheets_of_western_europe_export_is_a_table(
    compare: Compare, text: str, encoding: str
) -> None:
    def found(actual: str, expected: str) -> dict[str, Difference]:
        sides = (text.format(side).encode(encoding) for side in (actual, expected))
        return drifting(compare("p.csv", *sides)[0])

    assert not found("1,500000000001", "1,5")
    ((item, difference),) = found("1,6", "1,5").items()
    assert item.startswith("Preis")
    assert difference.max_abs == pytest.approx(0.1)
    mixed = drifting(compare("p.csv", text.encode(encoding), text.encode())[0])
    assert mixed[""].note == f"encoding '{encoding}', expected 'utf-8'"


def test_newlines_inside_quotes_belong_to_the_cell(compare: Compare) -> None:
    sides = 'a,b\n"x\ny",1\nz,2\n', 'a,b\n"x\nw",1\nz,2\n'
    found = drifting(compare("p.csv", *sides)[0])
    assert found["a"].worst_index == (0,)
    ragged = drifting(compare("p.csv", 'a,b\n"x\ny",1\nz\n', sides[1])[0])
    assert "is ragged: line 4 has 1 cell" in ragged[""].note


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (b"a" * (1 << 25), "has a line of more than 16777216 bytes"),
        (b"1," * 200_000, "has 200001 columns; at most 100000 are compared"),
        (b'a,b\n"' + b"x" * 200_000, "is broken CSV at line 2: field larger than field limit"),
    ],
)
def test_a_size_out_of_all_bounds_fails_and_is_named(
    only: Only, actual: bytes, reason: str
) -> None:
    found = only("p.csv", actual, b"a,b\n1,2\n")
    assert not found.verdict.passes
    assert found.note.startswith(f"actual run: p.csv {reason}")


def test_columns_that_turn_out_to_be_text_late_are_text_from_the_start(compare: Compare) -> None:
    rows = ["x,y"] + ["1.50,1"] * 40_000 + ["2.5.1,2"]
    text = "\n".join(rows)
    assert drifting(compare("p.csv", text + "\n", text)[0]) == {}
    other = text.replace("1.50", "1.5", 1)
    found = drifting(compare("p.csv", other, text)[0])["x"]
    assert (found.worst_actual, found.worst_expected, found.differing) == ("1.5", "1.50", 1)


def test_a_hundred_columns_and_rows_past_a_block_keep_their_places(compare: Compare) -> None:
    rows = [[str(row * column) for column in range(100)] for row in range(2000)]
    changed = [row.copy() for row in rows]
    changed[1999][77] = "0.5"
    found = drifting(compare("p.csv", table(changed), table(rows))[0])
    assert {item: each.worst_index for item, each in found.items()} == {"77": (1999,)}


def test_a_gap_beside_a_word_for_one_is_said_to_be_shown_as_nothing(compare: Compare) -> None:
    """`nan` makes a column of numbers, and `NA` one of text, in which a NaN is an empty cell."""
    sides = (f"a,b\n{gap},1.5\n2.5,3.5\n" for gap in ("nan", "NA"))
    (found,) = (each for each in compare("p.csv", *sides)[0] if each.item == "a")
    assert (found.worst_actual, found.worst_expected) == ("", "NA")
    assert found.note.endswith("expected text; a NaN is shown as an empty cell")
