"""What a reader cannot take is compared as text, numbers by tolerance, and that is said."""

from __future__ import annotations

import gzip

import pytest

from pytest_mlcontainer.model import ReadAs, Tolerance, Verdict
from tests.fixture_types import Only

SUMMARY = """\
                 Regression Results
Dep. Variable:   ,y               ,  R-squared:         ,   {}
No. Observations:,   {}          ,  AIC:               ,  -64.33
     ,   coef   , std err ,    t
const,   -0.0102,    0.011,   -0.910
Skew:         ,-0.969 ,  Prob(JB):          ,{}

Notes:
[1] Standard errors assume a covariance matrix.
"""
EXPECTED = SUMMARY.format("0.988", 400, "7.86e-255")
COMMENTED = "made by a tool, version 3\none, two, three\nx,y\n1,0.{}\n2,0.25\n"
UNREAD = [
    ("a.csv", SUMMARY.format("0.{}", 400, "7.86e-255"), "is ragged: line 2 has 4 cells"),
    ("a.csv", COMMENTED, "is ragged: line 2 has 3 cells"),
    ("a.csv", 'a,b\n1,"0.{}\n', "is broken CSV at line 2"),
    ("a.csv", "accuracy: 0.{}\nloss: 0.25\n", "is text, `key: value` in every line"),
    ("a.tsv", "a\tb\n1\t2\n\nc\td\te\n1\t2\t0.{}\n", "is ragged"),
    ("a.json", "{{'x': 0.{}}}", "is broken JSON"),
    ("a.json", '{{"x": 0.{}}} trailing', "is broken JSON"),
    ("a.jsonl", '{{"x": 0.{}}}\n{{"x": \n', "is broken JSON Lines"),
    ("a.yaml", "x: [0.{}\n", "is broken YAML"),
    ("a.toml", "x = 0.{}\nx = 1\n", "is broken TOML"),
]


@pytest.mark.parametrize(("name", "text", "reason"), UNREAD)
def test_numbers_in_what_a_reader_cannot_take_have_the_default_tolerance(
    only: Only, name: str, text: str, reason: str
) -> None:
    found = only(name, text.format("1234567890123"), text.format("1234567890125"))
    assert (found.verdict, found.unit) == (Verdict.EQUIVALENT, "lines")
    assert found.note.startswith(f"both runs: {name} {reason}")
    assert "compared as text, numbers by tolerance" in found.note
    found = only(name, text.format("1235"), text.format("1234"))
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)
    assert only(name, text.format("1235"), text.format("1234"), Tolerance(rtol=0.01)).verdict.passes
    found = only(name, text.format("10"), text.format("1"), Tolerance(exact=True))
    assert found.verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("actual", "verdict"),
    [
        (SUMMARY.format("0.988", 401, "7.86e-255"), Verdict.DRIFT),
        (SUMMARY.format("0.988", 400, "7.86e-254"), Verdict.DRIFT),
        (EXPECTED.replace("std err", "std.err"), Verdict.DRIFT),
        (EXPECTED.replace("[1]", "[2]"), Verdict.DRIFT),
        (EXPECTED.replace("7.86e-255", "7.8600000000001e-255"), Verdict.EQUIVALENT),
        (EXPECTED.replace(" 0.988", "0.98800000000001"), Verdict.EQUIVALENT),
    ],
)
def test_whole_numbers_and_words_in_it_stay_exact(
    only: Only, actual: str, verdict: Verdict
) -> None:
    assert only("a.csv", actual, EXPECTED).verdict is verdict


def test_a_side_that_cannot_be_read_is_named_and_no_reason_to_pass_in_silence(only: Only) -> None:
    found = only("a.json", '{"x": 0.5', '{"x": 0.5}')
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith("actual run: a.json is broken JSON")
    found = only("a.json", '{"x": 0.5}', '{"x": .5}')
    assert found.verdict is Verdict.EQUIVALENT
    assert found.note.startswith("reference: a.json is broken JSON")


def test_no_number_of_any_length_passes_for_being_too_large(only: Only) -> None:
    digits = "7" * 400
    assert not only("a.csv", f"a\n1,2\n{digits}8\n", f"a\n1,2\n{digits}9\n").verdict.passes
    found = only("a.csv", "a\n1,2\n9007199254740993\n", "a\n1,2\n9007199254740992\n")
    assert found.verdict is Verdict.DRIFT


def test_bytes_that_are_no_text_either_fail(only: Only) -> None:
    found = only("a.json", b"\x00\x01\x02", '{"x": 0.5}')
    assert found.verdict is Verdict.FAILED
    assert "is not utf-8 text" in found.note or "is broken JSON" in found.note


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "a,b\n1,0.{}\n"),
        ("a.json", '{{"x": 0.{}}}'),
        ("a.log", "loss 0.{}"),
    ],
)
def test_a_rule_can_ask_for_text(only: Only, name: str, text: str) -> None:
    rule = Tolerance(read_as=ReadAs.TEXT)
    found = only(name, text.format("1234567890123"), text.format("1234567890125"), rule)
    assert (found.verdict, found.unit) == (Verdict.EQUIVALENT, "lines")
    assert "read as text, as the rule asks" in found.note
    assert only(name, text.format("13"), text.format("12"), rule).verdict is Verdict.DRIFT
    wider = Tolerance(read_as=ReadAs.TEXT, rtol=0.5)
    assert only(name, text.format("13"), text.format("12"), wider).verdict is Verdict.EQUIVALENT


def test_text_inside_archives_is_treated_alike(only: Only) -> None:
    sides = [
        gzip.compress(COMMENTED.format(digits).encode())
        for digits in (1234567890123, 1234567890124)
    ]
    found = only("a.csv.gz", *sides)
    assert found.verdict is Verdict.EQUIVALENT
    assert "is ragged" in found.note
    plain = [
        gzip.compress(f"x\n0.{digits}\n".encode()) for digits in (1234567890123, 1234567890124)
    ]
    found = only("a.csv.gz", *plain, Tolerance(read_as=ReadAs.TEXT))
    assert (found.verdict, found.unit) == (Verdict.EQUIVALENT, "lines")
