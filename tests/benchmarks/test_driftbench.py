"""DriftBench: that its cases are well formed, and that answers are scored rightly."""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.driftbench import baselines, ranking, reprotest
from benchmarks.driftbench.cases import (
    CASES,
    CLASSES,
    SETS,
    Case,
    find_problems,
    load_cases,
    select,
)
from benchmarks.driftbench.images import Staged
from benchmarks.driftbench.product import read_report
from benchmarks.driftbench.scoring import Answer, abstains, is_stable, score, set_f1
from benchmarks.driftbench.table import Measurement, as_json, draw, put_into
from benchmarks.driftbench.wheels import write_wheels
from pytest_mlcontainer.config import check_files, load
from pytest_mlcontainer.variations import FAMILIES

ALL = load_cases()
LEAST = {
    "numeric": 10,
    "process": 10,
    "files": 7,
    "supply": 6,
    "intrinsic": 3,
    "interaction": 4,
    "control": 16,
}


def case(
    name: str, *causes: tuple[str, ...], verdict: str = "drift", group: str = "process"
) -> Case:
    sets = frozenset(frozenset(names) for names in causes)
    return Case(name, Path(name), "", "development", "one", group, (verdict,), sets, "train")


def said(verdict: str, *causes: tuple[str, ...], runs: int = 0) -> Answer:
    return Answer(verdict, tuple(frozenset(names) for names in causes), runs)


CLOCK = case("clock", ("clock",))
TWO = case("two", ("threads",), ("cpus",), group="numeric")
NOISE = case("noise", ("randomness",), verdict="nondeterministic", group="intrinsic")
CLEAN = case("clean", verdict="identical", group="control")


def test_there_are_as_many_cases_of_each_class_as_promised() -> None:
    """Every class of faults has its number of cases, and so have controls."""
    counts = Counter(each.group for each in ALL)
    assert {name for name in LEAST if counts[name] < LEAST[name]} == set()
    assert set(counts) == set(CLASSES)


def test_both_sets_have_cases_of_every_class() -> None:
    """Two in five cases are for developing, give or take, and each class is in both sets."""
    for group in CLASSES:
        assert {each.set for each in ALL if each.group == group} == set(SETS)
    share = sum(each.set == "development" for each in ALL) / len(ALL)
    assert 0.35 <= share <= 0.47


@pytest.mark.parametrize("name", [each.name for each in ALL])
def test_a_case_is_a_project_that_the_product_accepts(name: str) -> None:
    """The table of each case has no errors, and the files that it names are there."""
    settings = load(CASES / name / "pyproject.toml", "x86_64")
    assert settings is not None
    assert [str(error) for error in check_files(settings)] == []


def test_no_fault_asks_for_the_variable_that_reveals_it() -> None:
    """A fault is what real code does: no case reads a variable of the environment."""
    sources = {path: path.read_text("utf-8") for path in CASES.rglob("*.py")}
    reading = [path for path, text in sources.items() if "environ" in text or "getenv" in text]
    assert len(sources) > len(ALL)
    assert reading == []


def test_causes_have_the_names_that_reports_use() -> None:
    """What a label calls a change of the environment is a family of the product."""
    known = {family.name for family in FAMILIES} | {"randomness"}
    named = {name for each in ALL if each.kind == "one" for names in each.causes for name in names}
    assert named <= known
    assert len(named) > 15


def test_a_bad_label_is_told(tmp_path: Path) -> None:
    """Each thing that a label can have wrong is found."""
    folder = tmp_path / "recency-weights"
    shutil.copytree(CASES / "recency-weights", folder)
    right = (folder / "label.toml").read_text()
    assert list(find_problems(folder)) == []
    wrong = {
        '["clock"]': '["weather"]',
        '[["clock"]]': "[]",
        '["drift"]': '["identical"]',
        '"process"': '"interaction"',
        '"development"': '"secret"',
        "what =": "why =",
    }
    for old, new in wrong.items():
        assert old in right
        (folder / "label.toml").write_text(right.replace(old, new))
        assert list(find_problems(folder)) != [], new
        with pytest.raises(ValueError, match="recency-weights: "):
            load_cases(tmp_path)
    (folder / "label.toml").write_text(right.replace('[["clock"]]', '[["clock"], ["clock"]]'))
    assert list(find_problems(folder)) == ["a cause that holds another is not smallest"]


def test_cases_are_selected_by_set_or_by_name() -> None:
    """A set has its own cases and no others; a name that no case has is an error."""
    sets = [select(ALL, name) for name in SETS]
    assert not set(sets[0]) & set(sets[1])
    assert {*sets[0], *sets[1]} == set(select(ALL, "all")) == set(ALL)
    assert [each.name for each in select(ALL, "all", ("ride-hours",))] == ["ride-hours"]
    with pytest.raises(ValueError, match="no case is called nothing"):
        select(ALL, "all", ("nothing",))


def test_perfect_answers_score_full() -> None:
    """Where all is right every share is 1, and runs are medians of cases with and without drift."""
    scores = score(
        [
            (CLOCK, [said("drift", ("clock",), runs=6)]),
            (TWO, [said("drift", ("cpus",), ("threads",), runs=10)]),
            (NOISE, [said("nondeterministic", ("randomness",), runs=5)]),
            (CLEAN, [said("identical", runs=3)]),
        ]
    )
    shares = (scores.recall, scores.precision, scores.verdicts, scores.top1, scores.set_f1)
    assert shares == (1, 1, 1, 1, 1)
    assert (scores.abstention, scores.stability, scores.clean_recall) == (1, 1, 1)
    assert (scores.false_alarms, scores.drifting_runs, scores.clean_runs) == (0, 6, 3)


def test_a_false_alarm_takes_recall_and_precision() -> None:
    """One alarm on a clean case makes the headline nothing."""
    scores = score([(CLOCK, [said("drift", ("clock",))]), (CLEAN, [said("drift", ("clock",))])])
    assert (scores.recall, scores.clean_recall, scores.false_alarms) == (1, 0, 1)
    assert scores.precision == 0.5


def test_failing_on_a_clean_case_is_a_false_alarm() -> None:
    """A tool that fails passes nothing."""
    assert score([(CLEAN, [said("failed: build")])]).false_alarms == 1


def test_a_missed_case_counts_against_attribution_too() -> None:
    """What was not found was not named; one of two true causes is half of the harmonic mean."""
    scores = score([(CLOCK, [said("identical")]), (TWO, [said("drift", ("threads",))])])
    assert scores.recall == 0.5
    assert scores.top1 == 0.5
    assert scores.set_f1 == pytest.approx((0 + 2 / 3) / 2)


def test_the_first_name_has_to_be_a_whole_cause() -> None:
    """Half of an interaction is not its cause, and neither is more than it."""
    both = case("both", ("cpus", "memory"), group="interaction")
    assert score([(both, [said("drift", ("cpus",))])]).top1 == 0
    assert score([(both, [said("drift", ("cpus", "memory", "shm"))])]).top1 == 0
    assert score([(both, [said("drift", ("memory", "cpus"))])]).top1 == 1


def test_sets_count_only_as_wholes() -> None:
    """The F1 of sets is that of their names as wholes, and 1 where nothing is and was named."""
    true = frozenset({frozenset({"a", "b"}), frozenset({"c"})})
    assert set_f1([frozenset({"a"})], true) == 0
    assert set_f1([frozenset({"b", "a"})], true) == pytest.approx(2 / 3)
    assert set_f1([], frozenset()) == 1


def test_blaming_the_environment_for_noise_is_no_abstention() -> None:
    """Noise of a program's own is called so, without a knob that it comes from."""
    assert abstains(said("nondeterministic", ("randomness",)))
    assert abstains(said("nondeterministic"))
    assert not abstains(said("nondeterministic", ("hash-seed",)))
    assert not abstains(said("drift", ("randomness",)))


def test_repeats_that_say_something_else_are_not_stable() -> None:
    """The verdict and the causes have to stay, their order need not."""
    assert is_stable([said("drift", ("a",), ("b",)), said("drift", ("b",), ("a",))])
    assert not is_stable([said("drift", ("a",)), said("drift", ("b",))])
    assert not is_stable([said("drift"), said("identical")])


def test_the_table_says_what_was_measured() -> None:
    """It has a row for each tool and class, the machine, the date, and who is missing and why."""
    measured = Measurement(
        "development",
        "2025-01-01",
        "A processor, 2 cores",
        1,
        (CLOCK, CLEAN),
        {
            "mlcontainer": {"clock": [said("drift", ("clock",), runs=6)], "clean": [said("drift")]},
            "bytes": {"clock": [said("drift")], "clean": [said("identical")]},
        },
        {"other": "It is not there."},
    )
    table = draw(measured)
    assert "2 cases, each 1 times. 2025-01-01, A processor, 2 cores." in table
    assert "| mlcontainer | 0.00 | 1.00 | 1 | 0.50 |" in table
    assert "| bytes | 1.00 | 1.00 | 0 | 1.00 |" in table
    assert "- other: not measured. It is not there." in table
    values = as_json(measured)
    assert values["scores"]["mlcontainer"]["top1"] == 1
    assert values["scores"]["bytes"]["top1"] is None
    assert values["cases"][0]["answers"]["mlcontainer"][0]["causes"] == [["clock"]]


def test_a_table_is_put_between_its_marks() -> None:
    """Only what is between the marks of the set changes; a page without them is an error."""
    page = "a\n<!-- scores: all -->\nold\n<!-- end of scores: all -->\nb\n"
    changed = put_into(page, "all", "new\n")
    assert changed == "a\n<!-- scores: all -->\n\nnew\n\n<!-- end of scores: all -->\nb\n"
    with pytest.raises(ValueError, match="scores: measuring"):
        put_into(page, "measuring", "new\n")


def test_the_page_has_a_place_for_both_tables() -> None:
    """The tables of both sets have marks in the docs."""
    page = (CASES.parents[2] / "docs" / "explanation" / "driftbench.md").read_text("utf-8")
    for name in SETS:
        assert "new" in put_into(page, name, "new")


def test_the_page_counts_the_cases_that_there_are() -> None:
    """The number of cases of each class in the docs is that of the folders."""
    page = (CASES.parents[2] / "docs" / "explanation" / "driftbench.md").read_text("utf-8")
    described = page.partition("## Scores")[0]  # the scores are by class as well
    rows = [line.split("|") for line in described.splitlines() if line.startswith("| ")]
    said = {row[1].strip(): row[2].strip() for row in rows if row[1].strip() in CLASSES}
    assert said == {name: str(count) for name, count in Counter(x.group for x in ALL).items()}


def test_the_answer_is_the_explained_result_of_the_entrypoint() -> None:
    """Verdict, causes in their order, runs and lines are read; another entrypoint's are not."""
    staged = Staged(CLOCK, Path("clock"))
    result = {
        "entrypoint": "train",
        "verdict": "drift",
        "causes": [{"names": ["clock"]}, {"names": ["home", "user"]}],
        "location": {"origins": [{"file": "train.py", "line": 3}], "proven": True},
        "explanation": {"runs": 7, "tried": ["threads=1", "clock=+401d"]},
    }
    other = {**result, "entrypoint": "infer", "verdict": "identical"}
    plain = {**result, "verdict": "identical", "explanation": None}
    report = {"results": [other, plain, result], "failures": []}
    answer, tried = read_report(report, staged, 2.0)
    causes = (frozenset({"clock"}), frozenset({"home", "user"}))
    assert answer == Answer("drift", causes, 7, 2.0, ("train.py:3",), located=True)
    assert tried == ("threads", "clock")
    failed, _none = read_report({"results": [], "failures": [{"what": "no"}]}, staged, 2.0)
    assert failed.verdict == "failed: no"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("first", "second", "other"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "a.npz", x=np.arange(3.0))
        (tmp_path / name / "b.csv").write_text("n,t\n1.0,x\n2.0,y\n")
    return tmp_path


def test_bytes_agree_only_where_all_are_the_same(runs: Path) -> None:
    """Repeats that differ are noise, another machine that differs is drift."""
    assert baselines.judge(runs, baselines.same_bytes).verdict == "identical"
    (runs / "other" / "b.csv").write_text("n,t\n1.0,x\n2.00,y\n")
    assert baselines.judge(runs, baselines.same_bytes).verdict == "drift"
    (runs / "second" / "c.txt").write_text("")
    assert baselines.judge(runs, baselines.same_bytes).verdict == "nondeterministic"


def test_numbers_may_be_off_by_what_assert_allclose_allows(runs: Path) -> None:
    """Numbers are compared by its defaults, text exactly, and names have to be the same."""
    (runs / "other" / "b.csv").write_text("n,t\n1.00000001,x\n2.0,y\n")
    np.savez(runs / "other" / "a.npz", x=np.arange(3.0) * (1 + 1e-9))
    assert baselines.judge(runs, baselines.all_close).verdict == "identical"
    (runs / "other" / "b.csv").write_text("n,t\n1.0,x\n2.0,z\n")
    assert baselines.judge(runs, baselines.all_close).verdict == "drift"


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 2.00000001]}}', True),
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 2.1]}}', False),
        ('{"a": 1}', '{"b": 1}', False),
        ('{"a": "x"}', '{"a": 1}', False),
        ("no json", "no json", True),
    ],
)
def test_json_is_compared_leaf_by_leaf(tmp_path: Path, one: str, other: str, agree: bool) -> None:
    """Numbers by value wherever they are; what is no JSON by its bytes."""
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file, text in zip(files, (one, other), strict=True):
        file.write_text(text)
    assert baselines.all_close(*files) is agree


def test_the_ranking_prefers_what_the_sources_mention() -> None:
    """Of what differs it names what the code asks for, and nothing where nothing differs."""
    staged = Staged(CLOCK, CASES / "ride-hours")
    varied = ("hash-seed", "locale", "timezone")
    assert ranking.rank(staged, varied, "drift").causes == (frozenset({"timezone"}),)
    assert ranking.rank(staged, varied, "identical").causes == ()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Reproducible, even when varying as much as it knows", said("identical")),
        (
            "Not reproducible, even when fixing as much as reprotest knows how to. :(",
            said("nondeterministic"),
        ),
        (
            "Observed unreproducibility when varying each of the following:\ntimezone\n"
            "build_path\nThe build is probably reproducible when varying other things.\n",
            said("drift", ("timezone",), ("workdir",)),
        ),
        ("what?\nno such command\n", said("failed: no such command")),
    ],
)
def test_what_reprotest_says_is_read(text: str, answer: Answer) -> None:
    """Its last words are a verdict, and its names are ours."""
    assert reprotest.read_output(text) == answer


def test_wheels_are_the_same_whenever_they_are_made(tmp_path: Path) -> None:
    """Equal sources make equal files, with what the package needs."""
    package = tmp_path / "packages" / "textprep-1.2"
    package.mkdir(parents=True)
    (package / "textprep.py").write_text("x = 1\n")
    (package / "requires.txt").write_text("stemlite\n")
    made = []
    for name in ("one", "two"):
        write_wheels(package.parent, tmp_path / name)
        made.append((tmp_path / name / "textprep-1.2-py3-none-any.whl").read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "one" / "textprep-1.2-py3-none-any.whl") as wheel:
        assert b"Requires-Dist: stemlite\n" in wheel.read("textprep-1.2.dist-info/METADATA")
        assert wheel.read("textprep-1.2.dist-info/RECORD").count(b"sha256=") == 3
