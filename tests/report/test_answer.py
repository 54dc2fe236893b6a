"""What was found out about a drift: the answer before the numbers, the rest after them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Explanation,
    MovedItem,
    Outcome,
    Platform,
    SearchFinding,
    Target,
    Verdict,
)
from pytest_mlcontainer.report import Result, result_from_json, result_to_json
from pytest_mlcontainer.report.advice import advice, changes
from pytest_mlcontainer.report.answer import answer, in_brief, remarks, rest
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.markdown import summary_md
from pytest_mlcontainer.report.reading import read_report
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.terminal import failure_lines, summary_lines
from pytest_mlcontainer.report.words import brief
from pytest_mlcontainer.variations import FAMILIES

AMD64 = Target(Platform("linux", "amd64"), emulated=False)
ARM64 = Target(Platform("linux", "arm64"), emulated=True)
TRIED = ("threads=1", "hash-seed=1", "user=12345", "umask=077")
DRIFT = Difference(
    "outputs/w.npz", "coef", Verdict.DRIFT, max_abs=0.01, differing=8, beyond=8, size=9
)
SAME = Difference("outputs/m.json", "", Verdict.IDENTICAL, size=7, unit="bytes")
CRASH = SearchFinding("crash", ("user",), "fails with just this changed: PermissionError: /root")
SOLVER = SearchFinding(
    "amplifier", (), "an unconverged solver (did not converge)", "raise max_iter", "S"
)
THREADS = Cause(("threads",), 6, "drifts with it alone (2 of 2 runs) and agrees with all others")
EXPLAINED = Explanation(
    runs=6,
    tried=TRIED,
    not_exercised=(("locale", "no other locale"), ("simd", "no NumPy"), ("precision", "no NumPy")),
    findings=(CRASH, SOLVER),
    materiality="12 of 4,320 labels flipped",
)
VARIED = Outcome(
    "train", replace(AMD64, variations=TRIED), AMD64, Verdict.DRIFT, (DRIFT, SAME), (THREADS,),
    against="nothing varied", explanation=EXPLAINED,
)  # fmt: skip
PASSES = replace(VARIED, verdict=Verdict.IDENTICAL, differences=(SAME,), causes=())


def explained(outcome: Outcome = VARIED, /, **changed: Any) -> Outcome:
    assert outcome.explanation is not None
    return replace(outcome, explanation=replace(outcome.explanation, **changed))


def test_a_failure_leads_with_the_answer() -> None:
    """Cause, what helps, what it amounts to, why it is large; the numbers come after."""
    lines = failure_lines(VARIED, "")
    assert lines[:7] == [
        "train on linux/amd64 drifts when threads change: 1 item not within tolerance",
        "cause: threads (threads=1) — drifts with it alone (2 of 2 runs) and agrees with all "
        "others; 6 runs",
        f"  usually helps: {advice('threads')}",
        "what it amounts to: 12 of 4,320 labels flipped",
        "why it is this large: an unconverged solver (did not converge)",
        "  usually helps: raise max_iter (S)",
        "",
    ]
    assert lines.index("outputs/w.npz:coef") > 6


def test_a_failure_ends_with_the_rest() -> None:
    """Other findings, what had no effect, what was not exercised and why, what is not known."""
    lines = failure_lines(VARIED, "")
    at = next(number for number, line in enumerate(lines) if line.startswith("crash under"))
    assert at > lines.index("outputs/w.npz:coef")
    assert lines[at : at + 3] == [
        "crash under user: fails with just this changed: PermissionError: /root",
        "varied without effect on the results: hash-seed, umask",
        "not exercised: locale (no other locale), simd and precision (no NumPy)",
    ]


def test_of_many_that_were_not_exercised_for_one_reason_the_first_are_named() -> None:
    """Ninety packages that one side alone has would push all else from the screen."""
    only_there = tuple((f"package-{number}", "not in the image") for number in range(90))
    lines = failure_lines(explained(not_exercised=only_there), "")

    assert "not exercised: package-0, package-1, package-2 and 87 more (not in the image)" in lines


def test_after_an_unfinished_search_nothing_is_said_to_have_no_effect() -> None:
    """What is open is said instead."""
    lines = failure_lines(explained(open=("the budget of 6 runs ended",)), "")
    assert "also varied: hash-seed, umask" in lines
    assert "not known: the budget of 6 runs ended" in lines


@pytest.mark.parametrize(
    ("names", "headline"),
    [
        ((("hash-seed",),), "drifts when the hash seed changes: "),
        ((("clock", "timezone"),), "drifts when the date and the time zone change together: "),
        (
            (("threads",), ("simd",)),
            "drifts when threads change, or when vector instructions change",
        ),
        ((), "drifts when its environment changes: "),
    ],
)
def test_a_headline_says_what_has_to_change(names: Any, headline: str) -> None:
    """In words that a stranger to the variations' names understands."""
    causes = tuple(Cause(each, 3, "e") for each in names)
    assert failure_lines(replace(VARIED, causes=causes), "")[0].startswith(
        f"train on linux/amd64 {headline}"
    )


@pytest.mark.parametrize(
    ("names", "headline", "cause"),
    [
        (("hash-seed",), "repeats disagree until hash-seed is pinned", "cause: hash-seed — e"),
        (("clock", "hostname"), "repeats disagree until clock and hostname are pinned", "cause: "),
        (
            ("randomness",),
            "repeats disagree whatever is pinned",
            "cause: randomness (an unseeded generator, a race, or something from outside) — e; 3",
        ),
    ],
)
def test_repeats_that_disagree_name_what_has_to_be_pinned(
    names: tuple[str, ...], headline: str, cause: str
) -> None:
    """Or that nothing helps. A setting that was varied is no pin, and is not shown as one."""
    disagree = replace(
        VARIED, verdict=Verdict.NONDETERMINISTIC, against="other repeats",
        differences=(replace(DRIFT, verdict=Verdict.NONDETERMINISTIC),),
        causes=(Cause(names, 3, "e"),),
    )  # fmt: skip
    lines = failure_lines(disagree, "")
    assert lines[0].startswith(f"train on linux/amd64: {headline}: 1 item not the same")
    assert lines[1].startswith(cause)
    assert not any("without effect" in line for line in lines)


def test_a_crash_that_fails_the_test_is_the_answer_and_said_once() -> None:
    """Its finding is not repeated below."""
    crash = replace(
        PASSES, verdict=Verdict.FAILED, causes=(Cause(("user",), 4, CRASH.text),)
    )  # fmt: skip
    lines = failure_lines(crash, "")
    assert lines[0] == "train on linux/amd64 fails when the user changes"
    assert sum("PermissionError" in line for line in lines) == 1


def test_without_a_cause_the_suspects_are_named_as_such() -> None:
    """With why the search ended; and without any suspect, that nothing was found."""
    known = explained(
        replace(VARIED, causes=()), suspects=("simd", "threads"), open=("the budget ended", "more")
    )
    lines = failure_lines(known, "")
    assert lines[1] == (
        "suspected: simd, threads — not narrowed down further: it is among these; the budget ended"
    )
    assert "not known: more" in lines
    assert "also varied: hash-seed, umask" in lines, "and not what is suspected"
    assert "not known: the budget ended" not in lines
    assert failure_lines(replace(VARIED, causes=()), "")[1] == "cause: not found"


def test_across_platforms_what_is_explained_in_part_is_said() -> None:
    """The headline names both platforms, as ever."""
    part = SearchFinding("part", ("simd",), "3 of 5 items agree without it")
    across = explained(
        replace(VARIED, target=ARM64, against=""), findings=(part,), tried=("simd=least",)
    )
    lines = failure_lines(across, "")
    assert lines[0].startswith("train on linux/arm64 (emulated) drifts from linux/amd64")
    assert "explained in part: simd — 3 of 5 items agree without it" in lines


def test_a_package_is_advised_on_as_one() -> None:
    """It is called by its own name, and its setting says from which version to which."""
    of_package = explained(
        replace(VARIED, causes=(Cause(("numpy",), 5, "e"),), against="image b"),
        tried=("numpy 2.3.0 → 2.4.6",),
    )
    (cause, *_others) = answer(of_package)
    assert cause.text == "(numpy 2.3.0 → 2.4.6) — e; 5 runs"
    assert cause.below == (("usually helps", advice("dependency")),)


def test_what_images_differ_in_is_no_variation_without_effect() -> None:
    """Versions are tried one against another; who tried them says what is harmless."""
    harmless = SearchFinding("harmless", ("rich",), "differs without an effect: rich 13 → 14")
    images = explained(
        replace(VARIED, causes=(Cause(("numpy",), 5, "e"),), against="image b"),
        tried=("numpy 2.3.0 → 2.4.6", "rich 13 → 14"), findings=(harmless,),
    )  # fmt: skip
    assert [(each.label, each.text) for each in rest(images)][:2] == [
        ("harmless", "differs without an effect: rich 13 → 14"),
        ("not exercised", "locale (no other locale), simd and precision (no NumPy)"),
    ]


def test_findings_of_what_passes_are_seen_in_the_summary() -> None:
    """A crash and what was not exercised are no failure of the results, and are not silent."""
    lines = summary_lines([Result(outcome=PASSES)])
    assert " ".join(lines[0].split()) == (
        "train linux/amd64 varied identical crash under user, 3 variations without effect"
    )
    assert [line.removeprefix("train on linux/amd64: ") for line in lines[1:]] == [
        "crash under user: fails with just this changed: PermissionError: /root",
        "not exercised: locale (no other locale), simd and precision (no NumPy)",
    ]
    session = gather([Result(outcome=PASSES)], 1.0)
    for page in (report_html(session), summary_md(session)):
        assert "crash under user: fails with just this changed" in page


def test_what_fails_is_no_remark_for_it_is_shown_in_full() -> None:
    """Nothing is said twice; nor is there a remark on what was never explained."""
    assert remarks(VARIED) == ()
    assert remarks(replace(PASSES, explanation=None)) == ()
    assert rest(replace(PASSES, explanation=None)) == ()


def test_the_summary_names_the_cause_before_the_number() -> None:
    """In the same columns as other comparisons."""
    (line, *_notes) = summary_lines([Result(outcome=VARIED)])
    assert line.split("  ")[0] == "train"
    assert "cause: threads; max abs 0.01 in outputs/w.npz:coef" in line
    assert in_brief(replace(VARIED, causes=(), explanation=None)) == ""


def test_runs_in_search_of_causes_are_counted_apart() -> None:
    """No test reports them, and they take most of the time."""
    session = gather([Result(outcome=VARIED), Result(outcome=PASSES)], 1.0)
    assert "0 runs, 12 runs in search of causes, 1.0 s" in report_html(session)
    assert summary_md(session).endswith("0 runs, 12 runs in search of causes, 1.0 s\n")


def test_a_page_and_a_summary_say_the_same_as_the_terminal() -> None:
    """All of the answer is in each; the page also has the rest."""
    session = gather([Result(outcome=VARIED)], 1.0)
    page, summary = report_html(session), summary_md(session)
    for part in ("drifts when threads change", "12 of 4,320 labels", "an unconverged solver"):
        assert part in page
    assert page.index("an unconverged solver") < page.index("outputs/w.npz:coef</code> <span")
    assert "varied without effect on the results" in page
    lines = summary.split("\n")
    at = lines.index("### Why")
    assert lines[at + 2] == (
        "- train on linux/amd64 drifts when threads change: 1 item not within tolerance"
    )
    assert lines[at + 3].startswith("  - **cause:** `threads` (threads=1) — drifts with it alone")
    assert at < lines.index("### Worst differences")


def test_report_json_has_the_explanation() -> None:
    """With the documented keys; null where no cause was looked for."""
    found = [Result(outcome=VARIED), Result(outcome=replace(VARIED, explanation=None))]
    with_it, without = json.loads(report_json(gather(found, 1.0)))["results"]
    assert without["explanation"] is None
    assert with_it["explanation"] == {
        "runs": 6,
        "tried": list(TRIED),
        "not_exercised": [
            {"name": "locale", "why": "no other locale"},
            {"name": "simd", "why": "no NumPy"},
            {"name": "precision", "why": "no NumPy"},
        ],
        "findings": [
            {"kind": "crash", "names": ["user"], "text": CRASH.text, "advice": "", "source": ""},
            {
                "kind": "amplifier",
                "names": [],
                "text": SOLVER.text,
                "advice": "raise max_iter",
                "source": "S",
            },
        ],
        "materiality": "12 of 4,320 labels flipped",
        "open": [],
        "suspects": [],
        "trials": [],
    }


def test_explanations_travel_between_processes_unchanged() -> None:
    """As a worker sends them to its controller."""
    whole = explained(open=("o",), suspects=("s",))
    sent = json.loads(json.dumps(result_to_json(Result(outcome=whole))))
    assert result_from_json(sent) == Result(outcome=whole)


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_every_family_has_advice_and_words_for_a_headline(name: str) -> None:
    """One line each, for those who see the name for the first time."""
    assert 10 < len(advice(name)) < 200
    assert changes((name,)) != f"{name} changes"


HOSTILE = "a\x1b[2J\x9b1m\n\u202eb\ud800\u2028\x07"


def test_text_of_findings_cannot_act_on_the_terminal() -> None:
    """Failures are quoted from containers, and names come from plugins."""
    whole = Explanation(
        3, (HOSTILE,), ((HOSTILE, HOSTILE),),
        tuple(SearchFinding(kind, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE)
              for kind in ("crash", "amplifier", "part", HOSTILE)),
        HOSTILE, (HOSTILE, HOSTILE), (HOSTILE,),
    )  # fmt: skip
    causes = (Cause((HOSTILE,), 2, HOSTILE),)
    for verdict in Verdict:
        for found in ((), causes):
            each = replace(VARIED, verdict=verdict, explanation=whole, causes=found)
            for line in [*failure_lines(each, ""), *summary_lines([Result(outcome=each)])]:
                assert line.isprintable(), line


def test_what_one_run_lacks_is_said_with_that_runs_name() -> None:
    """A reader knows no "actual run": the columns of values have other names."""
    gone = Difference("outputs/m.json", "auc", Verdict.DRIFT, note="missing in the actual run")
    across = Outcome("train", ARM64, AMD64, Verdict.DRIFT, (gone,))
    baseline = replace(across, reference=ARM64, against="the baseline")
    varied = replace(VARIED, differences=(gone,))
    for outcome, said in (
        (across, "missing on linux/arm64"),
        (baseline, "missing in this run"),
        (varied, "missing in the varied run"),
    ):
        session = gather([Result(outcome=outcome)], 1.0)
        texts = ["\n".join(failure_lines(outcome, "")), report_json(session), report_html(session)]
        for text in texts:
            assert said in text
            assert "actual run" not in text


def test_of_several_causes_each_says_what_it_alone_moves() -> None:
    """On the terminal and on the page; and in the report, for others to read."""
    items = MovedItem("w.npz:coef", 0.012345, 0.3), MovedItem("m.json:kind", note="another word")
    causes = (replace(THREADS, moves=items, moves_more=7), Cause(("umask",), 3, "e"))
    outcome = replace(VARIED, causes=causes)
    said = "w.npz:coef (max abs 0.0123, max rel 0.3); m.json:kind (another word); and 7 more"
    session = gather([Result(outcome=outcome)], 1.0)
    lines = failure_lines(outcome, "")
    assert f"  alone it moves: {said}" in lines
    assert sum("alone it moves" in line for line in lines) == 1
    assert said in report_html(session)
    read = read_report(report_json(session), "a").comparisons[0].tree.outcome
    assert read.causes == causes
    assert result_from_json(result_to_json(Result(outcome=outcome))).outcome == outcome


def test_how_many_differ_is_said_before_which_repeats_do() -> None:
    """That it was repeats 1 and 0 tells a reader less than that all five elements differ."""
    found = Difference(
        "a.json", "words", Verdict.NONDETERMINISTIC, differing=5, size=5, rule="exact",
        note="repeat 1 and repeat 0",
    )  # fmt: skip
    assert brief(found).startswith("5 of 5 elements differ")
