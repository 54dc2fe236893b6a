"""What a session says at its end of what a user may have expected and it did not do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = """[tool.mlcontainer]
platforms = ["host"]

[tool.mlcontainer.entrypoints.train]
command = ["python", "-c", "import os; os.mkdir('o'); open('o/x', 'w').write('1')"]
outputs = ["o/*"]
"""
NOTHING = "note: nothing was compared: train ran on host alone; a second platform, "


def said(folder: Path, *words: str) -> str:
    command = (sys.executable, "-m", "pytest", "--container", *words)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\nWORKDIR /app\n")
    (tmp_path / "pyproject.toml").write_text(TRAIN)
    return tmp_path


@pytest.mark.parametrize("words", [(), ("-n", "2"), ("-q",)], ids=["alone", "workers", "quiet"])
def test_a_run_that_is_held_against_nothing_is_said_to_be(
    folder: Path, words: tuple[str, ...]
) -> None:
    """A green session would else be taken for a verdict."""
    assert NOTHING in said(folder, "pyproject.toml::train[host]", *words)


def test_what_is_compared_or_fails_or_is_chosen_says_nothing_of_that(folder: Path) -> None:
    kept = "--container-records=records"  # compared by `mlcontainer compare`
    for words in (("--container-repeat=2",), ("-k", "train"), ("--collect-only",), (kept,)):
        assert "nothing was compared" not in said(folder, *words)
    (folder / "pyproject.toml").write_text(TRAIN.replace("os.mkdir('o')", "os.mkdir('/o/o')"))
    assert "nothing was compared" not in said(folder)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("trian[linux/amd64]", "did you mean train[linux/amd64]? it has "),
        ("trian", "did you mean train? it has "),
        ("train[linux/amd46]", "did you mean train[linux/amd64]? it has "),
        ("image::lnt", "did you mean image::lint? it has "),
        ("xyz", "it has image"),
    ],
)
def test_an_item_that_the_table_does_not_have_gets_the_nearest_name(
    folder: Path, asked: str, meant: str
) -> None:
    (folder / "pyproject.toml").write_text(TRAIN.replace("host", "linux/amd64"))
    printed = said(folder, f"pyproject.toml::{asked}")
    assert f"pyproject.toml has no item {asked}: {meant}" in printed


@pytest.mark.parametrize("asked", ["train", "train[linux/amd64]", "image", "image::size"])
def test_an_item_that_is_there_is_not_missed(folder: Path, asked: str) -> None:
    (folder / "pyproject.toml").write_text(TRAIN.replace("host", "linux/amd64"))
    assert "has no item" not in said(folder, f"pyproject.toml::{asked}", "--collect-only")


def test_no_empty_line_follows_the_heading(folder: Path) -> None:
    assert re.search(r"=+ containers =+\n\S", said(folder, "pyproject.toml::train[host]"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("--contaner", "--container"), ("--container-plattform=host", "--container-platform")],
)
def test_an_option_that_nobody_has_gets_the_nearest_name_of_ours(
    folder: Path, given: str, meant: str
) -> None:
    printed = said(folder, given)
    assert f"{given.partition('=')[0]}, did you mean: {meant}\n" in printed
    assert "to run containers without them" not in printed


def test_an_option_of_others_is_left_to_them(folder: Path) -> None:
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--containers')\n"
    )
    assert "did you mean" not in said(folder, "--containers=3", "--collect-only")
    assert "did you mean" not in said(folder, "--covv")
