"""With `--container` absent, pytest does not pay for this plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """\
import sys

def pytest_unconfigure():
    print("\\nloaded:", *sorted(sys.modules))
"""
# pytest-randomly and zarr import numpy, hypothesis much else: what is looked for is our own doing.
ALONE = [
    word
    for plugin in ("randomly", "zarr", "hypothesispytest", "xdist", "xdist.looponfail")
    for word in ("-p", f"no:{plugin}")
]
HEAVY = {
    "docker",
    "filelock",
    "numpy",
    "requests",
    "testcontainers",
    "tomllib",
    "pytest_mlcontainer.config",
    "pytest_mlcontainer.errors",
    "pytest_mlcontainer.model",
    "pytest_mlcontainer.pipeline",
    "pytest_mlcontainer.plugin.api",
    "pytest_mlcontainer.plugin.items",
    "pytest_mlcontainer.plugin.session",
    "pytest_mlcontainer.report",
}


def loaded(folder: Path, *words: str) -> set[str]:
    """The modules that pytest has loaded at the end of a run of one empty test."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", *ALONE, *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("loaded: ")]
    return set(line.split()[1:])


def test_without_the_option_only_the_hooks_are_loaded(tmp_path: Path) -> None:
    modules = loaded(tmp_path)
    assert "pytest_mlcontainer.plugin" in modules, "this test would prove nothing"
    assert not modules & HEAVY


def test_with_the_option_they_are_so_the_names_above_mean_something(tmp_path: Path) -> None:
    assert {"docker", "numpy", "pytest_mlcontainer.model"} <= loaded(tmp_path, "--container")


def test_a_project_with_a_table_pays_for_reading_it_alone(tmp_path: Path) -> None:
    """Its `pytest` without `--container` collects what it then skips."""
    entrypoint = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
    (tmp_path / "pyproject.toml").write_text(entrypoint)
    modules = loaded(tmp_path)
    assert "pytest_mlcontainer.plugin.items" in modules, "this test would prove nothing"
    assert not modules & {"docker", "numpy", "requests", "pytest_mlcontainer.pipeline"}
    assert not modules & {"pytest_mlcontainer.plugin.session", "pytest_mlcontainer.report"}
