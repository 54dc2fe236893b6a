"""`mlcontainer explain`: what it says of one project, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.variations import FAMILIES

DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY *.py ./
"""
PROGRAM = """
import datetime, json, os, sys
value = {"local": datetime.datetime.fromtimestamp(0).hour, "steady": 1}[sys.argv[1]]
os.makedirs("out", exist_ok=True)
with open("out/result.json", "w") as file:
    json.dump({"value": value}, file)
"""
TABLE = """\
[project]
name = "sample"
version = "1"

[tool.mlcontainer]
{}

[tool.mlcontainer.entrypoints.local]
command = ["python3", "program.py", "local"]
outputs = ["out/*"]

[tool.mlcontainer.entrypoints.steady]
command = ["python3", "program.py", "steady"]
outputs = ["out/*"]

[tool.mlcontainer.entrypoints.silent]
command = ["python3", "-c", "pass"]

[tool.mlcontainer.entrypoints.broken]
command = ["python3", "-c", "raise SystemExit('no data')"]
outputs = ["out/*"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without an engine, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyproject.toml").write_text(TABLE.format('platforms = ["host"]'))
    return tmp_path


def explain(*arguments: str) -> int:
    return main(["explain", *arguments])


def test_a_drift_ends_with_1_and_its_cause(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same text as in a test's failure, and the same report."""
    code = explain("--entrypoint", "local", "--vary", "timezone,umask", "--report", "report")

    printed = capsys.readouterr()
    assert code == 1, printed.err
    assert "local on host drifts when the time zone changes: 1 item" in printed.out
    assert "cause: timezone (timezone=" in printed.out
    assert printed.err == ""
    (found,) = json.loads((folder / "report" / "report.json").read_text())["results"]
    assert found["verdict"] == "drift"
    assert [cause["names"] for cause in found["causes"]] == [["timezone"]]
    assert (folder / "report" / "report.html").is_file()


def test_what_does_not_vary_ends_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the entrypoint, and what was not exercised; no test, no failure."""
    assert explain("--entrypoint", "steady", "--vary", "timezone,hostname") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["steady", "host", "varied", "identical"]
    assert lines[1] == "steady on host: not exercised: hostname (needs a container)"


def test_a_container_is_explained_from_any_folder(
    folder: Path,
    native: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    leaves_nothing: None,
) -> None:
    """The configuration is named, the platform and the budget too; -v says what is done."""
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    code = explain(
        "--config", "..", "--entrypoint", "local", "--platform", native, "--vary", "timezone",
        "--budget", "3", "-v",
    )  # fmt: skip

    printed = capsys.readouterr()
    assert code == 1, printed.err
    assert f"local on {native} drifts" in printed.out
    assert "suspected: timezone — not narrowed down" in printed.out, "three runs confirm nothing"
    assert "runs made for this: 3" in printed.out
    assert f"local[{native}, timezone=Pacific/Kiritimati]: exit code 0" in printed.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--entrypoint", "trian"), "no entrypoint has this name: trian"),
        (("--entrypoint", "silent"), "there is nothing to explain: silent writes nothing"),
        (("--entrypoint", "local", "--vary", "time-zone"), "did you mean timezone?"),
        (("--vary", "hash_seed"), "  --vary: not the name of a variation"),
        (("--budget", "x"), "  --budget: not a number of runs"),
        (("--platform", "linux/"), "  --platform: "),
        (("--config", "nowhere.toml"), "there is no such file: nowhere.toml"),
        (("--entrypoint", "broken"), "no data"),
        (("--image", "a", "--image", "b", "--cure"), "--cure with --image given twice"),
        (("--image", "a", "--image", "b", "--locate"), "--locate with --image given twice"),
        (
            ("--entrypoint", "steady", "--vary", "timezone", "--report", "program.py"),
            "the report cannot be written: program.py",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_explained_ends_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """So that 1 always means a drift: what, the value, and what to do, on stderr."""
    assert explain(*arguments) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert "→ " in printed.err


def test_a_project_without_a_table_is_told_how_to_get_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert explain() == 2
    assert "`mlcontainer init` writes a first one" in capsys.readouterr().err


def test_the_variations_that_there_are_can_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anywhere, each with what it changes; those that are only varied by name say so."""
    monkeypatch.chdir(tmp_path)
    assert explain("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    for family, line in zip(FAMILIES, lines, strict=True):
        assert line.split()[0] == family.name
        assert family.what in line
        assert ("only where it is named" in line) is family.on_request
