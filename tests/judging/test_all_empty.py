"""Runs of which all that was compared is empty agree whatever they do, and that is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.model import Output, Platform, Rule, Run, Target, Tolerance, Verdict
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.results import Result
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.terminal import summary_lines

Make = Callable[..., Run]
_SAID = "all that was compared is empty (stdout)"


@pytest.fixture
def run(tmp_path: Path) -> Make:
    def make(stdout: str = "", **files: str) -> Run:
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        folder.mkdir()
        for name, text in {"stdout": stdout, "stderr": "a warning", **files}.items():
            (folder / name).write_text(text)
        outputs = tuple(Output(name, folder / name, len(text)) for name, text in files.items())
        target = Target(Platform("linux", "amd64"))
        paths = folder / "stdout", folder / "stderr"
        return Run(folder.name, "train", target, 0, 1.0, folder, *paths, outputs)

    return make


def test_that_nothing_but_empty_output_was_compared_is_said_in_all_reports(run: Make) -> None:
    outcome = compare_runs(run(), run(), (), declared=("stdout",))
    assert outcome.verdict is Verdict.IDENTICAL
    results = (Result(outcome=outcome),)
    assert _SAID in " ".join(summary_lines(results))
    session = gather(results, 0.0)
    assert any(_SAID in note for note in json.loads(report_json(session))["results"][0]["notes"])
    assert _SAID in report_html(session)


def test_empty_files_of_which_a_rule_leaves_the_others_out_are_said_too(run: Make) -> None:
    runs = run(a="", b="1\n"), run(a="", b="2\n")
    ignored = Rule("b", None, Tolerance(ignore=True))
    assert "all that was compared is empty (a)" in compare_runs(*runs, (ignored,)).notes[0]


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ({"stdout": "loss 0.5\n"}, {"stdout": "loss 0.5\n"}),
        ({"stdout": ""}, {"stdout": "loss 0.5\n"}),
        ({"a": "1\n"}, {"a": "1\n"}),
    ],
)
def test_what_holds_or_differs_in_something_is_not_called_empty(
    run: Make, actual: dict[str, str], expected: dict[str, str]
) -> None:
    outcome = compare_runs(run(**actual), run(**expected), (), declared=("stdout",))
    assert not any("is empty" in note for note in outcome.notes)
