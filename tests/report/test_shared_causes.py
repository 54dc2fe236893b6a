"""Drifts that come in at one line for one reason are one finding."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Location,
    Outcome,
    Platform,
    SourceLine,
    Target,
    Verdict,
)
from pytest_mlcontainer.report.shared_causes import (
    share_causes,
    shared_html,
    shared_json,
    shared_lines,
)

LINE = SourceLine("data.py", 3, 3, "", "names = os.listdir('<b>')")
TARGET = Target(Platform("linux", "amd64"))
ONE = Outcome(
    "train",
    TARGET,
    TARGET,
    Verdict.DRIFT,
    (Difference("a.json", "x", Verdict.DRIFT), Difference("b.json", "", Verdict.DRIFT)),
    (Cause(("file-order",), 3, "shown"),),
    location=Location(proven=True, origins=(LINE,)),
)
OTHER = replace(ONE, entrypoint="infer", differences=(Difference("c", "", Verdict.DRIFT),))


def test_one_line_and_one_cause_are_one_finding() -> None:
    (shared,) = share_causes((ONE, OTHER))
    assert shared.comparisons == (0, 1)
    assert shared.outputs == ("train: a.json", "train: b.json", "infer: c")
    assert shared.proven
    (line,) = shared_lines((shared,))
    assert line == (
        "one cause, 2 drifts: file-order at data.py:3: names = os.listdir('<b>') — train on "
        "linux/amd64, infer on linux/amd64"
    )


def test_another_line_or_another_cause_is_another_finding() -> None:
    assert ONE.location is not None
    elsewhere = replace(ONE, location=replace(ONE.location, origins=(replace(LINE, line=4),)))
    otherwise = replace(ONE, causes=(Cause(("timezone",), 3, "shown"),))
    found = share_causes((ONE, elsewhere, otherwise))
    assert [each.comparisons for each in found] == [(0,), (1,), (2,)]
    assert list(shared_lines(found)) == []
    assert list(shared_html(found, set())) == []
    assert [each["results"] for each in shared_json(found)] == [[0], [1], [2]]


def test_what_passes_or_was_not_located_is_no_finding() -> None:
    passes = replace(ONE, verdict=Verdict.EQUIVALENT)
    assert share_causes((passes, replace(ONE, location=None))) == ()


def test_the_page_links_what_it_shows_and_escapes_it() -> None:
    page = "".join(shared_html(share_causes((ONE, OTHER)), {1}))
    assert '<a href="#c1">train on linux/amd64</a>, infer on linux/amd64' in page
    assert "<b>" not in page
