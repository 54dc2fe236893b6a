"""Checks of the image as tests that pytest collects, and where what they find is shown."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
# BuildKit warns of the casing of `as`; that the base has no digest is a rule of ours.
DATED = f"FROM {BASE} as app\nWORKDIR /app\nCOPY *.py ./\n"


def image(text: str) -> str:
    return f"{ENTRY}\n[tool.mlcontainer.image]\n{text}\n"


def collected(project: MakeProject, *args: str) -> list[str]:
    lines = project.run("--collect-only", "-q", *args).outlines
    return [line.partition("::")[2] for line in lines if line.startswith("pyproject.toml::")]


def test_lint_comes_first_and_needs_no_platform(project: MakeProject) -> None:
    """It fails before minutes of building; `host` alone has no image to check."""
    project.write(image("lint = true"))
    two = "--container-platform=linux/amd64,linux/arm64"
    names = ["image::lint", "image[linux/amd64]", "image[linux/arm64]"]
    assert collected(project, two)[:3] == names
    assert collected(project, "--container-platform=host") == ["train[host]"]
    assert collected(project, "-k", "image and lint") == ["image::lint"]
    assert collected(project, "pyproject.toml::image::lint") == ["image::lint"]


def test_without_the_option_it_is_skipped_like_the_others(project: MakeProject) -> None:
    project.write(image("lint = true"))
    project.pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(skipped=5)


def test_an_image_that_is_given_has_no_dockerfile(project: MakeProject, engine: object) -> None:
    project.write(image("lint = true"), dockerfile=None)
    result = project.run(f"--container-image={BASE}", "-k", "lint", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*nothing to check*there is no Dockerfile of the image {BASE}*"])


def test_a_dockerfile_that_is_not_there_is_named(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    """By each check that reads it, whichever comes first."""
    checks = ("lint", "cache", "rebuild", "size", "slim")
    project.write(image("\n".join(f"{each} = true" for each in checks)), dockerfile=None)
    for each in checks:
        result = project.run("-k", each)
        assert "there is no Dockerfile" in failure_of(result, f"image::{each}")


def test_findings_below_the_threshold_pass_and_are_shown(
    project: MakeProject, engine: object
) -> None:
    """In the terminal, in the report's three files and in JUnit's."""
    project.write(image("lint = true"), dockerfile=DATED)
    folder, junit = project.root / "report", project.root / "junit.xml"
    result = project.run("-k", "lint", f"--container-report={folder}", f"--junitxml={junit}")
    result.assert_outcomes(passed=1)
    line = "*warning Dockerfile:1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match*"
    result.stdout.fnmatch_lines([line])
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    assert (check["check"], check["platform"], check["passes"]) == ("lint", None, True)
    found = {(each["rule"], each["place"], each["line"]) for each in check["findings"]}
    assert found >= {("FromAsCasing", "Dockerfile", 1), ("ML001", "Dockerfile", 1)}
    assert "FromAsCasing" in (folder / "report.html").read_text()
    assert "| `Dockerfile:1` |" in (folder / "summary.md").read_text()
    assert "container-check" in {each.get("name") for each in _properties(junit)}


def _properties(junit: Path) -> list[ElementTree.Element]:
    return list(ElementTree.parse(junit).getroot().iter("property"))


def test_a_finding_that_reaches_the_threshold_fails_and_says_how_to_mend_it(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    project.write(image('lint = { threshold = "info" }'), dockerfile=DATED)
    result = project.run("-k", "lint")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::lint")
    for part in (
        f"Dockerfile:1: info ML001: {BASE} is pinned by its tag alone",
        f"    → {BASE}@sha256:…",
        "pytest --container pyproject.toml::image::lint",
    ):
        assert part in said


def test_github_shows_a_finding_at_its_line(
    project: MakeProject, engine: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.root.parent))
    project.write(image('lint = { threshold = "warning" }'), dockerfile=DATED)
    lines = project.run("-k", "lint").outlines
    (line,) = (line for line in lines if line.startswith("::error "))
    folder = project.root.name
    assert line.startswith(f"::error file={folder}/Dockerfile,line=1,title=Dockerfile%3A1%3A warn")


def test_what_is_ignored_is_no_finding(project: MakeProject, engine: object) -> None:
    """A rule everywhere, or where it matches."""
    ignore = '["ML001:Docker*", "ML006", "FromAsCasing"]'
    project.write(image(f'lint = {{ threshold = "info", ignore = {ignore} }}'), dockerfile=DATED)
    project.run("-k", "lint").assert_outcomes(passed=1)
    other = ignore.replace("Docker*", "other/*")
    project.write(image(f'lint = {{ threshold = "info", ignore = {other} }}'), dockerfile=DATED)
    project.run("-k", "lint").assert_outcomes(failed=1)


@pytest.mark.parametrize(("image_table", "failed"), [("", 0), ("lint = true", 1)])
def test_errors_of_other_linters_fail_only_where_lint_is_asked_for(
    project: MakeProject, engine: object, image_table: str, failed: int
) -> None:
    """A suite that is green stays so after an upgrade; Hadolint calls MAINTAINER an error."""
    project.write(image(image_table), dockerfile=f"{DATED}MAINTAINER somebody\n")
    project.run("-k", "lint").assert_outcomes(failed=failed, passed=1 - failed)


def test_what_hadolint_cannot_read_and_buildkit_can_is_no_fault(
    project: MakeProject, engine: object
) -> None:
    """It does not know all heredocs; a note says that its rules were not applied."""
    heredoc = "COPY <<EOF /app/settings.json\n{}\nEOF\nRUN true\n"
    project.write(image("lint = true"), dockerfile=f"{DATED}{heredoc}")
    result = project.run("-k", "lint")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*note: Dockerfile: Hadolint cannot read line 7, *not applied"])


@pytest.mark.parametrize(
    ("lines", "rule", "is_said"),
    [
        pytest.param("RUN pip install '.[fast]'", "DL3013", False, id="the project has no version"),
        pytest.param("RUN pip install -U '.[fast]' pip", "DL3013", True, id="a package has"),
        pytest.param(
            "HEALTHCHECK CMD python -c 'import a' || exit 1", "DL3025", False, id="a shell's ||"
        ),
        pytest.param("CMD python train.py", "DL3025", True, id="a command in a shell"),
        pytest.param("FROM spark:3.5.5\nCOPY a ./", "DL3045", False, id="the base has a WORKDIR"),
        pytest.param("FROM python:3.13-slim\nCOPY a ./", "DL3045", True, id="the base has none"),
    ],
)
def test_of_hadolint_what_holds_is_said(
    lines: str, rule: str, is_said: bool, project: MakeProject, engine: object
) -> None:
    """It knows neither the base nor what pip takes for a path."""
    table = image('lint = { threshold = "info" }')
    project.write(table, dockerfile=f"{DATED}{lines}\n", a="")
    assert (rule in project.run("-k", "lint").stdout.str()) is is_said


def test_a_frontend_that_cannot_be_had_is_named_by_lint_alone(
    project: MakeProject, engine: object
) -> None:
    syntax = "# syntax=127.0.0.1:9/acme/dockerfile:1\n"
    project.write(image("lint = true"), dockerfile=f"{syntax}{DATED}")
    result = project.run("pyproject.toml::image::lint")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*note: *# syntax=127.0.0.1:9/acme/dockerfile:1*fetched; checked with the engine's own*"]
    )


def test_what_ends_the_build_is_an_error(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    """A Dockerfile with `error=true` makes errors of its warnings; nothing need be configured."""
    project.write(image(""), dockerfile=f"# check=error=true\n{DATED}")
    said = failure_of(project.run("-k", "lint"), "image::lint")
    assert "Dockerfile:2: error FromAsCasing" in said
    assert "image::lint: 1 error\n" in said


def test_workers_carry_what_was_found(project: MakeProject, engine: object) -> None:
    """The controller of pytest-xdist reports what its workers checked."""
    project.write(image("lint = true"), dockerfile=DATED)
    folder = project.root / "report"
    result = project.pytester.runpytest_subprocess(
        "-p", "no:randomly", "--container", "-n2", "-k", "lint", f"--container-report={folder}"
    )
    result.assert_outcomes(passed=1)
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    assert "FromAsCasing" in {each["rule"] for each in check["findings"]}


def test_a_dockerfile_that_cannot_be_read_is_an_error(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    """Also where nothing is configured: it cannot be built either."""
    project.write(image(""), dockerfile=f"FROM {BASE}\nCOYP a b\n")
    result = project.run("-k", "lint")
    result.assert_outcomes(failed=1)
    assert "Dockerfile:2: error ML000: unknown instruction: COYP" in failure_of(
        result, "image::lint"
    )


@pytest.mark.parametrize("base", ["${BASE}", "registry.example/$TEAM/base:1"])
def test_a_base_whose_name_is_missing_is_asked_for(
    project: MakeProject, engine: object, failure_of: FailureOf, base: str
) -> None:
    """An ARG without a default wants a value, as `docker build --build-arg` gives one."""
    project.write(image(""), dockerfile=f"ARG BASE\nARG TEAM\nFROM {base}\n")
    result = project.run("-k", "lint")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::lint")
    assert "Dockerfile:3: error ML000" in said
    assert "build-args" in said


def test_a_syntax_line_that_cannot_be_fetched_keeps_nothing_from_being_read(
    project: MakeProject, engine: object
) -> None:
    """As in a build, the engine's own frontend reads it then."""
    text = f"# syntax=nowhere.invalid/docker/dockerfile:1\n{DATED}"
    project.write(image("lint = true"), dockerfile=text)
    result = project.run("-k", "lint")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*warning Dockerfile:2 FromAsCasing*"])


def test_several_dockerfiles_are_read(project: MakeProject, engine: object) -> None:
    project.write(image('lint = { dockerfiles = "*.Dockerfile" }'), gpu__Dockerfile=DATED)
    result = project.run("-k", "lint")
    result.stdout.fnmatch_lines(["*warning gpu.Dockerfile:1 FromAsCasing*"])


def test_what_is_missing_is_told(
    project: MakeProject, engine: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without Hadolint, and with an engine that is away, rules of our own are applied."""
    project.write(image("lint = true"))
    interpreter = tmp_path / "python"  # Hadolint is looked for beside it
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(interpreter))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = project.run("-k", "lint", "--container-engine=tcp://127.0.0.1:1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*note: Hadolint is not installed*", "*note: `docker build --check` was not asked: *"]
    )
    project.write(image(""))
    result = project.run("-k", "lint", "--container-engine=tcp://127.0.0.1:1")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*Hadolint is not installed*")  # nobody asked for it
