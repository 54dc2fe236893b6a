"""Checks of the image in each report: all that is needed to mend what they found, safely shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from pytest_mlcontainer.model import (
    CheckReport,
    Difference,
    ImageFinding,
    Outcome,
    Platform,
    Severity,
    Target,
    Verdict,
)
from pytest_mlcontainer.report import Result, result_from_json, result_to_json
from pytest_mlcontainer.report.checks import check_lines, check_summary
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.markdown import summary_md
from pytest_mlcontainer.report.reading import merge_sessions, read_report
from pytest_mlcontainer.report.session import gather

BAD = ImageFinding(
    "ML005",
    Severity.ERROR,
    "it takes along <script>x</script>",
    "docker/Dockerfile",
    7,
    "why | so\n  as it said",
    "write this\nand that",
    1_234_567_890,
    link='https://a.org/"x',
)
MILD = ImageFinding("SC2086", Severity.WARNING, "quote it", "Dockerfile", 2)
TOLD = ImageFinding("ML001", Severity.INFO, "a tag", "Dockerfile", 1)
REPORT = CheckReport("size", Platform("linux", "arm64"), (BAD, MILD, TOLD), notes=("not seen",))


def test_a_failure_says_all_of_what_it_fails_for_and_counts_the_rest() -> None:
    assert check_lines(REPORT, "pytest it") == [
        "image::size[linux/arm64]: 1 error",
        "",
        "docker/Dockerfile:7: error ML005: it takes along <script>x</script>",
        "    why | so",
        "      as it said",
        "    costs 1.2 GB",
        "    → write this",
        "      and that",
        '    https://a.org/"x',
        "",
        "besides, below the threshold 'error': 1 warning (see the summary), 1 info (report.json of "
        "--container-report has them)",
        "note: not seen",
        "repeat just this:",
        "  pytest it",
    ]


def test_the_summary_has_warnings_and_no_more() -> None:
    """What is merely told is in reports; a check with nothing to say is left out."""
    quiet = CheckReport("lint", None, (TOLD,))
    noted = CheckReport("lint", None, (TOLD,), notes=("not seen",))
    assert list(check_summary([REPORT, quiet])) == [
        "image::size[linux/arm64]  1 error, 1 warning, 1 info",
        "  warning Dockerfile:2 SC2086: quote it",
    ]
    assert list(check_summary([noted])) == ["image::lint  1 info", "  note: not seen"]


def test_a_mend_of_several_lines_is_told_in_one() -> None:
    """Where its first line announces the others, they follow it."""
    mend = "write into .dockerignore:\nweights.bin\ndata/"
    finding = ImageFinding("ML005", Severity.WARNING, "large files", "Dockerfile", 4, mend=mend)
    line = list(check_summary([CheckReport("lint", None, (finding,))]))[-1]
    assert line.endswith("large files → write into .dockerignore: weights.bin, data/")


def test_very_many_findings_are_counted() -> None:
    many = CheckReport("lint", None, tuple(MILD for _each in range(500)))
    assert list(check_summary([many]))[-1].startswith("  … and 495 more")
    failing = CheckReport("lint", None, many.findings, Severity.WARNING)
    assert len(check_lines(failing, "")) < 150


@pytest.mark.parametrize("draw", [report_html, summary_md])
def test_pages_show_each_finding_and_nothing_that_acts(draw: object) -> None:
    assert callable(draw)
    page = str(draw(gather([Result(check=REPORT)], 1.0)))
    assert "1 check of the image failed" in page
    assert "<script>x" not in page
    for text in ("ML005", "docker/Dockerfile:7", "write this", "SC2086"):
        assert text in page


@pytest.mark.parametrize(
    ("severity", "verdict", "order"),
    [
        (Severity.ERROR, Verdict.DRIFT, ["c1", "checks"]),
        (Severity.INFO, Verdict.IDENTICAL, ["c1", "checks"]),
        (Severity.ERROR, Verdict.IDENTICAL, ["checks", "c1"]),
    ],
)
def test_the_page_shows_first_what_fails(
    severity: Severity, verdict: Verdict, order: list[str]
) -> None:
    """Of a session whose results drift nobody wants to read first what a Dockerfile could do."""
    target = Target(Platform("linux", "amd64"), emulated=False)
    drift = Outcome("train", target, target, verdict, (Difference("a", "", verdict),))
    check = CheckReport("lint", None, (replace(TOLD, severity=severity),))
    page = report_html(gather([Result(check=check), Result(outcome=drift)], 1.0))

    assert re.findall(r'<section [^>]*id="(\w+)"', page) == order
    assert 'href="#checks"' in page


def test_a_link_that_is_no_page_is_no_link() -> None:
    odd = ImageFinding("ML001", Severity.INFO, "x", link="javascript:alert(1)")
    page = report_html(gather([Result(check=CheckReport("lint", None, (odd,)))], 1.0))
    assert not re.search(r"href=.javascript", page)


def test_reports_of_jobs_are_merged_with_their_checks() -> None:
    """Whatever a later version adds to a finding is left out."""
    raw = json.loads(report_json(gather([Result(check=REPORT)], 1.0)))
    raw["checks"][0]["findings"][0]["later"] = 1
    session = read_report(json.dumps(raw), "a")
    assert session.checks == (REPORT,)
    assert not session.passes
    other = gather([Result(check=CheckReport("lint"))], 1.0)
    assert merge_sessions((session, other)).checks == (REPORT, CheckReport("lint"))
    before = {name: value for name, value in raw.items() if name != "checks"}
    assert read_report(json.dumps(before), "a").checks == ()


def test_a_worker_sends_it_to_its_controller() -> None:
    sent = json.loads(json.dumps(result_to_json(Result(check=REPORT))))
    assert result_from_json(sent).check == REPORT
    assert result_from_json(sent).in_a_line.startswith("image::size[linux/arm64]: 1 error, 1 warn")
