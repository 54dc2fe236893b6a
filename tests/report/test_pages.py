"""`report.html` and `summary.md`: well-formed, complete, and safe whatever a container wrote."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.model import (
    HOST,
    Cause,
    Difference,
    Element,
    Explanation,
    Failure,
    Outcome,
    Platform,
    SearchFinding,
    Target,
    Verdict,
)
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.markdown import code, summary_md, text
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import gather

AMD64 = Target(Platform("linux", "amd64"), emulated=False)
ARM64 = Target(Platform("linux", "arm64"), emulated=True, gpus="all", variations=("threads",))
VOID = {"meta", "rect", "br", "hr", "img", "input", "link"}
HOSTILE = (
    "</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)>"
    '"\' onmouseover="alert(3)` | --> ]]> &lt;b&gt; \x1b[31m\u202e\ud800\n</details></pre>'
)
DRIFT = Difference(
    "outputs/w.npz",
    "layer1/kernel",
    Verdict.DRIFT,
    max_abs=0.25,
    max_rel=0.5,
    max_ulp=3,
    scale_error=0.1,
    worst_index=(0, 3),
    worst_actual="1.25",
    worst_expected="1.5",
    differing=2,
    beyond=1,
    size=4,
    rule="rtol 1e-05",
    quantiles=((0.5, 0.1),),
    histogram=((0.01, 0.1, 1), (0.1, 1.0, 1)),
    elements=(Element((0, 3), "1.25", "1.5", 0.25), Element((1, 0), "2.0", "2.1", 0.1)),
    noise=0.05,
)
SAME = Difference("outputs/m.json", "", Verdict.IDENTICAL, size=9, unit="bytes", note="the same")
NEAR = replace(DRIFT, item="bias", verdict=Verdict.EQUIVALENT, beyond=0, max_abs=1e-9)


class Page(HTMLParser):
    """Parses strictly: each element that is opened is closed, inside the one it was opened in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._said: list[str] = []
        self._open: list[tuple[str, int]] = []
        self.feed(page)
        self.close()
        assert self._open == [], "everything is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        if tag not in VOID:
            self._open.append((tag, len(self.tags)))
        self.tags.append((tag, dict(attrs)))
        self._said.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] != "style":
            self.text.append(data)
            for _tag, number in self._open:
                self._said[number] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such element."""
        return [attrs for name, attrs in self.tags if name == tag]

    def said(self, tag: str) -> list[str]:
        """The text of each such element, in one line."""
        pairs = zip(self.tags, self._said, strict=True)
        return [" ".join(said.split()) for (name, _attrs), said in pairs if name == tag]


def outcome(*differences: Difference, **changes: Any) -> Outcome:
    worst = max((each.verdict for each in differences), key=lambda verdict: verdict.severity)
    return replace(Outcome("train", ARM64, AMD64, worst, differences), **changes)


def failed_run(**changes: Any) -> Result:
    failure = Failure("the entrypoint failed", "Traceback\n  line 2\nboom", "look at the data")
    return Result(run=replace(RunResult("r", "infer", ARM64, 3, 1.5, failure), **changes))


def session(*results: Result) -> Any:
    return gather(results, 31.5)


def everything(said: str) -> Any:
    """A session in which every text is this one."""
    difference = replace(
        DRIFT, output=said, item=said, rule=said, note=said, unit=said,
        worst_actual=said, worst_expected=said,
        elements=(Element((1,), said, f"1{said}", 0.5), Element((2,), said + "x", said, None)),
    )  # fmt: skip
    target = replace(ARM64, gpus=said, variations=(said,), platform=Platform(said))
    whole = outcome(
        *(replace(difference, verdict=verdict) for verdict in Verdict),
        replace(difference, item=f"{said}.x"), replace(difference, item="", quantiles=()),
        entrypoint=said, target=target, reference=target, notes=(said,),
        facts=((said, said, said),), causes=(Cause((said,), 1, said),),
    )  # fmt: skip
    explained = Explanation(
        3, (said,), ((said, said),),
        tuple(SearchFinding(kind, (said, "x"), said, said, said)
              for kind in ("crash", "flaky", "amplifier", "part", said)),
        said, (said, said), (said,),
    )  # fmt: skip
    passing = Outcome(said, target, target, Verdict.IDENTICAL, explanation=explained)
    bare = replace(whole, explanation=explained, differences=())
    others = (
        bare,
        replace(bare, causes=(), verdict=Verdict.DRIFT),
        replace(passing, against="nothing varied"),
    )
    run = failed_run(entrypoint=said, target=target, failure=Failure(said, said, said))
    results = (Result(outcome=each, repeat=said) for each in (whole, *others))
    return session(*results, run, Result(note=said))


def test_the_page_says_what_was_compared_and_what_came_of_it() -> None:
    cause = Cause(("blas-kernel",), 7, "gone with the same kernel")
    whole = outcome(
        DRIFT, NEAR, SAME,
        causes=(cause,), notes=("a rule matched nothing",), facts=(("machine", "x86_64", None),),
    )  # fmt: skip
    agrees = outcome(SAME, target=Target(HOST, emulated=False), entrypoint="infer")

    page = Page(
        report_html(
            session(
                Result(outcome=whole, repeat="pytest 'a b'"), Result(outcome=agrees), failed_run(),
                Result(note="built twice"),
            )
        )
    )  # fmt: skip

    assert page.said("h1") == ["1 of 2 comparisons does not agree, 1 run failed"]
    title, *bars = page.said("title")
    assert title == "1 of 2 comparisons does not agree, 1 run failed – pytest-mlcontainer"
    assert bars == ["0.01 to 0.1: 1", "0.1 to 1: 1", "noise between repeats: 0.05"] * 2
    assert page.said("h2") == [
        "Comparisons",
        "Runs that failed",
        "train: linux/arm64 (emulated) + threads + gpus all against linux/amd64",
        "infer: host against linux/amd64",
        "Remarks",
        "Words",
    ]
    said = " ".join(" ".join(page.text).split())
    for part in (
        "infer on linux/arm64 (emulated) + threads + gpus all, exit code 3",
        "Traceback line 2 boom", "look at the data", "2 of 4 elements differ, 1 beyond rtol 1e-05",
        "5 × the noise between repeats (0.05)", "errors: median 0.1, max 0.25",
        "cause blas-kernel — gone with the same kernel; 7 runs", "a rule matched nothing",
        "machine – x86_64", "pytest 'a b'", "built twice", "1 run, 31.5 s",
    ):  # fmt: skip
        assert part in said, part


def test_the_page_is_accessible_and_needs_nothing_else() -> None:
    source = report_html(session(Result(outcome=outcome(DRIFT, NEAR, SAME)), failed_run()))
    page = Page(source)
    (html,) = page.all("html")
    headings = [int(tag[1]) for tag, _attrs in page.tags if re.fullmatch("h[1-6]", tag)]
    loads = {"link", "img", "iframe", "object", "embed", "video", "audio", "base", "form"}

    assert html["lang"] == "en"
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(headings))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert len(page.all("table")) == len(page.all("thead")) > 2
    assert all(attrs.get("role") == "img" and attrs["aria-label"] for attrs in page.all("svg"))
    for attrs, said in zip(page.all("span"), page.said("span"), strict=True):
        kind = (attrs.get("class") or "").split()
        if "verdict" in kind:
            assert kind[1] in said, "the word beside the colour"
    assert loads.isdisjoint(tag for tag, _attrs in page.tags)
    assert page.all("script") == [{}], "it has one, which stands in it"
    assert not re.search(r"https?://|@import|url\(", source)
    assert "default-src 'none'" in (page.all("meta")[1]["content"] or "")
    links = {attrs["href"] for attrs in page.all("a")}
    assert links == {f"#{attrs['id']}" for attrs in page.all("section") if "id" in attrs}


def test_what_fails_is_open_and_what_passes_is_folded() -> None:
    page = Page(
        report_html(session(Result(outcome=outcome(DRIFT, NEAR)), Result(outcome=outcome(NEAR))))
    )

    found = [(attrs.get("class"), "open" in attrs) for attrs in page.all("details")]
    assert found == [
        (None, True), (None, True), ("leaf", True), ("leaf", False),
        (None, False), ("leaf", False),
    ]  # fmt: skip


def test_no_text_is_taken_for_html() -> None:
    plain, hostile = (Page(report_html(everything(said))) for said in ("quite harmless", HOSTILE))

    assert {tag for tag, _ in hostile.tags} == {tag for tag, _ in plain.tags}
    for tag in ("style", "meta", "table", "article", "section", "pre", "svg"):
        assert len(hostile.all(tag)) == len(plain.all(tag)), tag
    names = {name for _tag, attrs in hostile.tags for name in attrs}
    assert names == {name for _tag, attrs in plain.tags for name in attrs}
    assert not any(name.startswith("on") for name in names)
    assert "<script>alert(1)</script>" in "".join(hostile.text), "it is shown instead"
    assert all(each.isprintable() for line in hostile.text for each in line.split("\n"))


@given(st.text(max_size=40))
def test_any_text_gives_a_well_formed_page_and_can_be_written(said: str) -> None:
    whole = everything(said)

    Page(report_html(whole))
    report_html(whole).encode("utf-8")
    summary_md(whole).encode("utf-8")


def cells(row: str) -> list[str]:
    """A row's cells, split as GitHub does: at every pipe that no backslash precedes."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_the_summary_is_short_tables_with_the_worst_first() -> None:
    agrees = outcome(SAME, entrypoint="infer")
    lines = summary_md(session(Result(outcome=agrees), Result(outcome=outcome(DRIFT, NEAR)))).split(
        "\n"
    )

    assert lines[0] == "## 1 of 2 comparisons does not agree"
    assert cells(lines[2]) == ["entrypoint", "run", "reference", "verdict", "worst difference"]
    assert cells(lines[4]) == [
        "`train`", "linux/arm64 (emulated) + threads + gpus all", "linux/amd64", "**≠ drift**",
        "`outputs/w.npz:layer1/kernel`: max abs 0.25, max rel 0.5",
    ]  # fmt: skip
    assert cells(lines[5])[3] == "= identical"
    (worst,) = [line for line in lines if line.startswith("| `train` linux/arm64 (emulated) |")]
    assert cells(worst)[1:6] == ["`outputs/w.npz:layer1/kernel`", "0.25", "0.5", "3", "0.1"]


def test_the_summary_of_a_run_that_failed_has_its_log() -> None:
    said = summary_md(session(failed_run()))

    assert said.startswith("## 1 run failed\n")
    assert "    Traceback\n      line 2\n    boom\n" in said
    assert "→ look at the data" in said


@pytest.mark.parametrize("said", ["a|b", "a`b``c", "a\\", "a\\|b", " a", "", "<b>", "\n# x", "$x$"])
def test_markdown_in_a_name_stays_text(said: str) -> None:
    row = f"| {code(said)} | {text(said)} |"

    assert len(cells(row)) == 2
    assert "\n" not in row
    for shown in (code(said), text(said)):
        bare = re.sub(r"</?code>|&#\d+;", "", shown)
        inner = bare[1:-1] if bare.startswith("`") else bare
        assert not re.search(r"[`|\\]", inner)
        if not bare.startswith("`"):
            assert not re.search(r"[<>&*_\[\]#$~@!]", bare)


@given(st.text("|`\\<>&*_[]()#$~@!-+=.:1 a\n", max_size=30))
def test_every_row_of_the_summary_has_as_many_cells_as_its_heading(said: str) -> None:
    rows = [line for line in summary_md(everything(said)).split("\n") if line.startswith("|")]

    assert len(rows) > 6
    width = 0
    for number, row in enumerate(rows):
        if number + 1 < len(rows) and set(rows[number + 1]) <= set("|-: "):
            width = len(cells(row))
        assert len(cells(row)) == width, row


def test_without_anything_to_show_the_reports_say_so() -> None:
    assert "Nothing was compared" in report_html(session())
    assert summary_md(session()).startswith("## Nothing was compared\n")
    assert Page(report_html(session())).said("h1") == ["Nothing was compared"]
