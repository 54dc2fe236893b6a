"""Where two runs part, as it is said on the terminal, on the page and in report.json."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from pytest_mlcontainer.model import (
    Difference,
    Location,
    Outcome,
    Platform,
    Sides,
    SourceLine,
    Step,
    Target,
    Verdict,
)
from pytest_mlcontainer.report.html_where import where_html
from pytest_mlcontainer.report.terminal import failure_lines
from pytest_mlcontainer.report.where import location_from_json, location_to_json

ORIGIN = SourceLine(
    "shop/data.py", 8, 8, "Sales.read", "names = os.listdir(folder)", ("os.listdir",)
)
GROWS = SourceLine("shop/model.py", 3, 4, "", "scale = 1 / rest", ())
CHOICE = SourceLine("shop/model.py", 9, 9, "", "if scale > 3:", ())
LOCATION = Location(
    proven=True,
    origins=(ORIGIN,),
    values=(Sides("names", "['a', 'b']", "['b', 'a']"), Sides("x", "1.0", "1.5", 0.5)),
    kind="the order of a folder's listing",
    mend="sort the listing: sorted(…)",
    amplifier=Step(GROWS, 1e-9, 0.25),
    decision=CHOICE,
    steps=(Step(ORIGIN), Step(GROWS, 1e-9, 0.25), Step(CHOICE, 0.25, math.inf)),
    runs=4,
    notes=("the middle of the run is thinned",),
)
DRIFT = Difference("outputs/w.npz", "w", Verdict.DRIFT, max_abs=1.0)
OUTCOME = Outcome(
    "train",
    Target(Platform("linux", "arm64")),
    Target(Platform("linux", "amd64")),
    Verdict.DRIFT,
    (DRIFT,),
)


def _lines(location: Location) -> list[str]:
    return failure_lines(replace(OUTCOME, location=location), "pytest --container x")


def test_a_located_drift_names_the_line_first_and_what_shows_it() -> None:
    lines = _lines(LOCATION)
    at = lines.index("located: shop/data.py:8, in Sales.read: names = os.listdir(folder)")
    assert lines[at + 1 : at + 4] == [
        "  there: names: expected ['a', 'b'], is ['b', 'a']",
        "  there: x: expected 1.0, is 1.5 (0.5 of its norm apart)",
        "  how: the order of a folder's listing",
    ]
    assert lines[at + 4].startswith(
        "  shown by: 4 runs: what it is seen to read is equal on both sides"
    )
    assert "  usually helps: sort the listing: sorted(…)" in lines
    assert "  to bear in mind: the middle of the run is thinned" in lines
    assert (
        "grows there: shop/model.py:3: scale = 1 / rest (1e-09 of its norm becomes 0.25)" in lines
    )
    assert "decides otherwise there: shop/model.py:9: if scale > 3:" in lines
    assert lines[-2:] == ["look for the cause:", "  pytest --container --container-vary x"]


def test_what_is_not_proved_is_suspected() -> None:
    lines = _lines(replace(LOCATION, proven=False))
    assert any(line.startswith("suspected: shop/data.py:8") for line in lines)
    assert not any(line.startswith("located") for line in lines)
    assert any("is not shown" in line for line in lines)


def test_where_nothing_is_known_the_reason_is_said() -> None:
    lines = _lines(Location(runs=2, notes=("nothing was recorded",)))
    at = lines.index("where it comes in: not located")
    assert lines[at + 1] == "  why: nothing was recorded"


def test_values_and_sources_are_escaped() -> None:
    """They come from a container."""
    hostile = "\x1b[31m<script>alert(1)</script>"
    origin = replace(ORIGIN, file=hostile, text=hostile, function=hostile)
    location = replace(
        LOCATION,
        origins=(origin,),
        values=(Sides(hostile, hostile, hostile),),
        steps=(Step(origin),) * 2,
    )
    assert not any("\x1b" in line for line in _lines(location))
    page = "".join(where_html(location))
    assert "<script" not in page
    assert "\x1b" not in page


def test_the_page_has_the_way_to_the_outputs() -> None:
    page = "".join(where_html(LOCATION))
    assert page.count('<th scope="row">') == 3
    for text in ("comes in here", "grows here", "decides otherwise here", "1e-09", "all of it"):
        assert text in page
    assert not "".join(where_html(replace(LOCATION, steps=(Step(ORIGIN),))))


@pytest.mark.parametrize("location", [None, Location(), LOCATION])
def test_json_holds_all_of_it(location: Location | None) -> None:
    """Strict JSON, which has no infinity."""
    text = json.dumps(location_to_json(location), allow_nan=False)
    assert location_from_json(json.loads(text)) == location


def test_values_that_look_alike_are_not_said_to_be_others() -> None:
    """A `numpy.longdouble` of 1 has other bytes on arm64: "expected 1.0, is 1.0" is no news."""
    lines = _lines(replace(LOCATION, values=(Sides("anchor", "1.0", "1.0", 0.0),)))
    assert "  there: anchor: 1.0 on both sides, as far as is shown, in other bytes" in lines
