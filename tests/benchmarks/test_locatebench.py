"""The benchmark of locating: its cases are well formed, and its scores say what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.driftbench.cases import CASES, Case, find_problems, load_cases
from benchmarks.driftbench.scoring import Answer as Said
from benchmarks.locatebench.__main__ import OWN, Answer, table
from benchmarks.locatebench.cures import CureAnswer, cure_table
from benchmarks.locatebench.wild import WILD, WildAnswer, wild_table
from pytest_mlcontainer.model import Cure, CureKind, CureSetting, Location, SourceLine, Step


def _case(*origins: str) -> Case:
    causes = frozenset({frozenset({"threads"})})
    return Case(
        "c", Path(), "", "measuring", "one", "numeric", ("drift",), causes, "train", origins
    )


def _answer(case: Case, *lines: int, proven: bool = True) -> Answer:
    origins = tuple(SourceLine("train.py", line, line) for line in lines)
    return Answer(case, Location(proven=proven, origins=origins, runs=4), 1.0)


def test_every_case_that_drifts_between_runs_of_one_image_has_a_label() -> None:
    cases = [each for each in (*load_cases(CASES), *load_cases(OWN)) if each.kind == "one"]
    assert {each.name for each in cases if bool(each.origins) != each.drifts} == set()
    assert len([each for each in cases if each.origins]) >= 60


def test_a_label_names_a_line_with_code(tmp_path: Path) -> None:
    """Also of a file in a folder, and of a package below src."""
    folder = CASES / "ride-hours"
    for name in ("Dockerfile", "pyproject.toml", "train.py"):
        (tmp_path / name).write_text((folder / name).read_text())
    label = (folder / "label.toml").read_text()
    assert 'origins = ["train.py:13"]' in label
    (tmp_path / "label.toml").write_text(label)
    assert list(find_problems(tmp_path)) == []
    (tmp_path / "label.toml").write_text(label.replace("train.py:13", "train.py:4000"))
    assert list(find_problems(tmp_path)) == ["no line train.py:4000"]


def test_only_the_first_line_counts_and_what_is_proved_wrong_is_counted() -> None:
    right = _answer(_case("train.py:3"), 3)
    second = _answer(_case("train.py:3"), 9, 3)
    suspected = _answer(_case("train.py:3"), 9, proven=False)
    wrong = _answer(_case("train.py:3"), 9)
    nothing = Answer(_case("train.py:3"), None, 1.0)
    assert [each.first_is_right for each in (right, second, suspected, wrong, nothing)] == [
        True, False, False, False, False,
    ]  # fmt: skip
    assert [each.proven_wrong for each in (right, second, suspected, wrong, nothing)] == [
        False, False, False, True, False,
    ]  # fmt: skip
    row = list(table([right, wrong]))[-1]
    assert row == "| measuring | 2 | 0.50 | 1.00 | 1 | 0 of 0 | 4 |"


def test_amplifiers_and_decisions_count_where_they_are_labelled() -> None:
    case = replace(_case("train.py:3"), amplifiers=("train.py:4", "train.py:5"))
    both = replace(case, decisions=("train.py:9",))
    place = SourceLine("train.py", 5, 5)
    location = Location(amplifier=Step(place, 1e-9, 1.0), decision=place)
    answers = [Answer(each, location, 1.0) for each in (_case("train.py:3"), case, both)]
    assert [each.marks for each in answers] == [[], [True], [True, False]]
    assert Answer(both, None, 1.0).marks == [False, False]
    assert "| 2 of 3 |" in list(table(answers))[-1]


def test_every_case_that_drifts_says_what_cures_it() -> None:
    cases = [each for each in (*load_cases(CASES), *load_cases(OWN)) if each.kind == "one"]
    assert {each.name for each in cases if (each.cures is not None) != each.drifts} == set()
    assert len([each for each in cases if each.cures]) >= 50


def test_a_label_names_a_cure_that_is_known(tmp_path: Path) -> None:
    folder = CASES / "ride-hours"
    for name in ("Dockerfile", "pyproject.toml", "train.py"):
        (tmp_path / name).write_text((folder / name).read_text())
    label = (folder / "label.toml").read_text()
    (tmp_path / "label.toml").write_text(label.replace('[["TZ"]]', '[["TIMEZONE"]]'))
    assert list(find_problems(tmp_path)) == ["cure ['TIMEZONE']"]


def _cured(cures: set[frozenset[str]], *names: str) -> CureAnswer:
    kind = CureKind.SETTINGS if names else CureKind.NOTHING
    settings = tuple(CureSetting(name, "1", "threads", "x") for name in names)
    case = replace(_case("train.py:3"), cures=frozenset(cures))
    return CureAnswer(case, Cure(kind, settings, runs=12), 1.0)


def test_a_cure_has_to_be_the_labelled_one_and_none_where_nothing_cures() -> None:
    label = {frozenset({"A"})}
    right, larger, missed = _cured(label, "A"), _cured(label, "A", "B"), _cured(label)
    none, wrong = _cured(set()), _cured(set(), "A")
    answers = [right, larger, missed, none, wrong]
    assert [each.is_right for each in answers] == [True, False, False, True, False]
    assert [each.is_wrong for each in answers] == [False, False, False, False, True]
    steady = CureAnswer(right.case, None, 1.0)
    assert "does not drift here" in steady.line
    row = list(cure_table([*answers, steady]))[-1]
    assert row == "| measuring | 5 | 3 | 0.33 | 1 of 2 | 1 | 12 |"


def test_each_wild_case_is_of_a_public_issue_and_names_a_line() -> None:
    """But those of two images and of two platforms, where no line is to be named."""
    cases = load_cases(WILD)
    assert len(cases) >= 12
    assert len({each.issue for each in cases}) == len(cases)
    assert [each.name for each in cases if "#" not in each.issue] == []
    assert [each.name for each in cases if bool(each.origins) != (each.kind == "one")] == []


def test_a_wild_case_is_right_wrong_or_abstained_from() -> None:
    case = replace(_case("train.py:3"), issue="a/b#1")
    threads, other = (frozenset({"threads"}),), (frozenset({"simd"}),)
    right = WildAnswer(case, Said("drift", threads, 9, 1.0, ("train.py:3",)))
    wrong = WildAnswer(case, Said("drift", other, 9, 1.0, ("train.py:4", "train.py:3")))
    none = WildAnswer(case, Said("drift"))
    missed = WildAnswer(case, Said("identical"))
    answers = [right, wrong, none, missed]
    assert [each.cause for each in answers] == ["right", "wrong", "abstains", "wrong"]
    assert [each.line for each in answers] == ["right", "wrong", "abstains", "abstains"]
    assert list(wild_table(answers))[-2:] == [
        "right cause: 1 of 4 (0.25), wrong: 2",
        "right line: 1 of 4 (0.25), wrong: 1",
    ]
