"""The page in a real browser: it loads nothing, and filters, moves, compares and chooses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from pytest_mlcontainer.compare.formats.thumbnails import Pixels, draw_pictures
from pytest_mlcontainer.model import (
    CheckReport,
    Difference,
    Element,
    ImageFinding,
    Platform,
    Plots,
    Severity,
    Target,
    TextLine,
    TextLines,
    TimelineSpan,
    Verdict,
)
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.session import Session, gather
from tests.report.browser import Open, chromium, findings, opened
from tests.report.test_pages import AMD64, DRIFT, NEAR, SAME, everything, failed_run, outcome
from tests.report.test_pages import HOSTILE as HOSTILE
from tests.report.test_plots_page import PLOTS

__all__ = ["chromium", "opened"]  # fixtures

RISCV = Target(Platform("linux", "riscv64"), emulated=True)
PIXELS = np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8)
PICTURES = draw_pictures(Pixels("RGB", 255 - PIXELS), Pixels("RGB", PIXELS))
IMAGE = replace(DRIFT, output="plot.png", item="", plots=Plots(pictures=PICTURES), noise=None)
LINES = TextLines((TextLine("removed", 8, "loss 0.5"), TextLine("added", 8, "loss 0.6")), True)
LOG = Difference("run.log", "", Verdict.DRIFT, unit="lines", plots=Plots(text=LINES), note="n")
ACCURACY = Difference(
    "m.json", "accuracy", Verdict.DRIFT, max_abs=0.01, max_rel=0.01, differing=1, beyond=1, size=1
)
WEIGHTS = replace(
    DRIFT,
    item="layer2/kernel",
    noise=None,
    max_rel=0.001,
    plots=PLOTS,
    differing=4000,
    size=4000,
    elements=tuple(Element((at,), "1", "2", 0.5, 1.5) for at in range(20)),
)
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
REPEAT = "pytest --container --container-baseline=b 'pyproject.toml::infer::baseline[linux/arm64]'"


def whole() -> Session:
    results = [
        Result(outcome=outcome(SAME, NEAR, entrypoint="prepare")),
        Result(outcome=outcome(WEIGHTS, ACCURACY, IMAGE, LOG, NEAR, facts=(("a", "1", "2"),))),
        Result(outcome=outcome(replace(ACCURACY, max_abs=0.04), target=RISCV)),
        Result(
            outcome=outcome(
                ACCURACY, WEIGHTS, entrypoint="infer", target=AMD64, against="the baseline"
            ),
            repeat=REPEAT,
        ),
        failed_run(),
    ]
    span = TimelineSpan("running", "train[linux/arm64]", 1.0, 20.0, "gw0")
    return replace(gather(results, 31.5), timeline=(span, replace(span, worked=False)))


def test_nothing_is_loaded_and_nothing_is_complained_of(opened: Open) -> None:
    found = opened(whole())
    found.page.evaluate(OPEN_ALL)
    found.page.get_by_role("button", name="slider").click()
    found.page.locator("#find").fill("kernel")
    loaded = [url for url in found.loaded if not url.startswith("data:image/png")]
    assert [url.rpartition("/")[2] for url in loaded] == ["report.html"]
    assert found.said == []


def test_what_a_container_wrote_runs_nothing(opened: Open) -> None:
    found = opened(everything(HOSTILE))
    found.page.locator("#find").fill("script")
    assert found.said == []
    assert found.page.locator("script").count() == 1
    assert len(found.loaded) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 500])
def test_axe_finds_nothing(opened: Open, scheme: str, width: int) -> None:
    page = opened(whole(), width, color_scheme=scheme).page
    page.evaluate(OPEN_ALL)
    page.get_by_role("button", name="slider").click()
    page.locator("input.accept").first.check()
    assert findings(page) == []
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    assert findings(page), "it would find a picture without a name"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_has_no_sideways_scroll(opened: Open, scheme: str) -> None:
    page = opened(whole(), 500, color_scheme=scheme).page
    page.evaluate(OPEN_ALL)
    page.get_by_role("button", name="slider").click()
    page.locator("input.accept").first.check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 500


def test_what_a_check_found_is_whole_on_a_phone(opened: Open) -> None:
    """Its mend is the last column, which a narrow page has no room for beside the others."""
    finding = ImageFinding("ML001", Severity.INFO, "a tag", "Dockerfile", 1, "why", "mend it so")
    session = replace(gather([], 1.0), checks=(CheckReport("lint", None, (finding,)),))
    page = opened(session, 390).page
    mend = page.get_by_text("mend it so").bounding_box()
    assert mend is not None
    assert mend["x"] + mend["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_colours_are_those_of_the_scheme(opened: Open) -> None:
    colours = [
        opened(whole(), color_scheme=scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_it_is_read_without_a_script(opened: Open) -> None:
    page = opened(whole(), java_script_enabled=False).page
    expect(page.locator("h1")).to_have_text("3 of 4 comparisons do not agree, 1 run failed")
    assert page.locator("section.comparison").count() == 4
    assert page.locator("input, button, select").count() == 0
    assert page.locator("img").count() == 3
    expect(page.get_by_text("would let this pass").first).to_be_visible()


def test_a_text_leaves_what_has_it_in_a_name(opened: Open) -> None:
    page = opened(whole()).page
    page.locator("#find").fill("ACCURACY")
    assert page.locator("section.comparison:visible").count() == 3
    expect(page.locator("#shown")).to_have_text("3 of 4 comparisons")
    assert page.locator("#c2 .leaf:visible").count() == 1
    page.locator("#find").fill("prepare")
    assert page.locator("section.comparison:visible").count() == 1
    assert page.locator("table.overview tbody tr:visible").count() == 1
    page.locator("#find").fill("nothing is called so")
    assert page.locator("section.comparison:visible").count() == 0
    page.locator("#find").press("Escape")
    assert page.locator("section.comparison:visible").count() == 4


def test_verdict_and_platform_leave_what_has_them(opened: Open) -> None:
    page = opened(whole()).page
    page.locator("#verdict").select_option("all that do not agree")
    assert page.locator("section.comparison:visible").count() == 3
    page.locator("#platform").select_option("linux/riscv64")
    assert page.locator("section.comparison:visible").count() == 1
    assert page.locator("table.overview tbody tr:visible").count() == 1


def test_comparisons_are_put_in_order(opened: Open) -> None:
    page = opened(whole()).page
    numbers = "all => all.map(each => each.dataset.number).join('')"

    def orders() -> list[str]:
        places = ("table.overview tbody tr", "section.comparison")
        return [page.locator(place).evaluate_all(numbers) for place in places]

    for order, expected in (
        ("the worst first", "2341"),
        ("by entrypoint", "4123"),
        ("by platform", "4123"),
        ("as they were made", "1234"),
    ):
        page.locator("#order").select_option(order)
        assert orders() == [expected] * 2


def test_keys_find_and_move_and_can_be_switched_off(opened: Open) -> None:
    page = opened(whole()).page
    focused = "document.activeElement.textContent"
    page.keyboard.press("j")
    assert "prepare" in page.evaluate(focused)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert "layer2/kernel" in page.evaluate(focused)
    page.keyboard.press("k")
    assert "train" in page.evaluate(focused)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("jk/x")
    assert page.locator("#find").input_value() == "jk/x"
    page.keyboard.press("Escape")
    page.locator("#keys").uncheck()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "keys"


def test_a_link_opens_what_is_folded(opened: Open) -> None:
    page = opened(whole()).page
    folded = page.locator("#c1 > details")
    assert not folded.evaluate("each => each.open")
    page.locator("table.overview a[href='#c1']").click()
    expect(folded).to_have_attribute("open", "")


def test_chosen_differences_become_rules_of_which_the_wider_holds(opened: Open) -> None:
    page = opened(whole()).page
    for box in page.locator("#c2 .leaf, #c3 .leaf").filter(has_text="accuracy").all():
        box.locator("input.accept").check()
    assert page.locator("#accepted").input_value() == (
        "# in pyproject.toml, before other rules of the table\n"
        "[tool.mlcontainer.entrypoints.train.compare]\n"
        '"m.json:accuracy" = { margin = 0.08 }'
    )
    expect(page.locator("#tray [role=status]")).to_have_text("2 differences")
    page.get_by_role("button", name="choose none").click()
    expect(page.locator("#tray")).to_be_hidden()


def test_a_key_chooses_the_difference_that_has_the_focus(opened: Open) -> None:
    page = opened(whole()).page
    page.locator("#c2 .leaf summary").filter(has_text="accuracy").focus()
    page.keyboard.press("x")
    assert '"m.json:accuracy" = { margin = 0.02 }' in page.locator("#accepted").input_value()


def test_of_a_baseline_the_whole_run_is_kept_by_the_command(opened: Open) -> None:
    page = opened(whole()).page
    told = page.locator("#accepted")
    page.locator("#c4 input.whole").check()
    assert told.input_value() == f"{REPEAT} --container-update"
    page.locator("#c4 input.whole").uncheck()
    boxes = page.locator("#c4 .leaf input.accept")
    boxes.nth(0).check()
    assert "[tool.mlcontainer.entrypoints.infer.compare]" in told.input_value()
    boxes.nth(1).check()
    assert told.input_value() == f"{REPEAT} --container-update"


def test_what_is_chosen_is_copied(opened: Open) -> None:
    page = opened(whole(), permissions=["clipboard-read", "clipboard-write"]).page
    page.locator("#c4 input.whole").check()
    page.get_by_role("button", name="copy").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{REPEAT} --container-update"


def test_a_slider_uncovers_the_other_picture(opened: Open) -> None:
    page = opened(whole()).page
    page.get_by_role("button", name="slider").click()
    top, clip = page.locator(".stage .top"), "each => each.style.clipPath"
    assert top.evaluate(clip) == "inset(0px 50% 0px 0px)"
    page.locator("input[type=range]").press("ArrowRight")
    assert top.evaluate(clip) == "inset(0px 49% 0px 0px)"
    boxes = [each.bounding_box() for each in page.locator(".stage img").all()]
    assert boxes[0] == boxes[1]
    page.get_by_role("button", name="side by side").click()
    expect(page.locator(".stage")).to_be_hidden()
    assert page.locator(".pictures figure:visible").count() == 3


def test_a_phone_has_no_keys_and_reads_names_of_tasks_in_words(opened: Open) -> None:
    """A name that is broken after every few letters is none."""
    span = TimelineSpan("running", "train[linux/arm64, file-order=reverse]", 1.0, 20.0, "")
    phone = opened(replace(whole(), timeline=(span,)), 390).page
    expect(phone.locator(".keys")).to_be_hidden()
    name = phone.locator(".timeline tbody th").bounding_box()
    assert name is not None
    assert name["width"] >= 140
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    expect(opened(whole()).page.locator(".keys")).to_be_visible()


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_pictures_flicker_by_themselves_unless_that_is_not_wanted(
    opened: Open, motion: str
) -> None:
    page = opened(whole(), reduced_motion=motion).page
    button = page.get_by_role("button", name="flicker")
    button.click()
    top = page.locator(".stage .top")
    expect(top).to_be_hidden()
    if motion == "reduce":
        page.wait_for_timeout(900)
        expect(top).to_be_hidden()
        button.click()
    expect(top).to_be_visible()


def test_printed_everything_is_there_and_no_control_is(opened: Open) -> None:
    page = opened(whole()).page
    page.get_by_role("button", name="slider").click()
    page.locator("#c2 input.accept").first.check()
    page.emulate_media(media="print")
    for hidden in (".tools", "#tray", ".modes", ".choice", ".stage"):
        expect(page.locator(hidden).first).to_be_hidden()
    assert page.locator("#c1 .leaf:visible").count() == 2
    assert page.locator(".pictures figure:visible").count() == 3
    assert page.pdf().startswith(b"%PDF")


def large(runs: int) -> Session:
    """So many comparisons of four differences each, all that can be drawn of them."""
    plots = replace(PLOTS, pictures=PICTURES)
    drawn = [replace(WEIGHTS, item=f"layer{at}.kernel", plots=plots) for at in range(4)]
    results = [
        Result(outcome=outcome(*drawn, entrypoint=f"train{number % 50}")) for number in range(runs)
    ]
    return gather(results, 1.0)


def test_a_page_of_2000_differences_is_small_and_hardly_more_than_one_of_500(opened: Open) -> None:
    assert len(report_html(large(500)).encode()) <= 3_000_000
    counts = []
    for runs in (125, 500):
        page = opened(large(runs)).page
        page.locator("#find").fill("layer3")
        assert page.locator("#c1 .leaf:visible").count() == 1
        counts.append(page.evaluate("document.querySelectorAll('*').length"))
    assert counts[1] < 2 * counts[0]
