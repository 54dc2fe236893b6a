"""What is printed and written about comparisons: complete, in one line where it has to be, safe."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Failure,
    Outcome,
    Platform,
    Target,
    Verdict,
)
from pytest_mlcontainer.report import Result, result_from_json, result_to_json, words
from pytest_mlcontainer.report.escape import cut_inside, escape
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.terminal import failure_lines, summary_lines

AMD64 = Target(Platform("linux", "amd64"), emulated=False)
ARM64 = Target(Platform("linux", "arm64"), emulated=True)
HOSTILE = "a\x1b[2J\x9b1m\n\u202eb\ud800\u2028\x07"
DRIFT = Difference(
    "outputs/w.npz",
    "coef",
    Verdict.DRIFT,
    max_abs=0.0123456,
    max_rel=0.3,
    max_ulp=912345,
    scale_error=0.001,
    worst_index=(0, 3),
    worst_actual="0.12345679",
    worst_expected="0.12345678",
    differing=88,
    beyond=12,
    size=128,
    rule="rtol 1.3e-06 or 1.5e-05 of scale (float32 default)",
)
NEAR = Difference("outputs/w.npz", "bias", Verdict.EQUIVALENT, max_abs=1e-9, differing=1, size=2)
SAME = Difference("outputs/m.json", "", Verdict.IDENTICAL, size=7, unit="items", note="7 items …")


def outcome(*differences: Difference, **changes: Any) -> Outcome:
    verdict = max((each.verdict for each in differences), key=lambda verdict: verdict.severity)
    return replace(Outcome("train", ARM64, AMD64, verdict, differences), **changes)


def run(**changes: Any) -> Result:
    base = RunResult("r1", "infer", ARM64, 3, 1.5, Failure("the entrypoint failed", "x", "y"))
    return Result(run=replace(base, **changes))


def test_a_failure_names_the_entrypoint_both_targets_and_emulation() -> None:
    head = failure_lines(outcome(DRIFT, NEAR), "")[0]
    assert head.startswith("train on linux/arm64 (emulated) drifts from linux/amd64")


def test_a_failure_shows_all_numbers_side_by_side_and_both_values() -> None:
    text = "\n".join(failure_lines(outcome(DRIFT), ""))
    assert "outputs/w.npz:coef" in text
    assert "max abs 0.0123   max rel 0.3   max ULP 912,345   scale error 0.001" in text
    assert "88 of 128 elements differ, 12 beyond rtol 1.3e-06 or 1.5e-05 of scale" in text
    assert "worst at [0, 3]:" in text
    assert "linux/arm64              0.12345679" in text
    assert "linux/amd64 (reference)  0.12345678" in text


def test_numbers_that_nobody_measured_are_not_shown_as_0() -> None:
    """A relative error of an expected 0, and units in the last place up to a NaN."""
    nan = Difference(
        "a.npy", "", Verdict.DRIFT, max_abs=math.inf, max_rel=math.inf, max_ulp=0, differing=1
    )
    assert dict(words.numbers(nan)) == {"max abs": "inf", "max rel": "inf"}
    zero = Difference("a.npy", "", Verdict.DRIFT, max_abs=255.0, max_rel=0.0, scale_error=1.0)
    assert dict(words.numbers(zero)) == {"max abs": "255", "scale error": "1"}
    same = Difference("a.npy", "", Verdict.DRIFT, max_abs=0.0, max_rel=0.0, scale_error=0.0)
    assert dict(words.numbers(same)) == {"max abs": "0", "max rel": "0", "scale error": "0"}


def test_a_failure_sums_up_what_agrees() -> None:
    lines = failure_lines(outcome(DRIFT, NEAR, SAME), "")
    assert "within tolerance: 1 item, the worst outputs/w.npz:bias (max abs 1e-09)" in lines
    assert "identical: 7 items of outputs/m.json" in lines


def test_a_failure_ends_with_the_commands_that_repeat_and_that_explain_it() -> None:
    assert failure_lines(outcome(DRIFT), "pytest --container x")[-4:] == [
        "repeat just this:",
        "  pytest --container x",
        "look for the cause, and for the line:",
        "  pytest --container --container-vary --container-locate x",
    ]
    assert "repeat just this:" not in failure_lines(outcome(DRIFT), "")


def test_a_failure_shows_eight_facts_and_counts_the_others() -> None:
    facts = tuple((f"fact{number}", f"ref{number}", None) for number in range(11))
    lines = failure_lines(outcome(DRIFT, facts=facts), "")
    assert sum("ref" in line.split()[-1] for line in lines if line.startswith("  fact")) == 8
    assert "  … and 3 more" in lines


def test_facts_stand_under_the_side_they_belong_to() -> None:
    lines = failure_lines(outcome(DRIFT, facts=(("threads", 4, 2),)), "")
    at = lines.index("the environments differ:")
    assert lines[at + 1].split() == ["linux/arm64", "linux/amd64", "(reference)"]
    assert lines[at + 2].split() == ["threads", "2", "4"]


def test_many_drifting_items_alike_are_one_line_and_three_of_them_in_full() -> None:
    many = [replace(DRIFT, item=f"c{number}") for number in range(25)]
    lines = failure_lines(outcome(*many), "")
    assert sum(re.match(r"outputs/w\.npz:c\d", line) is not None for line in lines) == 3
    at = lines.index("… and 22 more; -v shows some of them, --container-report all")
    assert lines[at + 1] == "outputs/w.npz:c*  22 drift, the worst max abs 0.0123, max rel 0.3"


def test_what_can_be_judged_comes_before_the_insides_of_a_model() -> None:
    """A hundred trees with another number of nodes are a line; a prediction is seen in full."""
    parts = ("split_indices", "base_weights")
    trees = [
        Difference("model.json", f"trees[{number}].{part}", Verdict.DRIFT, note="shape (3,)")
        for number in range(100)
        for part in parts
    ]
    scores = replace(DRIFT, output="pred.csv", item="score")
    lines = failure_lines(outcome(*trees, scores), "")
    values, rest = "\n".join(lines).split("\n… and ")
    assert len(lines) < 40
    assert values.index("\npred.csv:score\n") < values.index(
        "\nmodel.json:trees[0].split_indices\n"
    )
    assert rest.splitlines()[1:4] == [
        "model.json:trees[*]  198 drift",
        "  split_indices      99 drift, such as shape (3,)",
        "  base_weights       99 drift, such as shape (3,)",
    ]


def test_single_numbers_stand_in_one_table_and_the_rest_is_summed_up() -> None:
    """With the bound that they are beyond, and no unit that says nothing of them."""
    lone = replace(
        DRIFT, size=1, differing=1, beyond=1, worst_index=(), worst_actual="2", worst_expected="1"
    )
    ten = [replace(lone, output="m.json", item=f"fold[{at}].rmse") for at in range(10)]
    lines = failure_lines(outcome(*ten), "")
    assert lines[2:10] == [
        "                     linux/arm64  linux/amd64 (reference)  max abs  max rel",
        "m.json:fold[0].rmse  2            1                        0.0123   0.3",
        "m.json:fold[1].rmse  2            1                        0.0123   0.3",
        "m.json:fold[2].rmse  2            1                        0.0123   0.3",
        "    beyond rtol 1.3e-06 or 1.5e-05 of scale (float32 default)",
        "",
        "… and 7 more; -v shows some of them, --container-report all",
        "m.json:fold[*].rmse  7 drift, the worst max abs 0.0123, max rel 0.3",
    ]
    assert "scale error" not in "\n".join(lines)
    assert "scale error" in "\n".join(failure_lines(outcome(*ten), "", 1))


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_places_alike_are_shown_one_by_one(count: int) -> None:
    few = [replace(DRIFT, item=f"layer[{number}].w", max_abs=1.0) for number in range(count)]
    lines = failure_lines(outcome(*few, replace(DRIFT, item="bias")), "")
    text = "\n".join(lines)
    assert all(f"outputs/w.npz:layer[{number}].w" in text for number in range(count))
    assert "[*]" not in text


def test_what_cannot_be_read_says_why() -> None:
    failed = Difference("a.json", "", Verdict.FAILED, note="actual run: a.json is broken JSON")
    lines = failure_lines(outcome(failed), "")
    assert "cannot be compared" in lines[0]
    assert "a.json  [failed]" in lines
    assert "    actual run: a.json is broken JSON" in lines


def test_repeats_on_one_platform_are_told_apart() -> None:
    text = "\n".join(failure_lines(outcome(DRIFT, target=AMD64), ""))
    assert "this run                 0.12345679" in text


def test_lines_and_bytes_are_called_so() -> None:
    text = replace(DRIFT, unit="lines", worst_index=(4,), rule="exact (text)")
    assert "    line 5:" in failure_lines(outcome(text), "")
    raw = replace(DRIFT, unit="bytes", worst_index=(4,), rule="exact (bytes)")
    assert "    byte 4:" in failure_lines(outcome(raw), "")


def test_text_from_a_container_cannot_act_on_the_terminal() -> None:
    hostile = replace(
        DRIFT,
        output=HOSTILE,
        item=HOSTILE,
        worst_actual=HOSTILE,
        worst_expected=HOSTILE,
        rule=HOSTILE,
        note=HOSTILE,
    )
    others = [replace(hostile, verdict=verdict) for verdict in Verdict]
    whole = outcome(
        *others, entrypoint=HOSTILE, facts=((HOSTILE, HOSTILE, HOSTILE),), notes=(HOSTILE,)
    )
    failed = run(failure=Failure(HOSTILE, HOSTILE, HOSTILE), entrypoint=HOSTILE)
    lines = failure_lines(whole, "") + summary_lines([Result(outcome=whole), failed])
    for line in lines:
        assert line.isprintable(), line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 猫", "plain é 猫"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202e\u2066", r"\u202e\u2066"),
        ("\ud800", r"\ud800"),
        ("\x9b\x7f", r"\x9b\x7f"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_acts_is_escaped_and_the_rest_stays(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("text", ["x" * 1000, "\n" * 1000, "\n" * 15])
def test_escaped_text_keeps_its_limit(text: str) -> None:
    assert len(escape(text, 20)) == 20
    assert escape(text, 20).endswith("…")


def test_names_of_one_folder_never_look_alike_when_they_are_cut() -> None:
    folder = "mlruns/833809103049812317/3d7e917b278e46bfb54aeaabd4aa0b78/metrics/"
    names = [f"{folder}metric_{number}" for number in range(30)]
    shown = [cut_inside(name, 50) for name in names]
    assert len({*shown}) == 30
    assert {len(each) for each in shown} == {50}
    assert all(each.startswith("mlruns/83") for each in shown)
    assert cut_inside("short", 50) == "short"


def test_the_summary_is_aligned_and_fits_100_columns() -> None:
    long = replace(DRIFT, output="outputs/" + "deep/" * 30 + "w.npz")
    lines = summary_lines(
        [Result(outcome=outcome(long)), Result(outcome=outcome(SAME, entrypoint="x")), run()]
    )
    assert max(map(len, lines)) <= 100
    assert len(lines) == 4
    assert lines[-1] == "* emulated"
    assert lines[1].index("linux/arm64*") == lines[2].index("linux/arm64*")
    assert lines[1].index("drift") == lines[2].index("identical")


def test_without_results_or_with_runs_that_worked_there_is_no_summary() -> None:
    assert summary_lines([]) == []
    assert summary_lines([run(failure=None)]) == []


def test_report_json_has_the_documented_keys() -> None:
    cause = Cause(("blas-kernel",), 7, "…")
    found = Result(outcome=outcome(DRIFT, causes=(cause,)))
    report = json.loads(
        report_json(gather([found, run(), run(), run(id="r2", failure=None)], 31.5))
    )
    assert (report["schema"], report["runs"], report["duration_s"]) == (1, 2, 31.5)
    (result,) = report["results"]
    assert result["target"] == {
        "platform": "linux/arm64",
        "emulated": True,
        "gpus": None,
        "variations": [],
        "cpu": None,
    }
    assert result["verdict"] == "drift"
    assert result["causes"] == [{"names": ["blas-kernel"], "runs": 7, "evidence": "…"}]
    (difference,) = result["differences"]
    documented = {
        "output": "outputs/w.npz",
        "item": "coef",
        "verdict": "drift",
        "max_abs": 0.0123456,
        "max_rel": 0.3,
        "max_ulp": 912345,
        "scale_error": 0.001,
        "worst_index": [0, 3],
        "differing": 88,
        "size": 128,
    }
    assert documented.items() <= difference.items()
    (failure,) = report["failures"]
    assert (failure["entrypoint"], failure["what"]) == ("infer", "the entrypoint failed")


def test_numbers_that_json_does_not_have_are_strings() -> None:
    infinite = replace(DRIFT, max_abs=math.inf, max_rel=math.nan, scale_error=-math.inf)
    text = report_json(gather([Result(outcome=outcome(infinite))], 1.0))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    (result,) = json.loads(text, parse_constant=refuse)["results"]
    (found,) = result["differences"]
    assert (found["max_abs"], found["max_rel"], found["scale_error"]) == ("inf", "nan", "-inf")


def test_a_report_with_surrogates_can_be_written_as_utf_8() -> None:
    text = report_json(gather([Result(outcome=outcome(replace(DRIFT, item="\ud800")))], 1.0))
    assert json.loads(text.encode("utf-8"))["results"][0]["differences"][0]["item"] == "\ud800"


def test_results_travel_between_processes_unchanged() -> None:
    whole = outcome(
        DRIFT, NEAR, causes=(Cause(("a", "b"), 3, "e"),), facts=(("f", 1, None),), notes=("n",)
    )
    for result in (Result(outcome=whole), run(), run(failure=None)):
        sent = json.loads(json.dumps(result_to_json(result)))
        assert result_from_json(sent) == result


@pytest.mark.parametrize(
    ("unlisted", "said"),
    [("175 drift, 3 equivalent, 2 failed", ": 178 items not"), ("175 equivalent", ": 1 item not")],
)
def test_the_headline_counts_what_is_off_and_not_listed_too(unlisted: str, said: str) -> None:
    found = replace(
        outcome(DRIFT), notes=(f"w.npz: the worst 50 items are listed; not listed: {unlisted}",)
    )
    assert said in failure_lines(found, "")[0]
