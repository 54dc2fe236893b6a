"""What CI is told: annotations beside the line, a job's summary; and what a beginner is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.config import line_of_table
from pytest_mlcontainer.report.github import Annotation, commands

TABLE = """[project]
name = "sample"
version = "1"

[tool.mlcontainer]
platforms = ["host"]

[tool.mlcontainer.entrypoints."other"]
command = ["python", "-c", "print(1)"]

[tool.mlcontainer.entrypoints.train]
command = ["python", "-c", "import sys; print('100% ::error::x'); sys.exit(3)"]
"""


def run(root: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "GITHUB_"))
    }
    command = [sys.executable, "-m", "pytest", "--container", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, cwd=root, env={**kept, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "models"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(TABLE)
    return folder


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_github_shows_a_failure_beside_the_entrypoint_that_failed(
    root: Path, workers: tuple[str, ...], tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    done = run(
        root,
        *workers,
        GITHUB_ACTIONS="true",
        GITHUB_WORKSPACE=str(root.parent),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    (line,) = said
    assert line.startswith("::error file=models/pyproject.toml,line=11,title=train on host exited")
    assert "100%25" in line
    assert "exited with code 3" in summary.read_text()


def test_github_shows_what_a_fixture_says_beside_the_test(root: Path) -> None:
    """And leaves an assertion of somebody's test to others."""
    (root / "test_it.py").write_text(
        "def test_asserts():\n    assert not 1\n\n\n"
        "def test_runs(run_entrypoint):\n    run_entrypoint('train')\n"
    )
    done = run(root, "test_it.py", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(root))
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert line.startswith("::error file=test_it.py,line=5,title=")
    assert "exited with code 3" in line


def test_elsewhere_nothing_is_written_for_github(root: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = run(root, GITHUB_STEP_SUMMARY=str(summary))
    assert "::error" not in "\n".join(
        line for line in done.stdout.splitlines() if line.startswith("::")
    )
    assert not summary.exists()


def test_a_summary_that_cannot_be_written_changes_nothing(root: Path) -> None:
    done = run(root, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(root / "no" / "folder.md"))
    assert done.returncode == 1
    assert "INTERNALERROR" not in done.stdout


def test_an_annotation_holds_whatever_a_failure_says() -> None:
    shown = str(Annotation("a,b:c.toml", 3, "50% a,b: c\x1b[2J\nsecond\r\n" + "x\n" * 50))
    assert shown.startswith(
        r"::error file=a%2Cb%3Ac.toml,line=3,title=50%25 a%2Cb%3A c\x1b[2J::50%25 a,b: c\x1b[2J%0A"
    )
    assert "\n" not in shown
    assert shown.count("%0A") == 11


def test_github_takes_ten_annotations_and_is_told_of_the_others() -> None:
    lines = commands([Annotation("f", 1, str(number)) for number in range(13)])
    assert len(lines) == 11
    assert lines[-1] == "and 3 more failures"
    assert commands([]) == []


@pytest.mark.parametrize(
    ("name", "line"), [("train", 10), ("other", 7), ("", 4), ("nowhere", 4), ("tra.n", 4)]
)
def test_the_line_of_a_table_is_found(root: Path, name: str, line: int) -> None:
    assert line_of_table(root / "pyproject.toml", name) == line


def test_a_table_of_another_tool_is_none_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.mlcontainer-x]\n[tool . mlcontainerize]\n[tool.mlcontainer]\n")
    assert line_of_table(file) == 2


def test_a_file_that_went_has_no_lines(tmp_path: Path) -> None:
    assert line_of_table(tmp_path / "gone.toml", "train") == 0


@pytest.mark.parametrize("config", [None, "[project]\nname = 'x'\nversion = '1'\n"])
def test_without_a_table_the_way_to_one_is_named(tmp_path: Path, config: str | None) -> None:
    (tmp_path / "test_plain.py").write_text("def test_one():\n    pass\n")
    if config is not None:
        (tmp_path / "pyproject.toml").write_text(config)
    done = run(tmp_path, f"--rootdir={tmp_path}")
    assert done.returncode == 0
    assert "has no [tool.mlcontainer] table" in done.stdout
    assert "`mlcontainer init`" in done.stdout


def test_with_a_table_nothing_is_said_of_one(root: Path) -> None:
    (root / "test_plain.py").write_text("def test_one():\n    pass\n")
    done = run(root, "test_plain.py")
    assert "has no [tool.mlcontainer] table" not in done.stdout
