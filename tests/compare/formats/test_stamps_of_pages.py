"""Pages with plots, and Stata's files: ids drawn at random and times of writing are no drift."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Only

UUIDS = "365621b3-cb3b-4214-9afb-207ad40d0f1b", "de116e86-d3ba-4f3d-8a21-0f1b365621b3"
DIGITS = "55e91c6b766d58afe23ec00407caf45a", "8c0fd8f406f9064ea21d46753812c336"
SHORT = "60713", "7c0a0"
PLOTLY = (
    '<div><div id="{id}" class="plotly-graph-div" style="height:100%"></div>'
    '<script>Plotly.newPlot("{id}", [{{"y": [{drawn}]}}])</script></div>\n'
)
BOKEH = (
    '<!DOCTYPE html>\n<html><div id="{id}" data-root-id="p1001"></div>\n'
    '<script>const items = [{{"docid":"{id}","roots":{{"p1001":"{id}"}}}}], y = {drawn}</script>\n'
    "</html>\n"
)
FOLIUM = (
    "<!DOCTYPE html>\n<html><style>#map_{id} {{ width: 100% }}</style>\n"
    '<div class="folium-map" id="map_{id}"></div>\n'
    "<script>var marker_{id} = L.marker([50, {drawn}]).addTo(map_{id});</script></html>\n"
)
PANDAS = (
    '<style type="text/css">\n#T_{id}_row0_col0 {{ color: red }}\n</style>\n'
    '<table id="T_{id}"><td id="T_{id}_row0_col0" class="data">{drawn}</td></table>\n'
)
PAGES = [(PLOTLY, UUIDS), (BOKEH, UUIDS), (FOLIUM, DIGITS), (PANDAS, SHORT)]
NAMES = ["plotly", "bokeh", "folium", "pandas"]


@pytest.mark.parametrize(("page", "ids"), PAGES, ids=NAMES)
def test_ids_that_are_drawn_at_random_do_not_count(
    only: Only, page: str, ids: tuple[str, str]
) -> None:
    actual, expected = (page.format(id=each, drawn=7).encode() for each in ids)
    found = only("report.html", actual, expected)
    assert (found.verdict, found.differing) == (Verdict.EQUIVALENT, 0)
    assert "(HTML)" in found.note
    exactly = only("report.html", actual, expected, Tolerance(exact=True))
    assert exactly.verdict is Verdict.DRIFT


@pytest.mark.parametrize(("page", "ids"), PAGES, ids=NAMES)
def test_what_a_page_shows_counts(only: Only, page: str, ids: tuple[str, str]) -> None:
    sides = (page.format(id=each, drawn=n).encode() for each, n in zip(ids, (7, 8), strict=True))
    assert only("report.html", *sides).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"<p>sample {UUIDS[0]}</p>", f"<p>sample {UUIDS[1]}</p>"),
        (f"<p>weights md5 {DIGITS[0]}</p>", f"<p>weights md5 {DIGITS[1]}</p>"),
        (f'<p id="{UUIDS[0]}"></p>', f'<p id="{UUIDS[1]}x"></p>'),
    ],
    ids=["a UUID in its text", "a digest", "an id of another form"],
)
def test_ids_that_no_plot_is_known_by_count(only: Only, one: str, other: str) -> None:
    page = PLOTLY.format(id=UUIDS[0], drawn=7)
    found = only("report.html", (page + one).encode(), (page + other).encode())
    assert found.verdict is Verdict.DRIFT


def test_two_plots_that_change_places_count(only: Only) -> None:
    actual, expected = (
        "".join(PLOTLY.format(id=each, drawn=n) for each, n in zip(UUIDS, drawn, strict=True))
        for drawn in ((1, 2), (2, 1))
    )
    assert only("report.html", actual.encode(), expected.encode()).verdict is Verdict.DRIFT


def old_stata(at: str, value: bytes) -> bytes:
    head = b"\x72\x02\x01\x00" + b"\x01\x00" + b"\x05\x00\x00\x00" + bytes(81)
    return head + at.encode().ljust(18, b"\0") + value


def new_stata(at: str, value: bytes, label: str = "") -> bytes:
    head = b"<stata_dta><header><release>118</release><byteorder>LSF</byteorder><K>\x01\x00</K>"
    head += b"<N>\x02\0\0\0\0\0\0\0</N><label>%b</label>" % label.encode()
    return head + b"<timestamp>\x11%b</timestamp></header>" % at.encode() + value


@pytest.mark.parametrize("write", [old_stata, new_stata])
def test_when_statas_file_was_written_does_not_count(only: Only, write: object) -> None:
    assert callable(write)
    times = "28 Nov 2026 10:15", "29 Nov 2026 11:16"
    found = only("a.dta", *(write(at, b"\x07\x00") for at in times))
    assert (found.verdict, found.differing) == (Verdict.EQUIVALENT, 0)
    sides = (write(at, value) for at, value in zip(times, (b"\x07\0", b"\x08\0"), strict=True))
    assert only("a.dta", *sides).verdict is Verdict.DRIFT


def test_what_a_new_file_of_stata_says_of_itself_counts(only: Only) -> None:
    """It has no time at the place where older ones have theirs."""
    sides = (new_stata("29 Nov 2026 11:16", b"7", label) for label in ("first", "other"))
    assert only("a.dta", *sides).verdict is Verdict.DRIFT
