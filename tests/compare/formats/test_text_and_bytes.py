"""What is neither an array nor a table: text by lines, all else by bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.sources import CHUNK_BYTES, UnreadableError
from pytest_mlcontainer.compare.text.patterns import Masks
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_text_shows_the_first_line_that_differs(only: Only) -> None:
    found = only("a.log", "one\ntwo 1.0\nthree\n", "one\ntwo 1.1\nthree\n")
    assert (found.verdict, found.worst_index, found.differing) == (Verdict.DRIFT, (1,), 1)
    assert (found.worst_actual, found.worst_expected) == ("two 1.0", "two 1.1")


def test_a_number_in_text_has_no_tolerance(only: Only) -> None:
    found = only("a.log", "loss 0.50000000000000001\n", "loss 0.5\n")
    assert found.verdict is Verdict.DRIFT


def test_lines_put_in_are_counted_without_those_that_follow(only: Only) -> None:
    expected = "".join(f"{number}\n" for number in range(100))
    found = only("a.log", expected.replace("50\n", "50\nnew\nmore\n"), expected)
    assert (found.differing, found.worst_index) == (2, (51,))
    assert "102 lines, expected 100" in found.note


def test_the_same_lines_in_another_order_are_said_to_be(only: Only) -> None:
    lines = [f"worker {number} is done\n" for number in range(9)]
    said = "the same lines stand in another order"
    assert said in only("a.log", "".join(lines[::-1]), "".join(lines)).note
    assert said not in only("a.log", "".join([*lines[:0:-1], "worker 7\n"]), "".join(lines)).note


def test_of_a_long_line_what_is_more_than_an_id_is_shown(only: Only) -> None:
    page = '<div id="{}"></div>' + "x" * 60 + '<script>plot("{}", [{}, 4.25])</script>' + "x" * 99
    ids = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "9c2504e0-4f89-41d3-9a0c-0305e82c33ff"
    found = only("r.txt", *(page.format(id, id, n) for id, n in zip(ids, (3.5, 3.75), strict=True)))
    assert "[3.5, 4.25]" in found.worst_actual
    assert "[3.75, 4.25]" in found.worst_expected


def test_where_only_blanks_differ_that_is_said(only: Only) -> None:
    found = only("r.md", "| a   | 0.91 |\n", "| a | 0.91 |\n")
    assert (found.verdict, "only blanks differ" in found.note) == (Verdict.DRIFT, True)
    assert "only blanks" not in only("r.md", "| a   | 0.92 |\n", "| a | 0.91 |\n").note


def test_lines_missing_at_the_end_say_so(only: Only) -> None:
    found = only("a.log", "one\n", "one\ntwo\n")
    assert (found.worst_actual, found.worst_expected) == ("(no such line)", "two")


@pytest.mark.parametrize(("actual", "expected"), [("a\r\nb\r\n", "a\nb\n"), ("a\nb", "a\nb\n")])
def test_other_line_ends_are_drift_and_named(only: Only, actual: str, expected: str) -> None:
    found = only("a.log", actual, expected)
    assert found.verdict is Verdict.DRIFT
    assert "only line ends differ" in found.note
    assert found.worst_actual != found.worst_expected


def test_of_a_long_line_the_part_that_differs_is_shown(only: Only) -> None:
    line = "x" * 5000
    found = only("a.log", line + "LEFT" + line, line + "RIGHT" + line)
    assert "LEFT" in found.worst_actual
    assert "RIGHT" in found.worst_expected
    assert len(found.worst_actual) < 200


def test_bytes_show_size_offset_and_count(only: Only) -> None:
    found = only("a.bin", b"\x00\x01\x02\xff\xfe", b"\x00\x01\x03\xff")
    assert (found.verdict, found.unit, found.differing) == (Verdict.DRIFT, "bytes", 2)
    assert (found.worst_index, found.worst_actual, found.worst_expected) == ((2,), "0x02", "0x03")
    assert "5 bytes, expected 4" in found.note


def test_bytes_that_only_end_earlier_say_so(only: Only) -> None:
    found = only("a.bin", b"\x00\xff", b"\x00\xff\x01")
    assert (found.worst_index, found.worst_actual) == ((2,), "(end of file)")
    assert found.worst_expected == "(more bytes)"


def test_bytes_are_counted_across_chunks(only: Only) -> None:
    expected = bytes(2 * CHUNK_BYTES + 100)
    actual = bytearray(expected)
    actual[CHUNK_BYTES + 40] = actual[2 * CHUNK_BYTES + 90] = 7
    found = only("a.bin", bytes(actual), expected)
    assert (found.differing, found.worst_index) == (2, (CHUNK_BYTES + 40,))


def test_text_that_became_bytes_is_compared_as_bytes(only: Only) -> None:
    found = only("a.log", b"caf\xe9\0\n", "café\n")
    assert (found.verdict, found.unit) == (Verdict.DRIFT, "bytes")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.json", "a.csv", "a.txt", "a.bin"])
@pytest.mark.parametrize("data", [b"", b"{", b"\xff\x00", b"a,b\n1\n"])
def test_files_of_the_same_bytes_are_identical_whatever_they_hold(
    only: Only, name: str, data: bytes
) -> None:
    found = only(name, data, data)
    assert (found.verdict, found.unit) == (Verdict.IDENTICAL, "bytes")


def test_an_encoding_that_changed_is_drift_and_named(only: Only) -> None:
    found = only("a.log", "café au lait\n".encode("latin-1"), "café au lait\n")
    assert (found.verdict, found.unit) == (Verdict.DRIFT, "lines")
    assert found.note == "written in latin-1, expected utf-8; the lines are the same"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "latin-1"])
def test_text_in_other_encodings_is_text(only: Only, encoding: str) -> None:
    sides = [f"eins\nzwölf\n{word}\n".encode(encoding) for word in ("drei", "vier")]
    found = only("a.log", *sides)
    assert (found.unit, found.worst_index, found.worst_actual) == ("lines", (2,), "drei")


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\x80\x81 text", bytes(range(160, 256)), b"a\0b"]
)
def test_bytes_that_decode_as_anything_are_no_text(only: Only, data: bytes) -> None:
    assert only("a.bin", data, data + b"\1").unit == "bytes"


def test_what_patterns_match_does_not_count(only: Only) -> None:
    expected = "2026-01-01 10:00:00 loss 0.5\n2026-01-01 10:00:01 done in run 3fa9\n"
    actual = "2026-02-02 11:30:00 loss 0.5\n2026-02-02 11:30:09 done in run 77c1\n"
    times = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    found = only("a.log", actual, expected, Tolerance(patterns=(times, r"run [0-9a-f]+")))
    assert (found.verdict, found.differing) == (Verdict.EQUIVALENT, 0)
    assert found.note == "2 lines differ only in what the rule's patterns match"
    found = only("a.log", actual, expected, Tolerance(patterns=(times,)))
    assert (found.verdict, found.differing, found.worst_index) == (Verdict.DRIFT, 1, (1,))
    assert found.worst_actual == "… done in run 77c1"
    found = only("a.log", actual.replace("0.5", "0.6"), expected, Tolerance(patterns=(times,)))
    assert found.worst_index == (0,)


def test_a_match_against_none_counts(only: Only) -> None:
    rule = Tolerance(patterns=(r"\d+", r"x*"))
    assert only("a.log", "took 12 s\n", "took 9 s\n", rule).verdict is Verdict.EQUIVALENT
    assert only("a.log", "took  s\n", "took 9 s\n", rule).verdict is Verdict.DRIFT


def test_patterns_hold_in_strings_of_trees(compare: Compare) -> None:
    rule = Tolerance(patterns=(r"/tmp/\w+",))
    expected = {"path": "/tmp/a/model", "paths": ["/tmp/a/x", "/tmp/b/y"], "n": 1}
    actual: dict[str, Any] = {"path": "/tmp/z/model", "paths": ["/tmp/z/x", "/tmp/z/y"], "n": 1}
    differences, _notes = compare("m.json", actual, expected, rule)
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT, Verdict.IDENTICAL}
    actual["paths"][1] += "!"
    differences, _notes = compare("m.json", actual, expected, rule)
    assert [each.item for each in differences if not each.verdict.passes] == ["paths"]


def test_a_pattern_that_takes_for_ever_ends_and_is_named() -> None:
    with pytest.raises(UnreadableError, match=r"took more than 0\.3 s") as caught:
        Masks(limit_s=0.3).mask("a" * 60 + "c", (r"(a+)+b",))
    assert "(a+)+b" in str(caught.value)


@pytest.mark.parametrize(
    ("tolerance", "line", "reason"),
    [
        (Tolerance(patterns=("(",)), "a", "the pattern '(' of a rule is broken"),
        (Tolerance(patterns=("a",)), "b" * (1 << 21), "characters is too long"),
    ],
)
def test_patterns_that_cannot_be_applied_fail(
    only: Only, tolerance: Tolerance, line: str, reason: str
) -> None:
    found = only("a.log", line + "1\n", line + "2\n", tolerance)
    assert (found.verdict, reason in found.note) == (Verdict.FAILED, True)


def test_numbers_in_lines_follow_a_bound_and_the_rest_is_exact(only: Only) -> None:
    rule = Tolerance(rtol=1e-3)
    expected = "epoch 3: loss=0.5000, lr 1e-3, took 12.0s\n"
    found = only("a.log", expected.replace("0.5000", "0.5004"), expected, rule)
    assert (found.verdict, found.differing, found.beyond) == (Verdict.EQUIVALENT, 1, 0)
    assert found.max_abs == pytest.approx(0.0004)
    for old, new in (
        ("0.5000", "0.51"),
        ("epoch 3", "epoch 4"),
        ("loss", "l0ss"),
        ("12.0s", "12.0m"),
    ):
        assert only("a.log", expected.replace(old, new), expected, rule).verdict is Verdict.DRIFT
    assert only("a.log", "a -1.0\n", "a 1.0\n", Tolerance(atol=2.5)).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("2026-01-02", "2026-01-03"),
        ("10:00:01", "10:00:02"),
        ("version 1.2.3", "version 1.2.4"),
        ("run 007", "run 008"),
        ("id 3fa91", "id 3fa92"),
        ("nan", "1.0"),
    ],
)
def test_dates_versions_and_names_are_no_numbers(only: Only, actual: str, expected: str) -> None:
    found = only("a.log", f"{actual}\n", f"{expected}\n", Tolerance(rtol=10.0))
    assert found.verdict is Verdict.DRIFT


@PROPERTY
@given(st.lists(st.one_of(st.integers(-9999, 9999), st.floats(-1e6, 1e6)), min_size=1, max_size=5))
def test_numbers_in_a_line_are_judged_as_in_json(only: Only, numbers: list[float]) -> None:
    moved = [number * 1.001 for number in numbers]
    line, other = (" ".join(map(repr, side)) + "\n" for side in (numbers, moved))
    for rtol in (1e-2, 1e-4):
        as_text = only("a.log", other, line, Tolerance(rtol=rtol)).verdict.passes
        pairs = zip(moved, numbers, strict=True)
        assert as_text == all(abs(left - right) <= rtol * abs(right) for left, right in pairs)


def test_lines_put_in_at_several_places_are_counted(only: Only) -> None:
    lines = [f"{number}\n" for number in range(500)]
    other = [*lines[:100], "new\n", *lines[100:300], "more\n", *lines[300:]]
    found = only("a.log", "".join(other), "".join(lines))
    assert (found.differing, found.worst_index) == (2, (100,))


def test_of_many_lines_the_first_few_are_kept(only: Only) -> None:
    left, right = ("".join(f"{number} {word}\n" for number in range(20_000)) for word in "ab")
    found = only("a.log", left, right)
    assert (found.differing, found.size, len(found.elements)) == (20_000, 20_000, 20)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("w = -0.000, b", "w = 0.000, b"),
        ("[-0.   1.5]", "[ 0.   1.5]"),
        ("loss: -nan acc", "loss: nan acc"),
        ("x    -nan  0.5", "x     nan  0.5"),
        ("0e-05", "-0e-05"),
    ],
)
def test_the_sign_of_zero_and_of_nan_means_nothing_in_text(
    only: Only, actual: str, expected: str
) -> None:
    assert only("a.log", f"{actual}\n", f"{expected}\n").verdict is Verdict.EQUIVALENT
    exact = only("a.log", f"{actual}\n", f"{expected}\n", Tolerance(exact=True))
    assert exact.verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("loss: nan", "loss: 0.5"),
        ("loss: -inf", "loss: inf"),
        ("nano", "-nano"),
        ("v0.0", "v0.00"),
        ("-0.0", "0.00"),
    ],
)
def test_no_other_sign_or_spelling_is_lost_in_text(only: Only, actual: str, expected: str) -> None:
    found = only("a.log", f"{actual}\n", f"{expected}\n")
    assert (found.verdict, found.max_abs) == (Verdict.DRIFT, None)
