"""What is seen while something goes on: on terminals of every kind, in pipes, and with workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.plugin import progress
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


def test_a_terminal_without_a_size_shows_it_as_a_usual_one(root: Path) -> None:
    watched = watch([*COMMAND, "."], root, environment(), 80, 24, has_size=False)
    assert any(RUNNING.search(frame) for frame in watched.frames), watched.raw
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
    assert "--container-progress is none of auto, live, plain, none" in done.stderr
    assert "'loud'" in done.stderr


def write_waiting(root: Path, *lines: str) -> None:
    """A test that does something once its run has been going on for a while."""
    started = root / "started"
    (root / "train.py").write_text(f"open({str(started)!r}, 'w')\n{TRAIN.replace('2.5', '6')}")
    text = "\n    ".join(
        (
            "import os, pathlib, threading, time\n\n\ndef test_waits(run_entrypoint):",
            "thread = threading.Thread(target=lambda: run_entrypoint('train'))",
            "thread.start()",
            f"while not pathlib.Path({str(started)!r}).exists():",
            "    time.sleep(0.1)",
            "time.sleep(1.5)",
            *lines,
        )
    )
    (root / "test_plain.py").write_text(f"{text}\n\n\ndef test_after():\n    time.sleep(2)\n")


def test_a_worker_that_died_runs_nothing_any_more(root: Path) -> None:
    """Its run is not shown for ever, and another worker goes on."""
    write_waiting(root, "os._exit(3)")
    command = [*COMMAND, "-n1", "-p", "no:randomly", "test_plain.py"]
    watched = watch(command, root, environment())
    shown = [number for number, frame in enumerate(watched.frames) if RUNNING.search(frame)]
    crashed = next(n for n, frame in enumerate(watched.frames) if "node down" in frame)
    assert any(number < crashed for number in shown)
    assert not any(number > crashed for number in shown)
    assert not re.search(r"train\[host\] +running", watched.last)
    assert "1 failed, 1 passed" in watched.last


def test_a_debugger_has_the_terminal_for_itself(root: Path) -> None:
    write_waiting(root, "breakpoint()", "thread.join()")
    command = [*COMMAND, "-p", "no:randomly", "test_plain.py"]
    watched = watch(command, root, environment(), typed="time.sleep(1)\nc\n")
    assert any(RUNNING.search(frame) for frame in watched.frames)
    first = next(n for n, frame in enumerate(watched.frames) if "(Pdb)" in frame)
    assert not any(RUNNING.search(frame) for frame in watched.frames[first:])
    assert "2 passed" in watched.last


def test_a_screen_that_is_gone_ends_no_run(pytester: pytest.Pytester) -> None:
    """A pipe whose reader has gone, a disk that is full: what is shown is not what is tested."""
    screen = progress._Screen(pytester.parseconfigure("-p", "no:cacheprovider"))
    reading, writing = os.pipe()
    os.close(reading)
    screen._descriptor = writing
    screen.write_lines(["into nothing"])
    assert screen.size() == (0, 0)
    screen.close()
    screen.write_lines(["nowhere at all"])
    screen.close()


# The command


COMMAND_ITSELF = "import sys; from pytest_mlcontainer.cli import main; sys.exit(main())"
EXPLAIN = (sys.executable, "-c", COMMAND_ITSELF, "explain", "--vary", "timezone")


def test_the_command_shows_a_search_on_its_terminal(root: Path) -> None:
    watched = watch([*EXPLAIN], root, environment())
    frames = "\n".join(watched.frames)
    assert re.search(r"train\[host\] +searching for a cause, \d of at most 100 runs", frames)
    assert re.search(r"train\[host, timezone=[^\]…]+[\]…] +running", frames)
    assert "searching" not in watched.last


@pytest.mark.parametrize(("asked", "count"), [("plain", 1), ("none", 0)])
def test_the_command_writes_lines_elsewhere_or_nothing(root: Path, asked: str, count: int) -> None:
    done = subprocess.run(
        EXPLAIN,
        cwd=root,
        env=environment(MLCONTAINER_PROGRESS=asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("  train[host]: searching for a cause, 0 of at most") == count
    assert "searching" not in done.stdout


def test_the_command_answers_also_where_nobody_reads_how_it_goes(root: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        EXPLAIN, cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=writing, check=False
    )
    os.close(writing)
    assert done.returncode == 0
    assert b"train" in done.stdout


def test_the_command_names_a_wrong_wish(root: Path) -> None:
    done = subprocess.run(
        EXPLAIN,
        cwd=root,
        env=environment(MLCONTAINER_PROGRESS="loud"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("MLCONTAINER_PROGRESS is none of auto, live, plain, none")
