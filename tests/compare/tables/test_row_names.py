"""Tables of other lengths: which rows are missing, and whether they may be a curve."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.model import Verdict
from tests.fixture_types import Compare, Only

HEADER = "at,id,score\n"
ROWS = [f"{at},user{at * 7},0.{at}5\n" for at in range(6)]
POINTS = [(at / 20, (at / 20) ** 0.3) for at in range(21)]
FINER = sorted([*POINTS, (0.225, ((0.2**0.3) + (0.25**0.3)) / 2)])
BENT = [(x, y**1.5) for x, y in FINER]


def csv_of(rows: list[str]) -> str:
    return HEADER + "".join(rows)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([*ROWS[:2], *ROWS[3:]], "rows: 5, expected 6; missing in the actual run: at = 2"),
        ([*ROWS, ROWS[4]], "rows: 7, expected 6; more in the actual run: at = 4"),
        (
            # Numbers of rows are given anew, so they do not tell which one is missing.
            [f"{at},{row.partition(',')[2]}" for at, row in enumerate([*ROWS[:2], *ROWS[3:]])],
            "rows: 5, expected 6; missing in the actual run: id = user14",
        ),
        (
            [*ROWS[1:4], "9,new,0.5\n"],
            "rows: 4, expected 6; missing in the actual run: at = 0, 4, 5; "
            "more in the actual run: at = 9",
        ),
        ([], "rows: 0, expected 6"),
    ],
)
def test_rows_that_only_one_side_has_are_named(only: Only, rows: list[str], note: str) -> None:
    found = only("a.csv", csv_of(rows), csv_of(ROWS))
    assert (found.verdict, found.note) == (Verdict.DRIFT, note)


ALIKE = "those that both have are the same"
LOSSES = [f"{epoch},{1 / (epoch + 1)}\n" for epoch in range(5)]


@pytest.mark.parametrize(
    ("first", "note"),
    [
        ("epoch", "rows: 4, expected 5; missing in the actual run: epoch = 4"),
        ("n", "rows: 4, expected 5; missing in the actual run: n = 4"),
    ],
)
def test_the_last_epoch_that_is_missing_is_named(only: Only, first: str, note: str) -> None:
    """All that is before it is the same, or it counts no rows but what training did."""
    whole, cut = (f"{first},loss\n" + "".join(rows) for rows in (LOSSES, LOSSES[:4]))
    assert only("h.csv", cut, whole).note == note
    moved = cut.replace("0.5", "0.6")
    said = only("h.csv", moved, whole).note
    assert said == (note if first == "epoch" else "rows: 4, expected 5")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (
            [1, 3],
            "2 records, expected 3; they differ from [1] on; missing in the actual run: id = 2",
        ),
        ([1, 2], f"2 records, expected 3; {ALIKE}; missing in the actual run: id = 3"),
        ([1, 2, 3, 3], f"4 records, expected 3; {ALIKE}; more in the actual run: id = 3"),
    ],
)
def test_records_that_one_side_alone_has_are_named(
    only: Only, records: list[int], said: str
) -> None:
    sides = [[{"id": n, "p": n / 7} for n in each] for each in (records, [1, 2, 3])]
    assert only("p.json", *sides).note == f"a list of {said}"


def as_csv(points: list[tuple[float, float]]) -> str:
    return "fpr,tpr\n" + "".join(f"{x},{y}\n" for x, y in points)


def as_lists(points: list[tuple[float, float]]) -> str:
    return json.dumps({"test": {"fpr": [x for x, _ in points], "tpr": [y for _, y in points]}})


@pytest.mark.parametrize(
    ("name", "written", "key"),
    [("roc.csv", as_csv, "roc.csv"), ("roc.json", as_lists, "roc.json:test.*")],
)
def test_curves_of_other_lengths_have_the_rule_for_curves(
    compare: Compare, name: str, written: Callable[[list[tuple[float, float]]], str], key: str
) -> None:
    found, _notes = compare(name, written(FINER), written(POINTS))
    (note,) = [each.note for each in found if "curve" in each.note]
    rule = note[note.index('"') :]
    assert rule == f'"{key}" = {{ curve = "fpr" }}'
    rules = config.parse_rules(tomllib.loads(rule))
    found, _notes = compare(name, written(FINER), written(POINTS), rules=rules)
    assert all(each.verdict.passes for each in found)
    found, _notes = compare(name, written(BENT), written(POINTS), rules=rules)
    assert not all(each.verdict.passes for each in found)


@pytest.mark.parametrize(
    ("name", "actual", "expected"),
    [
        ("a.csv", "recall,f1\n0.5,0.4\n0.9,0.3\n0.7,0.2\n", "recall,f1\n0.5,0.4\n0.9,0.3\n"),
        ("a.json", '{"fpr": [0.1, 0.2], "auc": [0.5]}', '{"fpr": [0.1], "auc": [0.5]}'),
        ("a.json", '{"loss": [0.1, 0.2], "x_": [1, 2]}', '{"loss": [0.1], "x_": [1]}'),
    ],
)
def test_what_is_no_curve_is_not_said_to_be_one(
    compare: Compare, name: str, actual: str, expected: str
) -> None:
    found, _notes = compare(name, actual, expected)
    assert not any("curve" in each.note for each in found)
