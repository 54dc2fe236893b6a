"""`mlcontainer test`, and projects whose own pytest ends before it collects anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MLCONTAINER = Path(sys.executable).with_name("mlcontainer")
TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "-c", "import os; os.mkdir('o'); open('o/x', 'w').write('1')"]
outputs = ["o/*"]
"""
BROKEN = {
    "options": 'addopts = "--cov=src --ds=settings"',
    "a plugin": 'addopts = "-p nosuchplugin"',
    "required plugins": 'required_plugins = ["pytest-nosuch>=1"]',
    "warnings": 'filterwarnings = ["error::nosuchpackage.Warned"]',
    "nothing": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\nWORKDIR /app\n")
    (tmp_path / "pyproject.toml").write_text(TABLE)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTEST_ADDOPTS": "--nosuchoption"} if words[0] == "test" else None
    program = [str(MLCONTAINER)] if words[0] == "test" else [sys.executable, "-m"]
    return subprocess.run(
        [*program, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("broken", BROKEN)
def test_the_table_runs_whatever_the_projects_pytest_is_set_to(folder: Path, broken: str) -> None:
    (folder / "conftest.py").write_text("import nosuchpackage\n")
    (folder / "test_own.py").write_text("import nosuchpackage\n")
    text = f"{TABLE}\n[tool.pytest.ini_options]\n{BROKEN[broken]}\n"
    (folder / "pyproject.toml").write_text(text)

    own = run(folder, "pytest", "--container")
    alone = run(folder, "test", "-k", "image" if broken != "nothing" else "train or image")

    assert own.returncode != 0
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "passed" in alone.stdout
    assert "dev/null" not in alone.stdout


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("conftest.py", "import nosuchpackage\n"),
        ("test_own.py", "import nosuchpackage\n"),
        ("pyproject.toml", f'{TABLE}[tool.pytest.ini_options]\naddopts = "--ds=settings"\n'),
    ],
)
def test_a_pytest_that_ends_before_any_container_names_what_runs_them(
    folder: Path, file: str, content: str
) -> None:
    """Also among the words of pytest itself, where those come first."""
    (folder / file).write_text(content)
    done = run(folder, "pytest", "--container")

    assert done.returncode != 0
    assert "mlcontainer test" in done.stdout + done.stderr
    assert "mlcontainer test" not in "".join(
        getattr(run(folder, "pytest"), stream) for stream in ("stdout", "stderr")
    )


def test_options_and_items_are_pytests(folder: Path) -> None:
    done = run(folder, "test", "--collect-only", "-q", "pyproject.toml::train[linux/amd64]")

    assert "pyproject.toml::train[linux/amd64]" in done.stdout
    assert "image" not in done.stdout


def test_a_failure_is_repeated_by_the_same_command(folder: Path) -> None:
    """Not by the pytest that ends before it collects."""
    drifts = TABLE.replace("'1'", "os.urandom(4).hex()")
    (folder / "pyproject.toml").write_text(f'{drifts}\n[tool.pytest]\naddopts = ["-p", "nosuch"]\n')
    done = run(folder, "test", "--container-repeat=2")

    assert done.returncode == 1
    assert "\n  mlcontainer test --container-repeat=2 'pyproject.toml::train" in done.stdout


def test_hooks_that_are_not_loaded_are_said(folder: Path) -> None:
    (folder / "conftest.py").write_text("def mlcontainer_comparators(): ...\n")
    done = run(folder, "test", "--collect-only")

    assert "conftest.py is not loaded: mlcontainer_comparators" in done.stderr


def test_without_a_table_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "test")

    assert done.returncode == 1
    assert "there is no [tool.mlcontainer] here" in done.stderr
    assert "mlcontainer init" in done.stderr


NO_TABLE = "has no [tool.mlcontainer] table, and no test"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("own", "which"),
    [("import nosuchpackage\n", " that could be read uses"), ("def test_x(): ...\n", " uses")],
    ids=["broken", "sound"],
)
def test_a_project_without_a_table_is_told_so_whatever_its_own_tests_do(
    tmp_path: Path, own: str, which: str, workers: tuple[str, ...]
) -> None:
    (tmp_path / "test_own.py").write_text(own)
    said = run(tmp_path, "pytest", "--container", *workers).stdout
    assert f"{NO_TABLE}{which} a fixture of this plugin; `mlcontainer init` writes" in said
    assert ("`mlcontainer test` then runs" in said) == ("nosuch" in own)
    assert "no container ran" not in run(tmp_path, "pytest", *workers).stdout


@pytest.mark.parametrize("chosen", [("-n", "2"), ("-k", "nothing"), ("-m", "not container")])
def test_tests_with_fixtures_are_not_overlooked(tmp_path: Path, chosen: tuple[str, ...]) -> None:
    """Not those that ran in a worker, nor those that are left out on purpose."""
    own = "def test_x(project_image): ...\ndef test_y(): ...\n"
    (tmp_path / "test_own.py").write_text(own)
    assert NO_TABLE not in run(tmp_path, "pytest", "--container", *chosen).stdout
