"""`pytest --container` without test code: what is collected, in which order, how it is shown."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from tests.sample_project import MakeProject

TWO_PLATFORMS = """
platforms = ["linux/amd64", "linux/arm64"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["outputs/result.txt"]
"""
ONE_PLATFORM = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
HOST_AND_CONTAINER = 'platforms = ["linux/amd64", "host"]\n' + ONE_PLATFORM
# Different on this machine and in the container, whatever the machine.
WRITES_PLACE = """
import json, os
os.makedirs("outputs", exist_ok=True)
inside = os.getcwd() == "/app"
json.dump({"loss": 0.5 if inside else 0.25, "epochs": 3}, open("outputs/metrics.json", "w"))
"""


def names(result: pytest.RunResult) -> list[str]:
    """Node ids of what was collected, in order."""
    return [line for line in result.outlines if line.startswith("pyproject.toml::")]


def test_items_come_in_an_order_that_fails_early(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")  # collection needs no engine
    project.write(TWO_PLATFORMS)

    result = project.run("--collect-only", "-q")

    assert names(result) == [
        "pyproject.toml::image[linux/amd64]",
        "pyproject.toml::image[linux/arm64]",
        "pyproject.toml::train[linux/amd64]",
        "pyproject.toml::train[linux/arm64]",
        "pyproject.toml::infer[linux/amd64]",
        "pyproject.toml::infer[linux/arm64]",
        "pyproject.toml::train::agrees[linux/arm64 vs linux/amd64]",
        "pyproject.toml::infer::agrees[linux/arm64 vs linux/amd64]",
    ]


def test_without_the_option_items_are_skipped_and_say_so(project: MakeProject) -> None:
    project.write(ONE_PLATFORM)

    result = project.pytester.runpytest_inprocess("-rs")

    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*needs --container*"])


def test_a_broken_table_does_not_break_ordinary_tests(project: MakeProject) -> None:
    project.write("platfroms = []", test_ok__py="def test_ok(): pass")

    result = project.pytester.runpytest_inprocess("-rs")

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*run with --container to see what is wrong*"])


def test_with_the_option_a_broken_table_shows_every_problem(project: MakeProject) -> None:
    project.write('platfroms = []\nmemory = "lots"')

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*2 problems*", "*platfroms*", "*did you mean platforms?*", "*lots*"]
    )


def test_a_wrong_option_is_a_usage_error(project: MakeProject) -> None:
    project.write(ONE_PLATFORM)

    result = project.run("--container-platform=linux/amd46")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*linux/amd46*", "*linux/amd64*"])


def test_items_are_collected_beside_testpaths(project: MakeProject) -> None:
    root = project.write(ONE_PLATFORM)
    (root / "checks").mkdir()
    (root / "checks" / "test_ok.py").write_text("def test_ok(): pass")
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.pytest.ini_options]\ntestpaths = ["checks"]\n')

    result = project.run("--collect-only", "-q")

    assert len(names(result)) == 2
    result.stdout.fnmatch_lines(["checks/test_ok.py::test_ok"])


def test_one_comparison_can_be_named_and_run_by_itself(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(HOST_AND_CONTAINER, train=WRITES_PLACE)

    result = project.run("pyproject.toml::train::agrees[host vs linux/amd64]")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*train on host drifts from linux/amd64 (the reference)*",
            "* host * linux/amd64 (reference) * max abs *",
            "outputs/metrics.json:loss  0.25  0.5 * 0.25 *",
            "*pytest --container 'pyproject.toml::train::agrees[[]host vs linux/amd64]'*",
        ]
    )


def test_the_marker_selects_items(project: MakeProject) -> None:
    project.write(ONE_PLATFORM, test_ok__py="def test_ok(): pass")

    result = project.run("-m", "container", "--collect-only", "-q")

    assert len(names(result)) == 2
    result.stdout.no_fnmatch_line("*test_ok*")


def test_report_json_has_the_numbers_of_the_terminal(
    project: MakeProject, leaves_nothing: None
) -> None:
    root = project.write(HOST_AND_CONTAINER, train=WRITES_PLACE)

    result = project.run("--container-report=report")

    result.assert_outcomes(passed=3, failed=1)
    report = json.loads((root / "report" / "report.json").read_text())
    (outcome,) = report["results"]
    drifting = [each for each in outcome["differences"] if each["verdict"] == "drift"]
    assert report["schema"] == 1
    assert report["runs"] == 3  # the reference once more, because of the drift
    assert outcome["entrypoint"] == "train"
    assert outcome["target"] == {
        "platform": "host", "emulated": False, "cpu": None, "gpus": None, "variations": [],
    }  # fmt: skip
    assert outcome["verdict"] == "drift"
    assert [(each["item"], each["max_abs"]) for each in drifting] == [("loss", 0.25)]


def test_workers_report_to_the_controller(project: MakeProject, leaves_nothing: None) -> None:
    root = project.write(HOST_AND_CONTAINER, train=WRITES_PLACE)

    result = project.pytester.runpytest_subprocess(
        "--container", "-n", "2", "--container-report=report"
    )

    result.assert_outcomes(passed=3, failed=1)
    report = json.loads((root / "report" / "report.json").read_text())
    assert report["runs"] == 3  # the reference once more, because of the drift
    assert [each["verdict"] for each in report["results"]] == ["drift"]
    result.stdout.fnmatch_lines(["*containers*", "train*host vs linux/amd64*drift*"])


def test_what_failed_is_explained_once(project: MakeProject, leaves_nothing: None) -> None:
    project.write(
        TWO_PLATFORMS.replace(', "linux/arm64"', ', "host"'),
        train="raise SystemExit('no data today')",
        infer__py="",
    )

    result = project.run("--container-platform=linux/amd64")

    result.assert_outcomes(passed=1, failed=2)
    assert result.stdout.str().count("no data today") == 1
    result.stdout.fnmatch_lines(["*explained in full at pyproject.toml::train[[]linux/amd64]*"])


def test_what_failed_is_explained_once_also_where_it_was_run_again(project: MakeProject) -> None:
    """A search runs by itself what failed before, in a folder of its own."""
    project.write(ONE_PLATFORM, train="raise SystemExit('no data today')")

    result = project.run("--container-vary=clock")

    result.assert_outcomes(passed=1, failed=2)
    assert result.stdout.str().count("no data today") == 1


def test_verbose_shows_the_steps_of_a_build_as_they_happen(project: MakeProject) -> None:
    project.write(ONE_PLATFORM)

    result = project.pytester.runpytest_subprocess(
        "--container", "-v", "--container-platform=linux/amd64"
    )

    result.stdout.fnmatch_lines(["*image[[]linux/amd64]: *FROM*", "*train[[]linux/amd64]: running"])


def test_what_a_container_prints_cannot_act_on_the_terminal(project: MakeProject) -> None:
    project.write(ONE_PLATFORM, train=r"raise SystemExit('\x1b[31mred \u202e bell\x07')")

    result = project.run()

    result.assert_outcomes(passed=1, failed=1)
    assert r"\x1b[31mred \u202e bell\x07" in result.stdout.str()
    assert "\x1b[31m" not in result.stdout.str()


def test_the_command_to_repeat_has_the_options_it_needs(project: MakeProject) -> None:
    project.write(ONE_PLATFORM, train=WRITES_PLACE)

    result = project.run("--container-platform=linux/amd64,host")
    command, explaining = (
        line.strip() for line in result.outlines if line.startswith("  pytest --cont")
    )
    assert "--container-platform=linux/amd64,host" in command
    assert "--container-vary" in explaining
    repeated = project.pytester.run(
        sys.executable, "-m", *shlex.split(command), "-p", "no:cacheprovider"
    )

    repeated.assert_outcomes(failed=1)
    repeated.stdout.fnmatch_lines(["*train on host drifts from linux/amd64*"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_on_ci_the_summary_has_one_line_for_each_failure(
    project: MakeProject, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")  # pytest then leaves its summary uncut
    project.write(ONE_PLATFORM, train="raise SystemExit('no such column')")

    result = project.run("--junitxml=junit.xml", *workers)

    result.assert_outcomes(passed=1, failed=1)
    assert result.stdout.str().count("no such column") == 1
    (line,) = [line for line in result.outlines if line.startswith("FAILED ")]
    assert line.endswith(" - train on linux/amd64 exited with code 1:")
    junit = (project.pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert 'message="train on linux/amd64 exited with code 1:"' in junit
    assert "no such column" in junit
