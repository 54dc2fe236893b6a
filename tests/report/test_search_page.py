"""The search as a tree on the page."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.model import Explanation, SearchTrial
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.session import gather
from tests.report.test_pages import DRIFT, HOSTILE, Page, outcome

TRIALS = (
    SearchTrial((), 3),
    SearchTrial(("a", "b", "c", "d"), drifted=1),
    SearchTrial(("a", "b"), agreed=1),
    SearchTrial(("c", "d"), drifted=1),
    SearchTrial(("c",), drifted=2),
    SearchTrial((HOSTILE,), failed=1),
)


def page_of(*trials: SearchTrial) -> Page:
    explained = replace(outcome(DRIFT), explanation=Explanation(runs=9, trials=trials))
    return Page(report_html(gather([Result(outcome=explained)], 1.0)))


def test_smaller_sets_stand_below_the_one_that_they_were_cut_from() -> None:
    page = page_of(*TRIALS)
    said = page.said("li")
    assert any(each.startswith("nothing changed = 3 agreed") for each in said)
    (whole,) = (each for each in said if each.startswith("a, b, c, d"))
    assert whole == ("a, b, c, d ≠ 1 drifted a, b = 1 agreed c, d ≠ 1 drifted c ≠ 2 drifted")
    assert len(page.all("script")) == 1


def test_very_many_sets_are_cut_and_a_search_of_one_run_is_no_tree() -> None:
    many = page_of(*(SearchTrial((f"c{at}",), 1) for at in range(300)))
    assert "The first 100 of 300 sets of changes." in many.said("p")
    assert "run by run" not in " ".join(page_of(SearchTrial((), 1)).text)
