"""Whole numbers in text are exact wherever they stand: beside gaps, NaN, decimals and in lists."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only

ID, OTHER_ID = 223456790, 223456791
LARGE, OTHER_LARGE = 9007199254740995, 9007199254740996


def drifting(differences: Iterable[Difference]) -> set[str]:
    return {each.item for each in differences if not each.verdict.passes}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "day,user\n1,{}\n2,\n3,323456791\n"),
        ("a.csv", "day,user\n1,{}\n2,nan\n3,323456791\n"),
        ("a.csv", "day,user\n1,{}\n2,0.5\n3,323456791\n"),
        ("a.csv", "day,user\n1, {} \n2, \n3,0.25\n"),
        ("a.csv", "day;user\n1;{}\n2;0,5\n"),
        ("a.json", '{{"user": [{}, NaN]}}'),
        ("a.json", '{{"user": [{}, null]}}'),
        ("a.json", '{{"user": [[{}, 0.25], [7, 0.5]]}}'),
        ("a.json", '{{"user": [1e300, 0.5, {}, 0.25]}}'),
        ("a.jsonl", '{{"user": {}}}\n{{"user": null}}\n{{"user": 0.5}}\n'),
        ("a.jsonl", '{{"user": {}}}\n{{"user": NaN}}\n'),
        ("a.jsonl", '{{"user": [{}, 0.5]}}\n{{"user": [1.5, 7]}}\n'),
        ("a.yaml", "user: [{}, .nan]\n"),
        ("a.yaml", "user:\n- [{}, 0.5]\n- [8, 0.5]\n"),
        ("a.toml", "user = [{}, 0.5]\n"),
    ],
)
@pytest.mark.parametrize("pair", [(OTHER_ID, ID), (OTHER_LARGE, LARGE)])
def test_an_id_off_by_one_drifts_whatever_stands_beside_it(
    compare: Compare, name: str, text: str, pair: tuple[int, int]
) -> None:
    differences, _notes = compare(name, text.format(pair[0]), text.format(pair[1]))
    (found,) = [each for each in differences if not each.verdict.passes]
    assert found.item.startswith("user")
    assert (found.differing, found.beyond) == (1, 1)
    assert [found.worst_actual, found.worst_expected] == [str(number) for number in pair]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "day,user\n1,{}\n2,12\n"),
        ("a.json", '{{"user": {}}}'),
        ("a.json", '{{"user": [{}, 12]}}'),
        ("a.jsonl", '{{"user": {}}}\n{{"user": 12}}\n'),
        ("a.yaml", "user: {}\n"),
    ],
)
def test_an_id_that_was_kept_as_a_double_is_another_id(
    compare: Compare, name: str, text: str
) -> None:
    """pandas makes doubles of ids beside a gap, and no double is 1234567890123456789."""
    whole, double = "1234567890123456789", "1.2345678901234568e+18"
    differences, _notes = compare(name, text.format(double), text.format(whole))
    (found,) = [each for each in differences if not each.verdict.passes]
    assert (found.item, found.differing) == ("user", 1)
    assert "expected whole numbers" in found.note
    assert whole in found.worst_expected
    bound = Tolerance(rtol=1e-12)
    assert not drifting(compare(name, text.format(double), text.format(whole), bound)[0])
    same = text.format("1234567890123456768")
    assert not drifting(compare(name, text.format(double), same)[0])


@pytest.mark.parametrize("count", [2, 40])
def test_decimals_beside_whole_numbers_keep_their_tolerance_and_their_own_scale(
    only: Only, count: int
) -> None:
    def listed(score: float) -> list[list[float]]:
        return [[10**12 + number, score] for number in range(count)]

    assert only("a.json", listed(0.1 + 1e-12), listed(0.1)).verdict is Verdict.EQUIVALENT
    found = only("a.json", listed(0.1001), listed(0.1))
    assert (found.verdict, found.beyond, found.size) == (Verdict.DRIFT, count, 2 * count)
    assert found.worst_index is not None
    assert found.worst_index[-1] == 1


@pytest.mark.parametrize("count", [1, 40])
def test_both_parts_that_drift_are_counted_in_one_difference(only: Only, count: int) -> None:
    rows = [[7, 0.5]] * count
    found = only("a.json", [[8, 0.75], *rows], [[7, 0.5], *rows])
    assert (found.differing, found.beyond, found.size) == (2, 2, 2 + 2 * count)
    assert {each.index for each in found.elements} == {(0, 0), (0, 1)}


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_rule_with_a_bound_holds_for_whole_numbers_too(compare: Compare, name: str) -> None:
    def text(number: int) -> str:
        return json.dumps({"x": [number, 0.5]}) if name == "a.json" else f"x\n{number}\n0.5\n"

    for tolerance in (Tolerance(rtol=1e-3), Tolerance(margin=2.0), Tolerance(atol=1.0)):
        assert drifting(compare(name, text(10001), text(10000), tolerance)[0]) == set()
    assert drifting(compare(name, text(10003), text(10000), Tolerance(margin=2.0))[0]) == {"x"}
    assert drifting(compare(name, text(10001), text(10000), Tolerance(ulp=4))[0]) == {"x"}


def test_what_one_side_wrote_as_a_decimal_is_compared_as_one(compare: Compare) -> None:
    assert drifting(compare("a.json", {"x": [1, 2.5]}, {"x": [1.00000000001, 2.5]})[0]) == set()
    assert drifting(compare("a.csv", "x\n1\n2.5\n", "x\n1.00000000001\n2.5\n")[0]) == set()


def test_ids_that_a_gap_made_floats_are_exact(compare: Compare) -> None:
    def text(number: int) -> str:
        return f'user\n{number}.0\n""\n323456791.0\n'

    assert drifting(compare("a.csv", text(OTHER_ID), text(ID))[0]) == {"user"}
    # Also beside a decimal: two float64 that differ are not both whole by accident.
    sides = (f'x\n{each}.0\n""\n0.5\n' for each in (ID, OTHER_ID))
    assert drifting(compare("a.csv", *sides)[0]) == {"x"}


def test_rows_that_meet_by_key_keep_their_whole_numbers(compare: Compare) -> None:
    actual = f"key,user\nb,0.5\na,{OTHER_ID}\nc,\n"
    expected = f"key,user\na,{ID}\nb,0.5\nc,\n"
    found = compare("a.csv", actual, expected, Tolerance(key=("key",)))[0]
    assert drifting(found) == {"user"}


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(18446744073709551614, 18446744073709551615), (-9007199254740992, -9007199254740993)],
)
def test_whole_numbers_of_64_bits_are_exact_and_shown_as_written(
    only: Only, actual: int, expected: int
) -> None:
    found = only("a.json", [actual, 0.5, -7.25] * 6, [expected, 0.5, -7.25] * 6)
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 6)
    assert (found.worst_actual, found.worst_expected) == (str(actual), str(expected))


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_nullable_columns_of_integers_are_exact(
    compare: Compare, tmp_path: Path, kind: str
) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    feather = pytest.importorskip("pyarrow.feather")

    def data(number: int) -> bytes:
        table = pa.table({"user": pa.array([number, None, 5], pa.int64())})
        path = tmp_path / str(number)
        write = parquet.write_table if kind == "parquet" else feather.write_feather
        write(table, str(path))
        return path.read_bytes()

    assert drifting(compare(f"a.{kind}", data(OTHER_LARGE), data(LARGE))[0]) == {"user"}
