"""Numbers that are kept in strings: by a rule's bound, by the default where they are decimals."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

NEAR = Tolerance(rtol=1e-3)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("[-2.3802748E-1]", "[-2.3802754E-1]"),
        ("-2.3802748E-1", "-2.3802754E-1"),
        ("[5E-1,2.5E-1]", "[5.0001E-1, 2.5E-1]"),
        (["0.5", "1.25"], ["0.5001", "1.25"]),
        ("10001", "10000"),
        ("0.5", "0.50"),
    ],
)
@pytest.mark.parametrize("rule", [NEAR, Tolerance(atol=1.0), Tolerance(margin=1.0)])
def test_a_rule_with_a_bound_holds_for_them(
    only: Only, actual: str | list[str], expected: str | list[str], rule: Tolerance
) -> None:
    found = only(
        "m.json", {"base_score": actual}, {"base_score": expected}, rule, item="base_score"
    )
    assert (found.verdict, found.note) == (
        Verdict.EQUIVALENT,
        "numbers that are written as text",
    ) or (found.verdict is Verdict.IDENTICAL)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [("0.51", "0.5"), ("[5E-1,3E-1]", "[5E-1,2E-1]"), ("[5E-1]", "[5E-1,5E-1]"), ("0.5", "half")],
)
def test_what_is_beyond_the_bound_or_no_number_drifts(
    only: Only, actual: str, expected: str
) -> None:
    assert only("m.json", {"x": actual}, {"x": expected}, NEAR).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("actual", "expected", "verdict"),
    [
        ("0.12345678901234", "0.12345678901235", Verdict.EQUIVALENT),
        ("5E-1", "0.5", Verdict.IDENTICAL),
        ("[5.00000000001E-1]", "[5E-1]", Verdict.EQUIVALENT),
        ("5.0001E-1", "5E-1", Verdict.DRIFT),
        ("9007199254740993", "9007199254740992", Verdict.DRIFT),
        ("1000000001", "1000000000", Verdict.DRIFT),
        ("007", "7", Verdict.DRIFT),
        ("3.10", "3.1", Verdict.DRIFT),
        ("1.0", "1", Verdict.DRIFT),
        ("1e400", "1e401", Verdict.DRIFT),
        (["id-1", "0.12345678901234"], ["id-1", "0.12345678901235"], Verdict.EQUIVALENT),
        (["id-1", "0.12345678901234"], ["id-2", "0.12345678901235"], Verdict.DRIFT),
    ],
)
def test_without_a_rule_only_decimals_are_numbers(
    only: Only, actual: str | list[str], expected: str | list[str], verdict: Verdict
) -> None:
    assert only("m.json", {"x": actual}, {"x": expected}).verdict is verdict


def test_a_rule_that_asks_for_the_same_gets_the_same_text(only: Only) -> None:
    assert not only("m.json", {"x": "5E-1"}, {"x": "0.5"}, Tolerance(exact=True)).verdict.passes
    masked = Tolerance(patterns=("[0-9]+s",))
    assert not only("m.json", {"x": "0.50000001"}, {"x": "0.5"}, masked).verdict.passes


def test_yaml_that_takes_a_number_for_text_is_treated_alike(only: Only) -> None:
    assert only("m.yaml", "lr: 10e-6\n", "lr: 1e-5\n").verdict is Verdict.IDENTICAL
    assert only("m.yaml", "lr: 2e-5\n", "lr: 1e-5\n").verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "text",
    [
        "# made by,a tool\nx,y\n{},0.5\n2,0.25\n",
        "x,y\n{},0.5\nn/a,0.25\n",
        "x,y\n1,0.5\n\nname,score\n{},0.25\n",
    ],
)
def test_numbers_in_a_column_that_also_has_words_keep_their_tolerance(
    compare: Compare, text: str
) -> None:
    def drifting(actual: str, expected: str, tolerance: Tolerance | None = None) -> set[str]:
        found = compare("t.csv", text.format(actual), text.format(expected), tolerance)[0]
        return {each.item for each in found if not each.verdict.passes}

    assert drifting("0.12345678901234", "0.12345678901235") == set()
    assert len(drifting("0.1235", "0.1234")) == 1
    assert drifting("0.1235", "0.1234", NEAR) == set()
    assert len(drifting("1000000001", "1000000000")) == 1
    assert len(drifting("3.10", "3.1")) == 1
    assert len(drifting("one", "two", NEAR)) == 1
    assert len(drifting("0.12345678901234", "0.12345678901235", Tolerance(exact=True))) == 1


def test_words_and_numbers_of_a_column_that_drift_are_counted_together(compare: Compare) -> None:
    actual, expected = "x\n0.5\ncat\n0.125\n7\n", "x\n0.25\ndog\n0.125\n7\n"
    (found,) = [each for each in compare("t.csv", actual, expected)[0] if not each.verdict.passes]
    assert (found.differing, found.beyond, found.size) == (2, 2, 4)
    assert {each.index for each in found.elements} == {(0,), (1,)}
