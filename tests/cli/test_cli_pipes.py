"""`mlcontainer … | head`: who reads no further ends the command quietly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import sys; from pytest_mlcontainer.cli import main; sys.exit(main(sys.argv[1:]))"


def unread(cwd: Path, *arguments: str, both: bool = False) -> tuple[int, str]:
    """Exit code and stderr of the command, whose output goes to a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=cwd,
        stdout=writing,
        stderr=writing if both else subprocess.PIPE,
        # Unbuffered, argparse itself takes no notice.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        check=False,
    )
    os.close(writing)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("doctor",),
        ("init", "--print"),
        ("clean", "--dry-run"),
        ("explain", "--list"),
        ("explain", "--help"),
    ],
    ids=" ".join,
)
def test_a_pipe_without_a_reader_ends_the_command_quietly(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """With the exit code that a shell gives to what SIGPIPE ends, and without a word."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY train.py /\n")
    (tmp_path / "train.py").write_text("")
    assert unread(tmp_path, *arguments) == (141, "")


def test_comparing_and_errors_end_quietly_too(tmp_path: Path) -> None:
    """Also where stderr goes the same way, `2>&1 | head`."""
    for name in "ab":
        (tmp_path / name).mkdir()
    assert unread(tmp_path, "compare", "a", "b", both=True)[0] == 141
    assert unread(tmp_path, "explain", both=True)[0] == 141
    code, said = unread(tmp_path, "explain")
    assert code == 2
    assert said.startswith("there is no such file")
