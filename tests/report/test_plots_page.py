"""Plots and the matrix of the page: named, linked, escaped, and bounded in size."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from pytest_mlcontainer.model import (
    Confusion,
    Difference,
    Element,
    Outcome,
    PlotGrid,
    Plots,
    PlottedSeries,
    TextLine,
    TextLines,
    Verdict,
)
from pytest_mlcontainer.report import Result, result_from_json, result_to_json
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.session import gather
from tests.report.test_pages import AMD64, ARM64, DRIFT, HOSTILE, Page, outcome

DENSE = tuple("".join(str((row * 7 + at * 5) % 10) for at in range(64)) for row in range(32))
SQUARE = tuple("".join(str((row * 3 + at * 7) % 10) for at in range(48)) for row in range(48))
PLOTS = Plots(
    4,
    ((0.1, 1.0, 4),),
    PlotGrid(DENSE, 1e-9, 0.25, (0, 6399), (0, 319)),
    PlotGrid(SQUARE, 1, 900, (-1.5, 2.5), (2.5, -1.5)),
    PlottedSeries(
        tuple(range(0, 4000, 10)),
        tuple(None if at == 7 else 0.123456 * at for at in range(400)),
        tuple(0.123457 * at for at in range(400)),
        4000,
    ),
    Confusion(("a", HOSTILE), ((3, 1), (0, 2)), False),
)
DRAWN = replace(DRIFT, plots=PLOTS, differing=4000, size=4000)


def page_of(*differences: Difference) -> Page:
    return Page(report_html(gather([Result(outcome=outcome(*differences))], 1.0)))


def test_each_plot_has_a_name_and_says_what_its_axes_are() -> None:
    page = page_of(DRAWN)
    names = [str(attrs["aria-label"]) for attrs in page.all("svg")]
    assert len(names) == 4
    assert "both from -1.5 to 2.5" in names[1]
    assert "rows 0 to 319 (down), last axis 0 to 6,399 (across)" in names[2]
    assert "4,000 places" in names[3]
    assert any(
        "400 of them drawn, with ends and extremes" in said for said in page.said("figcaption")
    )
    assert "4 of the 4,000 elements that differ" in " ".join(page.text)
    assert "what agrees is not counted" in page.said("caption")[0]


def test_labels_of_a_container_stay_text() -> None:
    page = page_of(DRAWN)
    assert len(page.all("script")) == 1
    assert not page.all("img")


def test_a_gap_in_a_sequence_is_a_gap_in_its_line() -> None:
    source = report_html(gather([Result(outcome=outcome(DRAWN))], 1.0))
    found = re.search(r'<path class="actual" d="([^"]*)"', source)
    assert found is not None
    assert found[1].count("M") == 2


def test_a_value_of_the_noise_is_drawn_among_the_errors() -> None:
    assert "noise between repeats: 0.05" in page_of(DRAWN).said("title")
    assert "noise between repeats: 1e-09" not in page_of(replace(DRAWN, noise=1e-9)).said("title")


def test_the_matrix_leads_to_the_worst_comparison_of_each_cell() -> None:
    near = replace(DRIFT, verdict=Verdict.EQUIVALENT)
    results = [
        Result(outcome=outcome(near)),
        Result(outcome=outcome(DRIFT)),
        Result(outcome=outcome(near, entrypoint="infer", target=AMD64)),
    ]
    page = Page(report_html(gather(results, 1.0)))
    targets = {attrs["id"] for attrs in page.all("section") if "id" in attrs}
    links = [str(attrs["href"]) for attrs in page.all("a")]
    assert links[:2] == ["#c2", "#c3"]
    assert {link.removeprefix("#") for link in links} <= targets
    assert page.all("table")[0].get("class") == "matrix"


def test_plots_survive_the_way_from_a_worker() -> None:
    result = Result(outcome=outcome(DRAWN))
    assert result_from_json(result_to_json(result)) == result


def test_the_page_of_500_runs_with_2000_differences_is_small() -> None:
    drawn = [replace(DRAWN, item=f"layer{number}.kernel") for number in range(4)]
    whole = [
        Result(outcome=Outcome(f"train{number % 50}", ARM64, AMD64, Verdict.DRIFT, tuple(drawn)))
        for number in range(500)
    ]
    session = gather(whole, 1.0)
    page = report_html(session)
    assert report_json(session).count('"looked_at"') == 100
    assert len(page.encode()) <= 3_000_000
    assert "are shown of the worst items alone." in page


MANY = tuple(Element((at,), f"{at}.5", f"{at}", 0.5, 2.5 - at / 10) for at in range(20))


def test_the_worst_twenty_are_there_with_their_error_in_terms_of_the_bound() -> None:
    page = page_of(replace(DRIFT, elements=MANY, differing=30, size=100))
    rows = [line for line in page.said("tr") if line.startswith("[")]
    assert len(rows) == 20
    assert rows[0] == "[0]0.500.52.5 ×"
    assert "15 more of the worst" in page.said("summary")
    assert "These are the worst 20 of the 30 that differ." in page.said("p")


def test_a_page_of_many_items_has_the_worst_few_elements_of_most() -> None:
    items = [replace(DRIFT, item=f"{at:03}", elements=MANY) for at in range(300)]
    session = gather([Result(outcome=outcome(*items))], 1.0)
    rows = Page(report_html(session)).said("tr")
    shown = sum(line.startswith("[") for line in rows)
    assert shown == 300 * 5 + 30 * 15
    written = json.loads(report_json(session))["results"][0]["differences"]
    assert [len(each["elements"]) for each in written].count(20) == 100
    assert [len(each["elements"]) for each in written].count(5) == 200
    assert written[0]["elements"][0]["excess"] == 2.5


def test_lines_of_a_text_are_shown_with_the_words_that_differ_marked() -> None:
    lines = (
        TextLine("same", 7, "before"),
        TextLine("removed", 8, "loss 0.5, fine"),
        TextLine("added", 8, "loss 0.6, fine"),
        TextLine("added", 9, f"{HOSTILE}\x1b]0;title\x07"),
        TextLine("gap", 0, ""),
    )
    log = replace(DRIFT, unit="lines", elements=(), plots=Plots(text=TextLines(lines, True)))
    page = page_of(log)
    assert page.said("mark") == ["5", "6"]
    assert len(page.all("del")) == 1
    assert len(page.all("ins")) == 2
    assert len(page.all("script")) == 1
    assert "\\x1b]0;title\\x07" in page.said("ins")[1]
    assert "The first places that differ; there may be more behind them." in page.said("p")


def test_words_of_a_value_that_differ_are_marked() -> None:
    element = Element((), "a fast model of cars", "a slow model of cars")
    assert page_of(replace(DRIFT, elements=(element,))).said("mark") == ["fast", "slow"]
