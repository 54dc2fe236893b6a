"""What is neither an array nor a table: text by lines, all else by bytes."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.compare import binary
from pytest_mlcontainer.model import Verdict


def test_text_shows_the_first_line_that_differs(only):
    found = only("a.log", "one\ntwo 1.0\nthree\n", "one\ntwo 1.1\nthree\n")
    assert (found.verdict, found.worst_index, found.differing) == (Verdict.DRIFT, (1,), 1)
    assert (found.worst_actual, found.worst_expected) == ("two 1.0", "two 1.1")


def test_a_number_in_text_has_no_tolerance(only):
    found = only("a.log", "loss 0.50000000000000001\n", "loss 0.5\n")
    assert found.verdict is Verdict.DRIFT


def test_lines_put_in_are_counted_without_those_that_follow(only):
    expected = "".join(f"{number}\n" for number in range(100))
    found = only("a.log", expected.replace("50\n", "50\nnew\nmore\n"), expected)
    assert (found.differing, found.worst_index) == (2, (51,))
    assert "102 lines, expected 100" in found.note


def test_lines_missing_at_the_end_say_so(only):
    found = only("a.log", "one\n", "one\ntwo\n")
    assert (found.worst_actual, found.worst_expected) == ("(no such line)", "two")


@pytest.mark.parametrize(("actual", "expected"), [("a\r\nb\r\n", "a\nb\n"), ("a\nb", "a\nb\n")])
def test_other_line_ends_are_drift_and_named(only, actual, expected):
    found = only("a.log", actual, expected)
    assert found.verdict is Verdict.DRIFT
    assert "only line ends differ" in found.note
    assert found.worst_actual != found.worst_expected


def test_of_a_long_line_the_part_that_differs_is_shown(only):
    line = "x" * 5000
    found = only("a.log", line + "LEFT" + line, line + "RIGHT" + line)
    assert "LEFT" in found.worst_actual
    assert "RIGHT" in found.worst_expected
    assert len(found.worst_actual) < 200


def test_bytes_show_size_offset_and_count(only):
    found = only("a.bin", b"\x00\x01\x02\xff\xfe", b"\x00\x01\x03\xff")
    assert (found.verdict, found.unit, found.differing) == (Verdict.DRIFT, "bytes", 2)
    assert (found.worst_index, found.worst_actual, found.worst_expected) == ((2,), "0x02", "0x03")
    assert "5 bytes, expected 4" in found.note


def test_bytes_that_only_end_earlier_say_so(only):
    found = only("a.bin", b"\x00\xff", b"\x00\xff\x01")
    assert (found.worst_index, found.worst_actual) == ((2,), "(end of file)")
    assert found.worst_expected == "(more bytes)"


def test_bytes_are_counted_across_chunks(only, monkeypatch):
    monkeypatch.setattr(binary, "CHUNK_BYTES", 16)
    expected = bytes(100)
    actual = bytearray(expected)
    actual[40] = actual[90] = 7
    found = only("a.bin", bytes(actual), expected)
    assert (found.differing, found.worst_index) == (2, (40,))


def test_text_that_became_bytes_is_compared_as_bytes(only):
    found = only("a.log", b"caf\xe9\n", "café\n")
    assert (found.verdict, found.unit) == (Verdict.DRIFT, "bytes")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.json", "a.csv", "a.txt", "a.bin"])
@pytest.mark.parametrize("data", [b"", b"{", b"\xff\x00", b"a,b\n1\n"])
def test_files_of_the_same_bytes_are_identical_whatever_they_hold(only, name, data):
    found = only(name, data, data)
    assert (found.verdict, found.unit) == (Verdict.IDENTICAL, "bytes")
