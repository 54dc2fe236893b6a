"""What a run said at its end, and what it failed with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.experiments.last_words import failure_line, printed
from pytest_mlcontainer.model import Failure, Platform, Run, Target


@pytest.mark.parametrize(
    ("what", "value", "line"),
    [
        ("train exited with code 137 (out of memory)", "", "exited with code 137 (out of memory)"),
        ("train ran past its timeout", "a\n\n b \n\n", "train ran past its timeout: b"),
        ("an output is missing", "out/*", "an output is missing: out/*"),
    ],
)
def test_a_failure_is_its_kind_and_its_last_words(what: str, value: str, line: str) -> None:
    """The entrypoint's name is left out where the exit code says it all: it is always the same."""
    assert failure_line(Failure(what, value, "")) == line


def test_only_the_end_of_what_was_printed_is_read(tmp_path: Path) -> None:
    """A program may print for hours, and bytes that are no text."""
    stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
    stdout.write_bytes(b"begin" + b"x" * 300_000 + b"\xff converged")
    stderr.write_text("warning")
    run = Run("1", "train", Target(Platform("l", "a")), 0, 0.1, tmp_path, stdout, stderr, ())
    text = printed(run)
    assert text.endswith("\ufffd converged\nwarning")
    assert "begin" not in text
