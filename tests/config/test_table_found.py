"""Which `pyproject.toml` is taken for one of ours: by what it says as TOML, not by its letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mlcontainer.config import has_table
from tests.sample_project import MakeProject

ENTRY = 'entrypoints = { train = { command = ["x"], outputs = ["o"] } }'

OURS = {
    "a heading": f"[tool.mlcontainer]\n{ENTRY}",
    "blanks and quotes": f'[ tool . "mlcontainer" ]\n{ENTRY}',
    "an entrypoint's alone": '[tool.mlcontainer.entrypoints.train]\ncommand = ["x"]\n',
    "an inline table": f"[tool]\nmlcontainer = {{ {ENTRY} }}",
    "a dotted key": f"tool.mlcontainer.{ENTRY}",
    "inline at the top": f"tool = {{ mlcontainer = {{ {ENTRY} }} }}",
    "with a byte order mark": f"\ufeff[tool.mlcontainer]\n{ENTRY}",
}
NOT_OURS = {
    "nothing": "",
    "a comment": "# tool.mlcontainer\n# [tool.mlcontainer] is not used here\n[tool.other]\n",
    "a dependency": '[project]\nname = "a"\nversion = "1"\ndependencies = ["pytest-mlcontainer"]\n',
    "text": '[tool.other]\nabout = """\n[tool.mlcontainer]\n"""\n',
    "another table": "[mlcontainer]\n[tool.other.mlcontainer]\n",
    "broken, with a comment": "# [tool.mlcontainer]\n[tool.other\n",
    "broken, with a dependency": '[project]\ndependencies = ["pytest-mlcontainer"]\nname = \n',
}
BROKEN = {
    "a heading": "[tool.mlcontainer]\nplatforms = [\n",
    "an unclosed heading": "[tool.mlcontainer\n",
    "a key": "[tool]\nmlcontainer = { platforms = \n",
    "a dotted key": "tool.mlcontainer.platforms = \n",
    "a fault before it": "name = \n[tool.mlcontainer.entrypoints.train]\n",
}


def inside(project: MakeProject, text: str) -> Callable[..., pytest.RunResult]:
    """Writes the file into a folder of a suite, whose pytest does not read it; runs that folder."""
    folder = project.root / "model"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (project.root / "pytest.ini").write_text("[pytest]\n")
    options = ("-c", "pytest.ini", "-p", "no:randomly", "-p", "no:cacheprovider")
    return lambda *args: project.pytester.runpytest_inprocess("model", *options, *args)


@pytest.mark.parametrize("text", OURS.values(), ids=OURS)
def test_a_table_is_found_however_it_is_written(project: MakeProject, text: str) -> None:
    """With and without --container, and from a test's folder upwards."""
    run = inside(project, text)

    for args in ((), ("--container",)):
        result = run("--collect-only", "-q", *args)
        result.stdout.fnmatch_lines(["model/pyproject.toml::train*"])


@pytest.mark.parametrize("text", NOT_OURS.values(), ids=NOT_OURS)
def test_letters_alone_are_no_table(project: MakeProject, text: str) -> None:
    """A comment that mentions it broke the collection of whole suites."""
    run = inside(project, text)
    (project.root / "model" / "test_it.py").write_text("def test_it(): pass\n")

    for args in ((), ("--container",)):
        run(*args).assert_outcomes(passed=1)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_that_means_the_table_says_where(project: MakeProject, text: str) -> None:
    """Passing it over would test nothing and say nothing."""
    run = inside(project, text)

    result = run("--container")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*pyproject.toml:[0-9]*: not valid TOML*", "*→ correct this line*"]
    )
    run().assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    "name", ["ml-container", "ml_container", "pytest-mlcontainer", "MLContainer"]
)
def test_a_table_that_is_surely_meant_is_not_passed_over(project: MakeProject, name: str) -> None:
    """It says what to call it."""
    run = inside(project, f"[tool.{name}]\n{ENTRY}\n")

    result = run("--container")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*this table is not read*", "*rename it to [[]tool.mlcontainer]*"])


def test_a_file_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    """A folder of that name, for one."""
    assert not has_table(tmp_path)
    assert not has_table(tmp_path / "gone")


@pytest.mark.parametrize(
    ("args", "outcome"),
    [
        (("--container-vary", "umask"), {"passed": 1}),
        (("--container-vary", "umask,timezone"), {"passed": 1}),
        (("--container-vary", "pyproject.toml"), {"passed": 1}),
        (("--container-vary=umask",), {"passed": 1}),
    ],
)
def test_a_blank_may_stand_before_the_names_of_variations(
    project: MakeProject, args: tuple[str, ...], outcome: dict[str, int]
) -> None:
    """Without a value all are meant, and a file that follows is one."""
    config = """
platforms = ["host"]
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
"""
    project.write(config, dockerfile=None)
    project.run("-k", "varies", *args).assert_outcomes(**outcome, deselected=1)


@pytest.mark.parametrize("word", ["umaks", "tests"])
def test_names_that_there_are_not_are_no_missing_file(project: MakeProject, word: str) -> None:
    """It is said of variations, with the nearest of them."""
    project.write(dockerfile=None)
    result = project.run("--container-vary", word)
    assert result.ret != 0
    said = result.stdout.str() + result.stderr.str()
    assert "not found" not in said
    assert "there is no variation of this name" in said
    assert word == "tests" or "did you mean umask" in said
