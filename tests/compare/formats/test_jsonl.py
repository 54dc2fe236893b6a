"""JSON Lines: columns of leaves, ragged keys, prefixes, and lines that are broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAME = "m.jsonl"
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES), min_size=1, max_size=6)


def lines(*rows: object, **options: Any) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(ROWS)
def test_a_file_is_identical_with_itself_in_another_layout(
    compare: Compare, rows: list[dict[str, Any]]
) -> None:
    other = "\ufeff\n" + lines(
        *({key: row[key] for key in reversed(row)} for row in rows),
        ensure_ascii=False,
        separators=(" ,", " : "),
    )
    differences, _notes = compare(NAME, other, lines(*rows))
    assert {each.verdict for each in differences} <= {Verdict.IDENTICAL}


@PROPERTY
@given(ROWS, st.data())
def test_one_changed_cell_is_found_in_its_line(
    compare: Compare, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = [{**each, "x": number} for number, each in enumerate(rows)]
    expected = lines(*changed)
    changed[row] = {**changed[row], "x": -1}
    (found,) = drifting(compare(NAME, lines(*changed), expected)[0]).values()
    assert (found.item, found.worst_index, found.differing) == ("x", (row,), 1)


def test_leaves_are_columns(compare: Compare) -> None:
    expected = lines(*({"step": step, "metrics": {"loss": 1 / step}} for step in (1, 2, 3)))
    actual = lines(
        {"step": 1, "metrics": {"loss": 1.0}},
        {"step": 2, "metrics": {"loss": 0.50000000001}},
        {"step": 3, "metrics": {"loss": 0.4}},
    )
    found = drifting(compare(NAME, actual, expected)[0])
    assert {item: each.worst_index for item, each in found.items()} == {"metrics.loss": (2,)}
    assert found["metrics.loss"].differing == 2


def test_a_key_that_a_line_does_not_have_is_missing_there(compare: Compare) -> None:
    rows = [{"a": 1}, {"a": 2, "b": 1.5}, {"a": 3}, {"a": 4, "b": 2.5}]
    (folded,) = compare(NAME, lines(*rows), lines(*rows, sort_keys=True) + "\n")[0]
    assert folded.verdict is Verdict.IDENTICAL
    found = drifting(compare(NAME, lines(*rows[:3], {"a": 4}), lines(*rows))[0])["b"]
    assert (found.worst_index, found.worst_actual, found.worst_expected) == (
        (3,),
        "(missing)",
        "(a value)",
    )
    found = drifting(compare(NAME, lines(*rows[:3], {"a": 4, "b": 9}), lines(*rows))[0])["b"]
    assert (found.worst_index, found.worst_actual, found.differing) == ((3,), "9.0", 1)


def test_null_is_neither_missing_nor_nan(compare: Compare) -> None:
    expected = '{"a": 1.5, "b": null}\n{"a": 2.5, "b": 2.0}\n'
    for other in ('{"a": 1.5}', '{"a": 1.5, "b": NaN}', '{"a": 1.5, "b": 0.0}'):
        found = drifting(compare(NAME, other + '\n{"a": 2.5, "b": 2.0}\n', expected)[0])
        assert {item: each.worst_index for item, each in found.items()} == {"b": (0,)}


def test_lists_of_values_are_cells_and_others_are_taken_apart(compare: Compare) -> None:
    expected = lines({"v": [1.0, 2.0], "h": [{"x": 1}]}, {"v": [3.0], "h": []})
    actual = lines({"v": [1.0, 2.5], "h": [{"x": 2}]}, {"v": [3.0], "h": []})
    found = drifting(compare(NAME, actual, expected)[0])
    assert {item: each.worst_index for item, each in found.items()} == {
        "v": (0, 1),
        "h[0].x": (0,),
    }


@pytest.mark.parametrize(
    ("actual", "expected", "note"),
    [
        ('{"a": "1"}', '{"a": 1}', "a column of text, expected numbers"),
        ('{"a": true}', '{"a": 1}', "a column of booleans, expected numbers"),
        ('{"a": 1.0}', '{"a": 1}', ""),
    ],
)
def test_another_kind_of_value_is_drift(
    compare: Compare, actual: str, expected: str, note: str
) -> None:
    first = '{"b": 1}\n'
    found = drifting(compare(NAME, first + actual + "\n", first + expected + "\n")[0])
    assert {each.note for each in found.values()} == ({note} if note else set())


def test_keys_that_look_alike_are_told_apart(compare: Compare) -> None:
    expected = '{"a.b": 1, "a": {"b": 2}}\n{"a.b": 1, "a": {"b": 2}}\n'
    assert drifting(compare(NAME, expected.replace("2", "3"), expected)[0])
    assert drifting(compare(NAME, expected + "\n", expected)[0]) == {}


def test_what_stands_before_every_object_is_a_column_of_its_own(compare: Compare) -> None:
    expected = '1700000000000 {"loss": 0.5}\n1700000000100 {"loss": 0.25}\n'
    actual = '1700000009000 {"loss": 0.5}\n1700000009100 {"loss": 0.25}\n'
    assert drifting(compare(NAME, actual, expected)[0]).keys() == {"#prefix"}
    differences, _ = compare(NAME, actual, expected, Tolerance(ignore=True), item="#prefix")
    assert drifting(differences) == {}


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        ('{"a": 1}\n{"a": \n', "is broken JSON Lines at line 2: expected a value"),
        ('{"a": 1}\n\n{"a": 1, "a": 2}\n', "is broken JSON Lines at line 3: duplicate key 'a'"),
        ('{"a": 1} {"a": 2}\n', "is broken JSON Lines at line 1: something follows the value"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "is not UTF-8 text (line 2, byte 7 of it)"),
        ('5 {"a": 1}\n{"a": 2}\n', "is broken JSON Lines at line 2: something stands before"),
    ],
)
def test_a_broken_line_is_named(only: Only, actual: bytes | str, reason: str) -> None:
    found = only(NAME, actual, '{"a": 1}\n{"a": 2}\n')
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith(f"actual run: {NAME} {reason}")


def test_lines_are_recognised_by_what_is_in_them(compare: Compare) -> None:
    rows = {"a": 1}, {"a": 2}
    found = drifting(compare("log.json", lines({"a": 1}, {"a": 3}), lines(*rows))[0])
    assert found["a"].worst_index == (1,)
    text = lines(*rows) + "done\n"
    assert compare("log.txt", text.replace("2", "3"), text)[0][0].unit == "lines"


def test_depth_and_width_have_no_effect_but_time(compare: Compare) -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    assert not drifting(compare(NAME, f"{deep}\n{deep}\n\n", f"{deep}\n{deep}\n")[0])
    wide = [{f"user{number}": number} for number in range(3000)]
    changed = [*wide[:-1], {"user2999": 0}]
    found = drifting(compare(NAME, lines(*changed), lines(*wide))[0])
    assert {item: each.worst_index for item, each in found.items()} == {"user2999": (2999,)}
