"""Words of two lines: what differs is marked, and nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.word_diff import word_diff

LINES = st.text(st.sampled_from("ab \t.,é\n"), max_size=60)


def test_words_that_differ_are_marked() -> None:
    left, right = word_diff("loss 0.31, lr 0.1", "loss 0.30, lr 0.1")
    assert left == ((False, "loss 0."), (True, "31"), (False, ", lr 0.1"))
    assert right == ((False, "loss 0."), (True, "30"), (False, ", lr 0.1"))


def test_lines_with_little_in_common_differ_as_a_whole() -> None:
    assert word_diff("one two", "three, four; five") == (
        ((True, "one two"),),
        ((True, "three, four; five"),),
    )


def test_a_line_of_very_many_words_differs_as_a_whole() -> None:
    line = "a " * 1000
    assert word_diff(line, line + "b")[0] == ((True, line),)
    assert word_diff(line, line)[0] == ((False, line),)


@given(LINES, LINES)
def test_the_parts_are_the_line(left: str, right: str) -> None:
    parts = word_diff(left, right)
    assert tuple("".join(text for _differs, text in each) for each in parts) == (left, right)
    same = ["".join(text for differs, text in each if not differs) for each in parts]
    assert same[0] == same[1]
