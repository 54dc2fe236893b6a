"""One tree, drawn four times: the same places and numbers everywhere, bounded and soon done."""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Element, Outcome, Platform, Target, Verdict
from pytest_mlcontainer.report import Result, result_from_json, result_to_json, words
from pytest_mlcontainer.report.terminal import failure_lines, summary_lines
from pytest_mlcontainer.report.tree import BINS, LISTED, build_tree, split_item
from pytest_mlcontainer.report.writing import write_reports
from tests.growth import times_longer

AMD64 = Target(Platform("linux", "amd64"), emulated=False)
ARM64 = Target(Platform("linux", "arm64"), emulated=True)
DRIFT = Difference(
    "outputs/model.pkl",
    "estimators_[3].tree_.threshold",
    Verdict.DRIFT,
    max_abs=0.0311,
    max_rel=1.79,
    max_ulp=12_678_648,
    scale_error=0.00524,
    worst_index=(85,),
    worst_actual="-0.597",
    worst_expected="-0.628",
    differing=166,
    beyond=160,
    size=170,
    rule="rtol 1.3e-06 (float32 default)",
    quantiles=((0.5, 1.2e-3), (0.9, 8e-3), (0.99, 2.6e-2)),
    histogram=((1e-4, 1e-3, 6), (1e-3, 1e-2, 0), (1e-2, 1e-1, 160)),
    elements=(
        Element((85,), "-0.597", "-0.628", 0.0311),
        Element((12,), "0.12", "0.15", 0.03),
        Element((3,), "1.5", "1.52", 0.02),
        Element((4,), "1.5", "1.51", 0.01),
    ),
    noise=7.4e-4,
)


def outcome(*differences: Difference, **changes: object) -> Outcome:
    worst = max((each.verdict for each in differences), key=lambda verdict: verdict.severity)
    base = Outcome("train", ARM64, AMD64, worst, differences)
    return replace(base, **changes)  # type: ignore[arg-type]


def at(output: str, item: str, verdict: Verdict = Verdict.DRIFT) -> Difference:
    return replace(DRIFT, output=output, item=item, verdict=verdict)


def drawn(node: object, depth: int = 0) -> list[tuple[int, str, str]]:
    """Depth, label and verdict of all nodes."""
    lines = [(depth, node.label, node.verdict.value)]  # type: ignore[attr-defined]
    for child in node.children:  # type: ignore[attr-defined]
        lines += drawn(child, depth + 1)
    return lines


def test_items_become_a_tree_and_lonely_parts_one_label() -> None:
    tree = build_tree(
        outcome(
            at("m.pkl", "estimators_[3].tree_.threshold"),
            at("m.pkl", "estimators_[3].tree_.value", Verdict.EQUIVALENT),
            at("m.pkl", "estimators_[7].tree_.value"),
            at("m.pkl", "classes_", Verdict.IDENTICAL),
            at("a.zip", "sub/w.npz/layer1/kernel"),
        )
    )

    assert [line for node in tree.outputs for line in drawn(node)] == [
        (0, "m.pkl", "drift"),
        (1, "estimators_", "drift"),
        (2, "[3].tree_", "drift"),
        (3, ".threshold", "drift"),
        (3, ".value", "equivalent"),
        (2, "[7].tree_.value", "drift"),
        (1, "classes_", "identical"),
        (0, "a.zip:sub/w.npz/layer1/kernel", "drift"),
    ]
    assert words.counts_text(tree.outputs[0].counts) == "2 drift, 1 equivalent, 1 identical"
    assert words.counts_text(tree.counts) == "3 drift, 1 equivalent, 1 identical"
    assert tree.outputs[1].output == "a.zip"


def test_the_verdict_of_a_place_is_the_worst_below() -> None:
    for worst in Verdict:
        tree = build_tree(outcome(at("o", "a.b", Verdict.IDENTICAL), at("o", "a.c.d", worst)))
        assert [node.verdict for node in tree.outputs] == [worst]


def test_folded_items_count_with_their_number() -> None:
    folded = Difference("o", "", Verdict.IDENTICAL, size=41, unit="items", note="41 items …")

    tree = build_tree(outcome(at("o", "a"), folded))

    assert dict(tree.outputs[0].counts) == {Verdict.DRIFT: 1, Verdict.IDENTICAL: 41}


@given(st.text(max_size=60) | st.text("[]./ab0", max_size=60))
def test_parts_of_any_item_join_to_its_name(item: str) -> None:
    parts = split_item(item)

    assert "".join(parts) == item
    assert all(parts)
    assert len(parts) <= 12


@given(
    st.lists(
        st.tuples(
            st.text("ab/", max_size=3), st.text("[]./ab", max_size=9), st.sampled_from(Verdict)
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_difference_is_in_the_tree_once_and_counted(
    found: list[tuple[str, str, Verdict]],
) -> None:
    differences = tuple(at(*each) for each in found)
    tree = build_tree(outcome(*differences))

    def below(node: object) -> list[object]:
        own = [leaf.difference for leaf in node.leaves]  # type: ignore[attr-defined]
        return own + [each for child in node.children for each in below(child)]  # type: ignore[attr-defined]

    inside = [each for node in tree.outputs for each in below(node)]
    assert sorted(map(id, inside)) == sorted(map(id, differences))
    assert sum(count for _verdict, count in tree.counts) == len(differences)
    for node in tree.outputs:
        assert sum(count for _verdict, count in node.counts) == len(below(node))
        assert node.output in {each.output for each in differences}


def test_terminal_json_html_and_markdown_say_the_same(tmp_path: Path) -> None:
    whole = outcome(DRIFT, at("m.json", "loss", Verdict.EQUIVALENT))
    write_reports(tmp_path, [Result.of_outcome(whole)], 1.0)
    terminal = "\n".join(failure_lines(whole, ""))
    page = (tmp_path / "report.html").read_text()
    summary = (tmp_path / "summary.md").read_text()
    (result,) = json.loads((tmp_path / "report.json").read_text())["results"]
    (found, _near) = result["differences"]

    for name, key in (
        ("max abs", "max_abs"),
        ("max rel", "max_rel"),
        ("scale error", "scale_error"),
    ):
        assert f"{name} {found[key]:.3g}" in terminal
        assert f"<dt>{name}</dt><dd>{found[key]:.3g}</dd>" in page
        assert f" {found[key]:.3g} |" in summary
    assert f"max ULP {found['max_ulp']:,}" in terminal
    assert f"<dt>max ULP</dt><dd>{found['max_ulp']:,}</dd>" in page
    for text in (
        "166 of 170 elements differ, 160 beyond rtol 1.3e-06 (float32 default)",
        "errors: median 0.0012, 90% 0.008, 99% 0.026, max 0.0311",
        "42 × the noise between repeats (0.00074)",
    ):
        assert text in terminal
        assert text in page
    assert found["quantiles"] == [[0.5, 0.0012], [0.9, 0.008], [0.99, 0.026]]
    assert found["histogram"] == [[1e-4, 1e-3, 6], [1e-3, 1e-2, 0], [1e-2, 1e-1, 160]]
    assert found["noise"] == 7.4e-4
    assert found["path"] == ["outputs/model.pkl", "estimators_", "[3]", ".tree_", ".threshold"]
    assert [each["index"] for each in found["elements"]] == [[85], [12], [3], [4]]
    assert result["counts"] == {"drift": 1, "equivalent": 1}
    assert [each["verdict"] for each in result["outputs"]] == ["drift", "equivalent"]
    assert re.findall(r"<title>(\S+) to (\S+): (\d+)</title>", page)[:3] == [
        ("0.0001", "0.001", "6"), ("0.001", "0.01", "0"), ("0.01", "0.1", "160"),
    ]  # fmt: skip


def test_the_terminal_shows_the_three_worst_elements_side_by_side() -> None:
    lines = failure_lines(outcome(DRIFT), "")
    start = next(number for number, line in enumerate(lines) if line.startswith("    worst at"))

    assert [line.split() for line in lines[start : start + 4]] == [
        ["worst", "at", "linux/arm64", "linux/amd64", "(reference)", "off", "by"],
        ["[85]", "-0.597", "-0.628", "0.0311"],
        ["[12]", "0.12", "0.15", "0.03"],
        ["[3]", "1.5", "1.52", "0.02"],
    ]
    assert lines[start + 4] == words.LEGEND
    columns = [re.search(r"-?\d\S*  ", line) for line in lines[start + 1 : start + 4]]
    assert len({found.start() for found in columns if found}) == 1, "they stand in one column"


def test_values_too_long_for_columns_are_shown_below_each_other() -> None:
    long = replace(DRIFT.elements[0], actual="9" * 60)
    lines = failure_lines(outcome(replace(DRIFT, elements=(long, *DRIFT.elements[1:]))), "")

    assert "    worst at [85]:" in lines
    assert f"      linux/arm64              {'9' * 60}" in lines


def test_the_terminal_draws_a_histogram_whose_small_bins_can_be_seen() -> None:
    assert "    0.0001 │▁ █│ 0.1" in failure_lines(outcome(DRIFT), "", 1)
    assert "│" not in "".join(failure_lines(outcome(DRIFT), "")), "quantiles do without"


@pytest.mark.parametrize(
    ("noise", "max_abs", "says"),
    [
        (None, 1.0, ""),
        (0.0, 1.0, "repeats of the reference are identical here"),
        (0.5, 0.1, "0.2 × the noise between repeats (0.5)"),
        (0.5, math.inf, "the noise between repeats is 0.5"),
        (0.5, None, "the noise between repeats is 0.5"),
    ],
)
def test_noise_is_said_where_it_is_known(noise: float, max_abs: float, says: str) -> None:
    assert words.noise_text(replace(DRIFT, noise=noise, max_abs=max_abs)) == says


def test_a_histogram_over_all_decades_keeps_its_sum_and_its_ends() -> None:
    wide = tuple((10.0**power, 10.0 ** (power + 1), 1) for power in range(-300, 300))

    shown = words.bins(replace(DRIFT, histogram=wide))

    assert len(shown) <= 24
    kept = build_tree(outcome(replace(DRIFT, histogram=wide))).leaves[0].difference.histogram
    assert 24 < len(kept) <= BINS
    for bins in (shown, kept):
        assert sum(count for _low, _high, count in bins) == 600
        assert (bins[0][0], bins[-1][1]) == (1e-300, 1e300)


def many(count: int) -> Outcome:
    """Very many items that drift, with long names and values, in as many outputs."""
    long = replace(
        DRIFT,
        elements=tuple(Element((n, n), "<&>" * 70, "&lt;" * 60, 0.1) for n in range(10)),
        note="<" * 400,
        histogram=tuple((10.0**power, 10.0 ** (power + 1), 1) for power in range(-300, 300)),
    )
    differences = [
        replace(long, output=f"outputs/{number % 2000}.npz", item=f"layers[{number}].<weight>")
        for number in range(count)
    ]
    facts = tuple((f"package.p{number}", "1", "2") for number in range(count // 20))
    notes = tuple(f"note {number}" for number in range(count // 20))
    return outcome(*differences, facts=facts, notes=notes)


def test_a_hundred_thousand_items_give_a_small_report_soon(tmp_path: Path) -> None:
    whole = many(100_000)
    lines: list[str] = []

    def draw(outcome: Outcome) -> None:
        lines[:] = failure_lines(outcome, "repeat")
        kept = json.loads(json.dumps(result_to_json(Result.of_outcome(outcome))))
        write_reports(tmp_path, [result_from_json(kept)], 1.0)

    assert times_longer(draw, many(12_500), whole, tries=1) < 8 * 4

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert len(lines) <= 200
    assert lines[0].endswith("100,000 items not within tolerance")
    assert f"… and {100_000 - 3:,} more; -v shows some of them, --container-report all" in lines
    assert sizes["report.html"] < 4e6
    assert sizes["summary.md"] < 3e4
    report = json.loads((tmp_path / "report.json").read_text())["results"][0]
    assert len(report["differences"]) == LISTED
    assert report["counts"] == {"drift": 100_000}
    assert report["unlisted"] == {"drift": 100_000 - LISTED}


def test_hundreds_of_comparisons_give_a_small_report(tmp_path: Path) -> None:
    results = [Result.of_outcome(many(20))] * 300

    write_reports(tmp_path, results, 1.0)

    assert (tmp_path / "report.html").stat().st_size < 4e6
    assert (tmp_path / "summary.md").stat().st_size < 1e5
    assert len(summary_lines(results)) < 250


def test_the_worst_are_kept_wherever_they_stand() -> None:
    differences = [at("o", str(number), Verdict.EQUIVALENT) for number in range(2000)]
    random.Random(1).shuffle(differences)
    differences.insert(1234, at("o", "bad", Verdict.FAILED))

    result = Result.of_outcome(outcome(*differences))

    assert result.outcome is not None
    assert result.outcome.differences[0].item == "bad"
    assert result.unlisted == ((Verdict.EQUIVALENT, 2001 - LISTED),)
    assert result_from_json(json.loads(json.dumps(result_to_json(result)))) == result


def test_an_item_that_is_very_deep_is_drawn() -> None:
    deep = outcome(at("o", "a." * 50_000 + "b"), at("o", "[" * 50_000))

    assert len(failure_lines(deep, "")) < 60
