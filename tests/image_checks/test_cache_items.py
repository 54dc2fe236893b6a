"""`image::cache` as a test: builds on a real engine in which a source file has changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixture_types import FailureOf
from tests.image_checks.wheels import write_wheel
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
OFF = "lint = false\nsize = false\ngpu = false\n"
INSTALL = "RUN pip install --no-index -r requirements.txt\n"


def checked(project: MakeProject, steps: str, values: str = "") -> dict[str, Any]:
    """The check in `report.json`, of an image that installs one wheel."""
    name = write_wheel(project.root, "numbers_of_all")
    (project.root / "requirements.txt").write_text(f"./{name}\n")
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}cache = {{ {values} }}\n"
    project.write(config, dockerfile=steps)
    folder = project.root / "report"
    project.run("-k", "cache", f"--container-report={folder}")
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    check["rules"] = {each["rule"]: each for each in check["findings"]}
    return dict(check)


def test_sources_that_are_copied_first_are_found_with_the_line_and_the_order(
    project: MakeProject, failure_of: FailureOf
) -> None:
    steps = f"# a comment\nFROM {BASE}\nWORKDIR /app\nCOPY . .\n{INSTALL}"
    check = checked(project, steps)
    found = check["rules"]["CA001"]
    assert (found["place"], found["line"]) == ("Dockerfile", 5)
    assert found["what"] == "a change of train.py installs packages again: numbers-of-all"
    assert "because `COPY . .` at line 4 takes train.py along before it" in found["why"]
    assert found["mend"].splitlines() == [
        "COPY requirements.txt numbers_of_all-1.0-py3-none-any.whl ./",
        "RUN pip install --no-index -r requirements.txt",
        "COPY . .",
    ]
    assert found["cost_s"] > 0
    assert check["headline"].startswith("train.py changed: 2 of 3 steps ran again, warm ")
    said = failure_of(project.run("-k", "cache"), "image::cache")
    assert "Dockerfile:5: error CA001: a change of train.py installs packages again" in said
    assert "steps that ran again:" in said


def test_the_order_that_is_proposed_passes_and_the_project_is_as_it_was(
    project: MakeProject,
) -> None:
    steps = (
        f"FROM {BASE} AS base\nWORKDIR /app\nCOPY *.whl requirements.txt ./\n{INSTALL}"
        "FROM base\nCOPY . .\nRUN pip install --no-index -r requirements.txt && python train.py\n"
    )
    before = {path: path.read_bytes() for path in project.root.glob("*.py")}
    check = checked(project, steps, "cold = true")
    assert (check["passes"], check["findings"], check["notes"]) == (True, [], [])
    figures = check["figures"]
    assert (figures["steps"], figures["steps_again"]) == (5, 2)
    assert figures["cold_s"] > figures["changed_s"] > 0
    assert " cold " in check["headline"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_install_in_another_stage_is_found_by_its_own_copy(project: MakeProject) -> None:
    steps = (
        f"ARG BASE={BASE}\nFROM ${{BASE}} AS build\nWORKDIR /src\nCOPY *.py *.whl *.txt ./\n"
        "RUN <<END\npip install --no-index -r requirements.txt\nEND\n"
        f"FROM {BASE}\nCOPY --from=build /usr/local /usr/local\n"
    )
    found = checked(project, steps)["rules"]["CA001"]
    assert found["line"] == 5
    assert "`COPY *.py *.whl *.txt ./` at line 4" in found["why"]


def test_a_quiet_install_counts_where_none_came_before_it(project: MakeProject) -> None:
    quiet = INSTALL.replace("install", "install -q")
    steps = f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n{quiet}"
    assert checked(project, steps)["rules"]["CA001"]["line"] == 4


def test_a_file_that_no_step_takes_shows_nothing(project: MakeProject) -> None:
    (project.root / "notes.R").write_text("1\n")
    steps = f"FROM {BASE}\nCOPY train.py /\n"
    check = checked(project, steps, 'source = "notes.R"')
    assert check["notes"][0].startswith("no step of the build depends on notes.R")
    assert check["passes"]


@pytest.mark.parametrize(
    ("steps", "values", "said"),
    [
        (f"FROM {BASE}\n", "", "no COPY takes a Python file of the build context along"),
        (f"FROM {BASE}\nCOPY . .\n", 'source = "x.py"', "is no file of the build context"),
        (f"FROM {BASE}\nCOPY . .\nRUN false\n", "", "could not be built"),
        ("FORM x\n", "", "there is no FROM"),
        (f"FROM {BASE}\nCOPY . .\nRUNN x\n", "", "unknown instruction: RUNN"),
    ],
)
def test_what_cannot_be_tried_says_so(
    project: MakeProject, steps: str, values: str, said: str
) -> None:
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}cache = {{ {values} }}\n"
    project.write(config, dockerfile=steps)
    result = project.run("-k", "cache", "-rs")
    assert said in result.stdout.str()


def test_without_a_dockerfile_there_is_nothing_to_try(project: MakeProject) -> None:
    project.write(f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}cache = true\n", dockerfile=None)
    result = project.run("-k", "cache", "-rs", f"--container-image={BASE}")
    result.assert_outcomes(skipped=1)
