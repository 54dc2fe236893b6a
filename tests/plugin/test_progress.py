"""What is seen while something goes on: on terminals of every kind, in pipes, and with workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pseudo_terminal import Watched, watch

CONFIG = """platforms = ["host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["out.txt"]
"""
TRAIN = "import time\ntime.sleep(2.5)\nopen('out.txt', 'w').write('1')\n"
RUNNING = re.compile(r"^  train\[host\] +running +\d:\d\d", re.MULTILINE)
PLAIN = "  train[host]: running (at most 10:00)"
COMMAND = (sys.executable, "-m", "pytest", "--container", "-p", "no:cacheprovider")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    text = f'[project]\nname = "sample"\nversion = "1"\n\n[tool.mlcontainer]\n{CONFIG}'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "test_plain.py").write_text("def test_one():\n    pass\n")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MLCONTAINER_PROGRESS", "CI", "TERM", "NO_COLOR", "COLUMNS")
        and not name.startswith("PYTEST_")
    }
    return {**kept, "TERM": "xterm-256color", **more}


def seen(root: Path, *options: str, **env: str) -> Watched:
    """pytest on a terminal."""
    result = watch([*COMMAND, *options, "."], root, environment(**env))
    assert result.exit_code == 0, result.last
    return result


def test_a_terminal_shows_what_goes_on_and_nothing_of_it_stays(root: Path) -> None:
    watched = seen(root)
    live = [frame for frame in watched.frames if RUNNING.search(frame)]
    assert live
    # Below the line that pytest is writing, which is not touched.
    assert all(re.search(r"\npyproject\.toml ?\.?\n  train", frame) for frame in live), live[0]
    assert "running" not in watched.last
    assert re.search(r"pyproject\.toml \. +\[ *\d+%\]\n", watched.last)
    assert "2 passed" in watched.last


def test_the_next_session_says_how_long_it_will_take(root: Path) -> None:
    seen(root)
    second = seen(root)
    assert re.search(r"train\[host\] +running +0:0\d of about 0:0\d", "\n".join(second.frames))


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (("-s",), {}),
        ((), {"TERM": "dumb"}),
        ((), {"CI": "true"}),
        (("--container-progress=plain",), {}),
        ((), {"MLCONTAINER_PROGRESS": "plain"}),
        (("-o", "log_cli=true"), {}),
    ],
    ids=["no capture", "dumb", "CI", "option", "variable", "live logging"],
)
def test_lines_where_nothing_can_be_drawn(
    root: Path, options: tuple[str, ...], env: dict[str, str]
) -> None:
    watched = seen(root, *options, **env)
    assert f"\n{PLAIN}\n" in watched.last
    assert "\x1b7" not in watched.raw
    assert re.search(r"\n  train\[host\]: running: done after 0:0\d\n", watched.last)


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys"])
def test_each_way_to_capture_leaves_it_as_it_is(root: Path, capture: str) -> None:
    watched = seen(root, f"--capture={capture}")
    assert any(RUNNING.search(frame) for frame in watched.frames)
    assert "running" not in watched.last


@pytest.mark.parametrize(
    ("options", "env"), [(("--color=no",), {}), ((), {"NO_COLOR": "1"})], ids=["option", "variable"]
)
def test_without_colours_it_is_drawn_without(
    root: Path, options: tuple[str, ...], env: dict[str, str]
) -> None:
    watched = seen(root, *options, **env)
    assert any(RUNNING.search(frame) for frame in watched.frames)
    assert not re.search(r"\x1b\[[\d;]*m", watched.raw)


@pytest.mark.parametrize("option", ["-q", "--container-progress=none"])
def test_silence_where_that_is_wanted(root: Path, option: str) -> None:
    watched = seen(root, option)
    assert "running" not in "\n".join(watched.frames)


def test_verbose_lines_stay_above_what_is_drawn(root: Path) -> None:
    watched = seen(root, "-v")
    assert re.search(r"\n  train\[host\]: running\n", watched.last)
    assert any(RUNNING.search(frame) for frame in watched.frames)
    assert not RUNNING.search(watched.last)


def test_the_controller_shows_what_workers_do(root: Path) -> None:
    watched = seen(root, "-n2")
    assert any(RUNNING.search(frame) for frame in watched.frames)
    assert not RUNNING.search(watched.last)
    assert "2 passed" in watched.last


def test_a_pipe_gets_lines_without_escapes(root: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "."], cwd=root, env=environment(), capture_output=True, text=True, check=True
    )
    assert PLAIN in done.stdout.splitlines()
    assert "\x1b" not in done.stdout


def test_what_does_not_exist_is_said(root: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--container-progress=loud", "."],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "--container-progress is none of auto, live, plain, none: 'loud'" in done.stderr
