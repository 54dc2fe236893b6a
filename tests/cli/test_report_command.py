"""`mlcontainer report`: reports of several jobs as one, or a reason why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.reading import read_report
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.writing import write_reports
from tests.report.test_report_schema import BARE, FAILED, WHOLE


def test_nothing_is_lost_on_the_way(tmp_path: Path) -> None:
    results = [Result(outcome=WHOLE, repeat="x"), Result(outcome=BARE), Result(run=FAILED)]
    write_reports(tmp_path / "all", [*results, Result(note="n")], 3.0)
    assert main(["report", str(tmp_path / "all"), "--into", str(tmp_path / "new")]) == 1
    for name in ("report.json", "report.html", "summary.md"):
        assert (tmp_path / "new" / name).read_text() == (tmp_path / "all" / name).read_text()


def test_reports_of_two_jobs_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunResult("r1", "infer", BARE.target, 0, 1.0, None)
    write_reports(tmp_path / "a", [Result(outcome=BARE), Result(run=run)], 3.0)
    write_reports(tmp_path / "b", [Result(outcome=BARE), Result(run=run)], 4.0)
    asked = ["report", str(tmp_path / "a"), str(tmp_path / "b"), "--into", str(tmp_path / "c")]
    assert main(asked) == 0
    found = json.loads((tmp_path / "c" / "report.json").read_text())
    assert (found["runs"], found["duration_s"], len(found["results"])) == (2, 7.0, 2)
    assert str(tmp_path / "c" / "report.html") in capsys.readouterr().out


def test_what_is_excused_and_renamed_is_so_in_the_merged_report(tmp_path: Path) -> None:
    """Otherwise it would propose a bound, where a rule that leaves times out was proposed."""
    excused = Difference(
        "log.txt", "", Verdict.DRIFT, max_abs=0.2, size=1, excuses=("time",), renames=(("a", "b"),)
    )
    outcome = replace(BARE, verdict=Verdict.DRIFT, differences=(excused,))
    write_reports(tmp_path / "a", [Result(outcome=outcome)], 3.0)
    assert main(["report", str(tmp_path / "a"), "--into", str(tmp_path / "c")]) == 1
    for folder in ("a", "c"):
        report = json.loads((tmp_path / folder / "report.json").read_text())
        ((found,),) = (each["differences"] for each in report["results"])
        assert (found["accept"], found["excuses"]) == (None, ["time"])
        assert found["renames"] == [["a", "b"]]
    read = read_report((tmp_path / "c" / "report.json").read_text(), "c")
    assert read.comparisons[0].tree.leaves[0].difference == excused


def test_a_clock_told_by_its_neighbours_is_one_in_the_merged_report(tmp_path: Path) -> None:
    """What stood beside it is not in a report, so the report says what came of that."""
    times = Difference("results.csv", "time", Verdict.DRIFT, max_abs=0.2, size=7, clock=True)
    write_reports(
        tmp_path / "a",
        [Result(outcome=replace(BARE, verdict=Verdict.DRIFT, differences=(times,)))],
        3.0,
    )
    assert main(["report", str(tmp_path / "a"), "--into", str(tmp_path / "c")]) == 1
    report = json.loads((tmp_path / "c" / "report.json").read_text())
    ((found,),) = (each["differences"] for each in report["results"])
    assert found["accept"]["line"] == '"results.csv:time" = { ignore = true }'


def test_jobs_with_different_versions_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, version in (("a", "0.1.0"), ("b", "0.9.0")):
        write_reports(tmp_path / name, [Result(outcome=BARE)], 3.0)
        report = json.loads((tmp_path / name / "report.json").read_text())
        report["version"] = version
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    folders = [str(tmp_path / name) for name in ("a", "b")]
    assert main(["report", *folders, "--into", str(tmp_path / "c")]) == 0
    (note,) = json.loads((tmp_path / "c" / "report.json").read_text())["notes"]
    assert note.endswith("different versions of pytest-mlcontainer: 0.1.0, 0.9.0")
    assert note in (tmp_path / "c" / "summary.md").read_text()
    assert note in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "a folder has no report"),
        (b"{", "not a report.json of pytest-mlcontainer"),
        (b"[]", "not a report.json of pytest-mlcontainer"),
        (b"\xff", "it is not text"),
        (b'{"schema": 2}', "it has schema 2, and this version knows 1"),
        (b'{"schema": 1}', "it is damaged"),
        (b'{"schema": 1, "results": [{}]}', "it is damaged"),
        (b'{"schema": 1, "version": "7.1", "results": [{}]}', "version 7.1 wrote it, which"),
    ],
)
def test_what_is_no_report_is_refused(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_bytes(content)
    assert main(["report", str(tmp_path), "--into", str(tmp_path / "new")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_session_that_was_cut_off_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reports(tmp_path / "a", [Result(outcome=BARE)], 3.0)
    write_reports(tmp_path / "b", [Result(outcome=BARE)], 3.0, unfinished="It was killed.")
    asked = ["report", str(tmp_path / "a"), str(tmp_path / "b"), "--into", str(tmp_path / "c")]
    assert main(asked) == 1
    assert "It was killed." in capsys.readouterr().out
    for name in ("report.json", "report.html", "summary.md"):
        assert "It was killed." in (tmp_path / "c" / name).read_text()
