"""The places where two texts differ, as a report shows them: few lines, and the right ones."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.compare.formats.text_lines import WINDOW, differing_lines
from pytest_mlcontainer.model import TextLines, Tolerance
from tests.fixture_types import Only

SIDE = st.lists(st.sampled_from("abc"), max_size=12)


def shown(
    only: Only, actual: Sequence[str], expected: Sequence[str], tolerance: Tolerance | None = None
) -> TextLines:
    texts = ("".join(f"{line}\n" for line in side) for side in (actual, expected))
    plots = only("a.log", *texts, tolerance=tolerance).plots
    assert plots is not None
    assert plots.text is not None
    return plots.text


def in_short(found: TextLines) -> list[tuple[str, int, str]]:
    return [(line.kind, line.number, line.text) for line in found.lines]


def test_a_changed_line_is_shown_with_two_lines_around_it(only: Only) -> None:
    expected = [f"line {number}" for number in range(1, 101)]
    actual = [*expected[:49], "changed", *expected[50:]]
    found = shown(only, actual, expected)
    assert in_short(found) == [
        ("same", 48, "line 48"),
        ("same", 49, "line 49"),
        ("removed", 50, "line 50"),
        ("added", 50, "changed"),
        ("same", 51, "line 51"),
        ("same", 52, "line 52"),
    ]
    assert not found.is_cut


def test_lines_put_in_do_not_make_those_behind_them_differ(only: Only) -> None:
    expected = [f"line {number}" for number in range(1, 41)]
    actual = ["new", *expected[:30], *expected[31:]]
    found = shown(only, actual, expected)
    assert [line for line in in_short(found) if line[0] != "same"] == [
        ("added", 1, "new"),
        ("gap", 0, ""),
        ("removed", 31, "line 31"),
    ]


def test_numbers_within_the_tolerance_are_no_places_that_differ(only: Only) -> None:
    expected = ["loss 0.5", "word a", "loss 0.25"]
    actual = ["loss 0.5000000000000001", "word b", "loss 0.2500000000000001"]
    found = shown(only, actual, expected)
    assert [line[:2] for line in in_short(found)] == [
        ("same", 1),
        ("removed", 2),
        ("added", 2),
        ("same", 3),
    ]


def test_what_patterns_of_a_rule_match_is_shown_as_masked(only: Only) -> None:
    rule = Tolerance(patterns=(r"id=\w+",))
    found = shown(only, ["id=1 a", "id=2 b"], ["id=3 a", "id=4 c"], tolerance=rule)
    kinds = [line.kind for line in found.lines]
    assert kinds == ["same", "removed", "added"]
    assert not any("id=" in line.text for line in found.lines)


def test_of_many_places_the_first_are_shown_and_that_there_may_be_more_is_said(only: Only) -> None:
    expected = [f"line {number}" for number in range(10_000)]
    found = shown(only, [line.upper() for line in expected], expected)
    assert (len(found.lines), found.is_cut) == (80, True)


def test_a_long_line_is_shown_where_it_differs(only: Only) -> None:
    line = "x" * 5000
    found = shown(only, [f"{line}LEFT{line}"], [f"{line}RIGHT{line}"])
    assert ["LEFT" in each.text or "RIGHT" in each.text for each in found.lines] == [True, True]
    assert all(len(each.text) < 250 for each in found.lines)


def test_what_is_not_known_to_be_missing_is_not_shown_as_such() -> None:
    expected = [f"line {number}" for number in range(WINDOW)]
    actual = [*(f"new {number}" for number in range(50)), *expected[:-50]]
    found = differing_lines(actual, expected, 0, None, ends=False)
    assert "removed" not in {line.kind for line in found.lines}
    assert found.is_cut


@given(SIDE, SIDE)
def test_both_sides_can_be_told_from_what_is_shown(actual: list[str], expected: list[str]) -> None:
    found = differing_lines(actual, expected, 0, None, ends=True)
    for kind, side in (("added", actual), ("removed", expected)):
        for line in found.lines:
            if line.kind == kind or (line.kind == "same" and side is actual):
                assert side[line.number - 1] == line.text
    left = [line.text for line in found.lines if line.kind == "added"]
    right = [line.text for line in found.lines if line.kind == "removed"]
    assert len(actual) - len(left) == len(expected) - len(right)
