"""A run that logged an exception and went on with something else says why it drifts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.model import Output, Platform, Run, Target

Make = Callable[..., Run]
ERROR = "PermissionError: [Errno 13] Permission denied: '/opt/prior.json'"
LOGGED = f"ERROR:train:no prior\nTraceback (most recent call last):\n  File 'x'\n{ERROR}\n"
WARNED = "/usr/lib/x.py:7: UserWarning: no GPU, 4 threads are used\n  warn(text)\n"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def run(tmp_path: Path) -> Make:
    def make(value: float, stderr: str = "", target: Target = Target(AMD64)) -> Run:  # noqa: B008
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        folder.mkdir()
        file, out, err = (folder / name for name in ("m.json", "stdout", "stderr"))
        file.write_text(json.dumps({"x": value}))
        out.write_text("loss 0.5\n")
        err.write_text(stderr)
        outputs = (Output("m.json", file, file.stat().st_size),)
        return Run(folder.name, "train", target, 0, 1.0, folder, out, err, outputs)

    return make


def test_what_one_side_alone_logged_is_said(run: Make) -> None:
    notes = compare_runs(run(0.5, LOGGED, Target(ARM64)), run(0.25), ()).notes
    assert notes == (f"only linux/arm64 printed, and went on: {ERROR}",)
    notes = compare_runs(run(0.5), run(0.25, WARNED + LOGGED), ()).notes
    assert notes == (f"only the other one printed, and went on: {ERROR}",)
    varied = Target(AMD64, variations=("user=12345:12345",))
    notes = compare_runs(run(0.5, WARNED, varied), run(0.25), ()).notes
    assert notes == (
        "only the varied run printed, and went on: UserWarning: no GPU, 4 threads are used",
    )


def test_what_both_logged_or_what_does_no_harm_is_not(run: Make) -> None:
    again = LOGGED.replace("Errno 13", "Errno 14") + WARNED.replace(":7:", ":9:")
    assert compare_runs(run(0.5, LOGGED + WARNED), run(0.25, again), ()).notes == ()
    assert compare_runs(run(0.5, LOGGED), run(0.5), ()).notes == ()
    assert compare_runs(run(0.5, "test error: 0.25\n"), run(0.25), ()).notes == ()
