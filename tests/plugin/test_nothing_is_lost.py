"""Whatever ends a test, what was run for it is in report.json, summary.md and JUnit's file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.sample_project import MakeProject

CONFIG = """
platforms = ["host"]
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.fit]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
env = { FAIL = "1" }
"""
TRAIN = """
import os, sys
os.makedirs("outputs", exist_ok=True)
open("outputs/weights.txt", "w").write("1")
sys.exit("no such column" if os.environ.get("FAIL") else 0)
"""
REPORTS = ("--container-report=report", "--junitxml=junit.xml")


@pytest.fixture
def reported(project: MakeProject) -> Callable[..., tuple[pytest.RunResult, dict[str, Any], str]]:
    """Runs a test file; gives pytest's result, report.json, and JUnit's file as text."""

    def run(test: str, *args: str) -> tuple[pytest.RunResult, dict[str, Any], str]:
        root: Path = project.write(CONFIG, dockerfile=None, train=TRAIN, test_it__py=test)
        result = project.run("test_it.py", *REPORTS, *args)
        report = json.loads((root / "report" / "report.json").read_text())
        assert "<html" in (root / "report" / "report.html").read_text()
        if report["failures"]:
            assert "no such column" in (root / "report" / "summary.md").read_text()
        return result, report, (root / "junit.xml").read_text()

    return run


WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "workers"])


@WORKERS
def test_a_run_that_fails_in_a_fixture(reported: Any, workers: tuple[str, ...]) -> None:
    """Then there is a setup and no call."""
    test = """
import pytest
@pytest.fixture
def fitted(run_entrypoint):
    run_entrypoint("train")
    return run_entrypoint("fit")
def test_it(fitted): pass
"""
    result, report, junit = reported(test, *workers)

    result.assert_outcomes(errors=1)
    assert report["runs"] == 2
    assert [each["entrypoint"] for each in report["failures"]] == ["fit"]
    assert "no such column" in junit
    assert 'name="container-run" value="train on host: exit code 0 after' in junit
    assert 'name="container-run" value="fit on host: exit code 1 after' in junit
    result.stdout.fnmatch_lines(["fit  host  failed *"])


@WORKERS
def test_what_is_run_and_compared_in_a_teardown(reported: Any, workers: tuple[str, ...]) -> None:
    """After the call, whose report has gone."""
    test = """
import pytest
@pytest.fixture
def after(run_entrypoint, compare_outputs):
    yield
    first, second = (run_entrypoint("train", repeat=number) for number in range(2))
    compare_outputs(first, second)
    run_entrypoint("fit", check=False)
def test_it(after): pass
"""
    result, report, junit = reported(test, *workers)

    result.assert_outcomes(passed=1)
    assert report["runs"] == 3
    assert [each["verdict"] for each in report["results"]] == ["identical"]
    assert [each["entrypoint"] for each in report["failures"]] == ["fit"]
    assert 'name="container-comparison" value="train on host vs host: identical"' in junit


def test_nothing_is_counted_twice(reported: Any) -> None:
    """Each result is on the report of its own phase alone."""
    test = """
import pytest
def test_it(training_run, run_entrypoint, compare_outputs):
    compare_outputs(training_run, run_entrypoint("train", repeat=1))
"""
    _result, report, _junit = reported(test, "-n", "1")
    assert (report["runs"], len(report["results"])) == (2, 1)


@pytest.mark.parametrize("dies", ["setup", "call", "teardown"])
def test_a_worker_that_dies(reported: Any, dies: str) -> None:
    """Its test's reports go with it, and what was run for the test does not."""
    test = f"""
import os
import pytest
@pytest.fixture
def work(run_entrypoint):
    run_entrypoint("train")
    run_entrypoint("fit", check=False)
    if {dies!r} == "setup": os._exit(3)
    yield
    if {dies!r} == "teardown": os._exit(3)
def test_it(work):
    if {dies!r} == "call": os._exit(3)
def test_other(run_entrypoint):
    run_entrypoint("train", repeat=1)
"""
    result, report, junit = reported(test, "-n", "1")

    assert result.parseoutcomes()["failed"] == 1
    assert report["runs"] == 3
    assert [each["entrypoint"] for each in report["failures"]] == ["fit"]
    assert "crashed while running" in junit
    if dies != "teardown":  # of whose call there is a report
        assert "fit on host: exit code 1 after" in junit


def test_a_session_that_stops_at_the_first_failure(project: MakeProject, tmp_path: Path) -> None:
    """What was begun beside it, and is done, was run all the same."""
    train = f"""
import os, pathlib, sys, time
marker = pathlib.Path({str(tmp_path)!r}, "done")
os.makedirs("outputs", exist_ok=True)
open("outputs/weights.txt", "w").write("1")
if not os.environ.get("FAIL"):
    while not marker.exists(): time.sleep(0.05)
    time.sleep(3)
    sys.exit("no such column")
marker.touch()
sys.exit("no such row")
"""
    root = project.write(CONFIG, dockerfile=None, train=train)

    result = project.run("-x", *REPORTS)

    result.assert_outcomes(failed=1)
    report = json.loads((root / "report" / "report.json").read_text())
    assert {each["entrypoint"] for each in report["failures"]} == {"train", "fit"}
    assert "no such row" in (root / "report" / "summary.md").read_text()


def test_workers_that_stop_at_the_first_failure(reported: Any) -> None:
    """One of them fails while the other has not yet reported what it ran."""
    test = """
import pathlib, time
import pytest
def test_first(run_entrypoint):
    run_entrypoint("train")
    pathlib.Path("ran").touch()
    time.sleep(2)
def test_second(run_entrypoint):
    while not pathlib.Path("ran").exists(): time.sleep(0.05)
    run_entrypoint("fit")
"""
    _result, report, _junit = reported(test, "-n", "2", "-x")
    assert report["runs"] == 2
    assert [each["entrypoint"] for each in report["failures"]] == ["fit"]


@WORKERS
@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["shown", "quiet"])
def test_when_each_run_was_made_is_in_the_report(
    reported: Any, workers: tuple[str, ...], quiet: tuple[str, ...]
) -> None:
    test = """
def test_it(run_entrypoint):
    run_entrypoint("train")
    run_entrypoint("fit", check=False)
"""
    _result, report, _junit = reported(test, *workers, *quiet)
    runs = [each for each in report["timeline"] if each["activity"] == "running"]
    assert [each["title"] for each in runs] == ["train[host]", "fit[host]"]
    assert {each["worker"] for each in runs} == {"gw0" if workers else ""}
    assert 0 < runs[0]["start_s"] < runs[1]["start_s"]
    assert all(0 < each["duration_s"] < report["duration_s"] for each in runs)


SLOW = """
import time
def test_first(run_entrypoint):
    run_entrypoint("train")
def test_second(run_entrypoint):
    time.sleep(600)
"""


@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGINT])
@WORKERS
def test_a_session_cut_off_half_way_leaves_a_report_that_says_so(
    project: MakeProject, workers: tuple[str, ...], ends_by: signal.Signals
) -> None:
    root: Path = project.write(CONFIG, dockerfile=None, train=TRAIN, test_it__py=SLOW)
    (root / "report").mkdir()
    (root / "report" / "report.json").write_text('{"runs": 0}')  # of an earlier session
    command = (sys.executable, "-m", "pytest", "--container", "-p", "no:randomly", "test_it.py")
    session = subprocess.Popen(
        [*command, *REPORTS, *workers], cwd=root, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    try:
        while not (report := json.loads((root / "report" / "report.json").read_text()))["runs"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        session.send_signal(ends_by)
        session.wait(60)
        report = json.loads((root / "report" / "report.json").read_text())
    finally:
        with suppress(ProcessLookupError):
            os.killpg(session.pid, signal.SIGKILL)

    said = "had not ended when this was written" if ends_by is signal.SIGKILL else "interrupted"
    assert said in report["unfinished"]
    assert report["runs"] == 1
    assert ("running", "train[host]", True) in {
        (each["activity"], each["title"], each["worked"]) for each in report["timeline"]
    }
    for name in ("report.html", "summary.md"):
        assert "The session" in (root / "report" / name).read_text()


def test_a_session_ended_by_its_first_failure_says_so(reported: Any) -> None:
    test = """
def test_first(run_entrypoint):
    run_entrypoint("fit")
def test_second(run_entrypoint):
    run_entrypoint("train")
"""
    report = reported(test, "-x")[1]
    assert report["unfinished"] == (
        "The session ended early, after 1 test: stopping after 1 failures."
    )
    assert reported(test)[1]["unfinished"] == ""
