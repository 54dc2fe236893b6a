"""Text in tables and arrays that differs in times and ids alone: said, with a rule that works."""

from __future__ import annotations

import io
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytest_mlcontainer.judging.apart import set_apart
from pytest_mlcontainer.model import NAMED_PATTERNS, Difference, Rule, Tolerance, Verdict
from tests.fixture_types import Compare

Rows = list[tuple[str, str]]
ONLY_TIMES = "only dates and times differ, which a rule leaves out"
OTHERWISE = (
    "the dates hold the same numbers, written in another form: another locale, or other data"
)


def as_csv(rows: Rows, _folder: Path) -> bytes:
    return "".join(f"{at},{run}\n" for at, run in [("at", "run"), *rows]).encode()


def as_jsonl(rows: Rows, _folder: Path) -> bytes:
    return "".join(f'{{"at": "{at}", "run": "{run}"}}\n' for at, run in rows).encode()


def as_npz(rows: Rows, _folder: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, at=np.array([row[0] for row in rows]), run=np.array([row[1] for row in rows]))
    return stream.getvalue()


def as_h5(rows: Rows, folder: Path) -> bytes:
    h5py = pytest.importorskip("h5py")
    path = folder / f"{uuid.uuid4()}.h5"
    with h5py.File(path, "w") as file:
        file["at"] = np.array([row[0] for row in rows], object)
        file["run"] = np.array([row[1] for row in rows], object)
    return path.read_bytes()


def as_parquet(rows: Rows, _folder: Path) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    columns = {"at": [row[0] for row in rows], "run": [row[1] for row in rows]}
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def as_db(rows: Rows, folder: Path) -> bytes:
    path = folder / f"{uuid.uuid4()}.db"
    with sqlite3.connect(path) as file:
        file.execute("create table t (at text, run text)")
        file.executemany("insert into t values (?, ?)", rows)
    file.close()
    return path.read_bytes()


FORMATS: dict[str, Callable[[Rows, Path], bytes]] = {
    "a.csv": as_csv,
    "a.jsonl": as_jsonl,
    "a.npz": as_npz,
    "a.h5": as_h5,
    "a.parquet": as_parquet,
    "a.db": as_db,
}


def rows_of(day: int, count: int = 3) -> Rows:
    return [
        (f"2026-11-{day} 10:{place % 60:02}:{day}", str(uuid.uuid4())) for place in range(count)
    ]


def of_item(found: tuple[Difference, ...], name: str) -> Difference:
    (one,) = [each for each in found if each.item.endswith(name)]
    return one


@pytest.mark.parametrize("name", FORMATS)
def test_what_differs_is_said_and_the_rule_leaves_it_out(
    compare: Compare, tmp_path: Path, name: str
) -> None:
    sides = [FORMATS[name](rows_of(day), tmp_path) for day in (28, 29)]
    found, _notes = compare(name, *sides)
    at, run = of_item(found, "at"), of_item(found, "run")
    assert (at.verdict, run.verdict) == (Verdict.DRIFT, Verdict.DRIFT)
    assert (at.excuses, run.excuses) == (("time",), ("uuid",))
    assert f'{ONLY_TIMES}: "{at.where}" = {{ ignore = ["time"] }}' in at.note
    rules = [
        Rule(name, each.item, Tolerance(patterns=(NAMED_PATTERNS[each.excuses[0]],)))
        for each in (at, run)
    ]
    found, _notes = compare(name, *sides, rules=rules)
    assert all(each.verdict.passes for each in found)


@pytest.mark.parametrize(
    ("actual", "expected", "kind"),
    [
        ("0 days 00:00:00.600000", "0 days 00:00:00.5", "time"),
        ("epoch 0 done in 1.51s", "epoch 0 done in 1.20s", "duration"),
    ],
)
def test_other_kinds_are_told_as_well(
    compare: Compare, tmp_path: Path, actual: str, expected: str, kind: str
) -> None:
    sides = [as_csv([(text, "x"), ("saved", "x")], tmp_path) for text in (actual, expected)]
    assert of_item(compare("a.csv", *sides)[0], "at").excuses == (kind,)


@pytest.mark.parametrize("name", FORMATS)
def test_one_word_that_differs_is_no_excuse(compare: Compare, tmp_path: Path, name: str) -> None:
    actual, expected = rows_of(28), rows_of(29)
    actual[1] = ("never", actual[1][1])
    sides = [FORMATS[name](rows, tmp_path) for rows in (actual, expected)]
    at = of_item(compare(name, *sides)[0], "at")
    assert (at.verdict, at.excuses) == (Verdict.DRIFT, ())
    assert "only" not in at.note


def test_between_repeats_a_column_of_times_is_set_apart(compare: Compare, tmp_path: Path) -> None:
    found, _notes = compare("a.csv", *(as_csv(rows_of(day), tmp_path) for day in (28, 29)))
    assert {part.where for part in set_apart(found, ()).parts} == {"a.csv:at", "a.csv:run"}


@pytest.mark.parametrize(("days", "excuses"), [((27, 28, 28), ("time",)), ((25, 26, 27), ())])
def test_dates_of_several_days_are_data_and_no_stamps(
    compare: Compare, tmp_path: Path, days: tuple[int, ...], excuses: tuple[str, ...]
) -> None:
    """A rule for stamps would hide that a time zone moved all of them."""
    sides = [
        as_csv([(f"2026-11-{day + later} 10:00:0{later}", "x") for day in days], tmp_path)
        for later in (1, 0)
    ]
    found, _notes = compare("a.csv", *sides)
    at = of_item(found, "at")
    assert (at.verdict, at.excuses) == (Verdict.DRIFT, excuses)
    assert ("ignore" in at.note) == bool(excuses)
    assert bool(set_apart(found, ()).parts) == bool(excuses)


def test_a_column_of_thousands_is_looked_at_to_its_end(compare: Compare, tmp_path: Path) -> None:
    sides = [rows_of(day, 3000) for day in (28, 29)]
    found, _notes = compare("a.csv", *(as_csv(rows, tmp_path) for rows in sides))
    assert of_item(found, "at").excuses == ("time",)
    sides[0][2999] = ("2026-11-28 10:59:00 failed", sides[0][2999][1])
    found, _notes = compare("a.csv", *(as_csv(rows, tmp_path) for rows in sides))
    assert of_item(found, "at").excuses == ()


def test_what_is_too_long_to_be_looked_at_has_no_excuse(compare: Compare, tmp_path: Path) -> None:
    sides = [rows_of(day, 40_000) for day in (28, 29)]
    found, _notes = compare("a.csv", *(as_csv(rows, tmp_path) for rows in sides))
    at = of_item(found, "at")
    assert at.excuses == ()
    assert "as far as was looked" in at.note


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (["2026-11-28", ""], ["2026-11-29", "2026-11-29"]),  # a cell that is missing
        (["2026-11-28", "0.5"], ["2026-11-29", "0.7"]),  # a number beside it
        (["2026-11-28", "2026-11-28"], ["2026-11-29"]),
    ],
)
def test_nor_where_anything_else_drifts(
    compare: Compare, actual: list[str], expected: list[str]
) -> None:
    sides = [
        "".join(f"{cell},x\n" for cell in ["at", *side]).encode() for side in (actual, expected)
    ]
    found, _notes = compare("a.csv", *sides)
    failing = [each for each in found if not each.verdict.passes]
    assert failing
    assert all(each.excuses == () for each in failing)


def test_a_rule_that_is_there_already_is_named(compare: Compare, tmp_path: Path) -> None:
    rule = Rule("a.csv", "at", Tolerance(patterns=(NAMED_PATTERNS["uuid"],)))
    found, _notes = compare(
        "a.csv", *(as_csv(rows_of(day), tmp_path) for day in (28, 29)), rules=[rule]
    )
    note = of_item(found, "at").note
    assert "could leave them out with ignore" in note


@pytest.mark.parametrize(
    ("actual", "expected", "said"),
    [
        (["2024-01-03"] * 3, ["2024-01-02"] * 3, "moved by whole days: other data"),
        (
            [f"2026-11-30T{hour + 2:02d}:30:00" for hour in range(9)],
            [f"2026-11-30T{hour:02d}:30:00" for hour in range(9)],
            "moved by whole hours: another time zone, or other data",
        ),
        (
            [f"2026-01-0{day}T02:00:00+02:00" for day in (1, 2, 3)],
            [f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3)],
            "the moments are the same, written for another time zone",
        ),
        (["02/01/2026", "04/03/2026"], ["01/02/2026", "03/04/2026"], OTHERWISE),
        (["2026-01-02"], ["02.01.2026"], OTHERWISE),
        (["2026-01-02 10:00:01"], ["01/02/2026 10:00:01"], OTHERWISE),
        (["2026-11-30 10:03:01"] * 3, ["2026-11-30 10:00:58"] * 3, ONLY_TIMES),
    ],
)
def test_days_and_hours_are_data_and_what_a_clock_gives_is_not_as_round(
    compare: Compare, actual: list[str], expected: list[str], said: str
) -> None:
    """A rule that leaves dates out of a column would hide that they changed."""
    sides = (as_jsonl([(text, "x") for text in side], Path()) for side in (actual, expected))
    (found,) = (each for each in compare("a.jsonl", *sides)[0] if each.item == "at")
    assert said in found.note
    assert bool(found.excuses) == (said == ONLY_TIMES)


@pytest.mark.parametrize(("name", "is_data"), [("split_date", True), ("date", False)])
def test_a_single_day_is_that_of_the_run_by_its_name_alone(
    compare: Compare, name: str, is_data: bool
) -> None:
    (found,) = compare("m.json", {name: "2026-11-30"}, {name: "2026-11-29"})[0]
    assert ("other data" in found.note) == is_data


WEIGHTS = "9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize(
    ("name", "text", "is_digest"),
    [
        ("t.log", "saved the model, sha256: {}\n", True),
        ("t.log", "MD5 of weights.bin = {}\n", True),
        ("SHA256SUMS", "{}  weights.bin\n", True),
        ("t.jsonl", '{{"of": "weights (sha-256 {})"}}\n', True),
        ("t.jsonl", '{{"text": "' + "word " * 400 + '{}"}}\n', True),  # kept by its digest
        ("t.log", "built from commit {}\n", False),
        ("t.log", "git commit hash {}\n", False),
        ("t.log", "run {}, sha256 of the data ab12cd34ab12cd34\n", False),
    ],
)
def test_a_digest_of_contents_is_no_id_to_leave_out(
    compare: Compare, name: str, text: str, is_digest: bool
) -> None:
    """A rule for ids would hide that what it was made of is another."""
    (found,) = compare(name, text.format(WEIGHTS[::-1]), text.format(WEIGHTS))[0]
    assert found.verdict is Verdict.DRIFT
    assert ("a digest is another: what it was made of is not the same" in found.note) == is_digest
    assert bool(found.excuses) == (not is_digest)


@pytest.mark.parametrize(
    ("name", "actual", "expected", "said"),
    [
        ("t.log", "window 30 s", "window 30 ms", "the numbers are the same, in another unit"),
        ("t.jsonl", '{"w": "1.5 h"}', '{"w": "1.5 min"}', "the numbers are the same, in another"),
        ("t.log", "took 31 s", "took 30 ms", "only durations and rates differ"),
        (
            "t.jsonl",
            '{"cid": "886313e1-3b8a-5372-9b90-0c9aee199e5e"}',
            '{"cid": "886313e1-3b8a-5372-9b90-0c9aee199e5d"}',
            "a digest is another",
        ),
        (
            "t.jsonl",
            '{"cid": "886313e1-3b8a-4372-9b90-0c9aee199e5e"}',
            '{"cid": "886313e1-3b8a-4372-9b90-0c9aee199e5d"}',
            "only UUIDs differ",
        ),
    ],
)
def test_another_unit_and_a_uuid_of_contents_are_results(
    compare: Compare, name: str, actual: str, expected: str, said: str
) -> None:
    (found,) = compare(name, f"{actual}\n", f"{expected}\n")[0]
    assert said in found.note
    assert bool(found.excuses) == said.startswith("only")
