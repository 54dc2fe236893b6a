"""Pictures of images on the page: side by side, of a bounded size, and nothing but PNGs."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from pytest_mlcontainer.model import Pictures, Plots
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.session import gather
from tests.report.test_pages import DRIFT, HOSTILE, Page, outcome

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(999)).decode()
PICTURES = Pictures(PNG, PNG, PNG, 640, 480)
DRAWN = replace(DRIFT, plots=Plots(pictures=PICTURES))


def page_of(pictures: Pictures) -> Page:
    drawn = replace(DRIFT, plots=Plots(pictures=pictures))
    return Page(report_html(gather([Result(outcome=outcome(drawn))], 1.0)))


def test_both_sides_and_their_difference_stand_side_by_side() -> None:
    page = page_of(PICTURES)
    images = page.all("img")
    assert [each["src"] for each in images] == [f"data:image/png;base64,{PNG}"] * 3
    assert [each["alt"] for each in images] == [
        "linux/arm64",
        "linux/amd64 (reference)",
        "where they differ: the redder, the more",
    ]
    assert "640 × 480 pixels" in " ".join(page.text)


def test_of_images_of_two_sizes_the_page_says_that_no_difference_is_drawn() -> None:
    page = page_of(replace(PICTURES, difference=""))
    assert len(page.all("img")) == 2
    assert "of two sizes or modes no difference is drawn" in " ".join(page.text)


@pytest.mark.parametrize(
    "said", [HOSTILE, f'{PNG}" onerror="alert(1)', base64.b64encode(b"<svg/>").decode(), "", "iVB"]
)
def test_what_is_no_png_is_left_out_whoever_says_that_it_is(said: str) -> None:
    assert len(page_of(replace(PICTURES, actual=said)).all("img")) == 2


def test_a_page_has_room_for_some_pictures_the_worst_first_and_says_what_it_left_out() -> None:
    large = replace(PICTURES, actual=PNG[:12] + "A" * 180_000)
    drawn = [
        replace(DRIFT, item=f"{at}", plots=Plots(pictures=large), elements=()) for at in range(3)
    ]
    results = [Result(outcome=outcome(*drawn, entrypoint=name)) for name in ("train", "infer")]
    source = report_html(gather(results, 1.0))
    assert len(source) < 800_000
    assert source.count("data:image/png") == 9
    sections = source.split('<section id="c')[1:]
    assert [each.count("data:image/png") for each in sections] == [6, 3]
    assert source.count("Its pictures are left out") == 3


def test_the_page_may_load_nothing_and_use_only_the_style_that_it_has() -> None:
    source = report_html(gather([Result(outcome=outcome(DRAWN))], 1.0))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', source)
    assert "default-src &#x27;none&#x27;; img-src data:; style-src &#x27;sha256-" in policy
    assert "unsafe" not in policy
    assert " style=" not in source
