"""The timeline of a session: on the page, in report.json, and in a report merged of several."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_mlcontainer.model import TimelineSpan
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.reading import merge_sessions, read_report
from pytest_mlcontainer.report.session import Session, gather
from tests.report.test_pages import HOSTILE, Page

BUILD = TimelineSpan("building", "image[linux/arm64]", 0.5, 10.0, "gw0")
RUN = TimelineSpan("running", f"train[{HOSTILE}]", 10.5, 89.5, "gw1", worked=False)


def session(*spans: TimelineSpan) -> Session:
    return replace(gather([], 100.0), timeline=spans)


def test_each_task_has_a_bar_where_it_was_in_the_session() -> None:
    page = Page(report_html(session(BUILD, RUN)))
    bars = [(attrs["class"], attrs["x"], attrs["width"]) for attrs in page.all("rect")]
    assert bars == [("worked", "5.0", "100.0"), ("broken", "105.0", "895.0")]
    rows = page.said("tr")
    assert rows[1] == "image[linux/arm64] buildinggw00.5 s10.0 s"
    assert "did not work or was cut off" in rows[2]
    assert len(page.all("script")) == 1


def test_of_very_many_tasks_the_longest_are_shown_in_their_order() -> None:
    spans = [replace(BUILD, title=f"t{at}", start_s=at, duration_s=at % 500) for at in range(5000)]
    page = Page(report_html(session(*spans)))
    titles = [said for said in page.said("code") if said.startswith("t")]
    assert len(titles) == 100
    assert titles == sorted(titles, key=lambda title: int(title[1:]))
    assert {int(title[1:]) % 500 for title in titles} == set(range(490, 500))
    assert "The longest 100 of 5,000 tasks; report.json has more." in page.said("p")
    assert len(json.loads(report_json(session(*spans)))["timeline"]) == 2000


def test_a_merged_report_tells_whose_tasks_they_were() -> None:
    written = report_json(session(BUILD, RUN))
    one = read_report(written, "a")
    assert one.timeline == (BUILD, RUN)
    alone = replace(session(replace(BUILD, worker="")))
    merged = merge_sessions((one, alone))
    assert [span.worker for span in merged.timeline] == ["report 1 gw0", "report 1 gw1", "report 2"]


def test_a_report_without_times_has_no_timeline() -> None:
    assert "Timeline" not in report_html(session())
    raw = json.loads(report_json(session()))
    del raw["timeline"]
    assert read_report(json.dumps(raw), "an earlier version's").timeline == ()
