"""A search that is interrupted keeps its runs, and the next one goes on with them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_mlcontainer.model import Output, Platform, Run, Target
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.records import read_record, write_record

HOUR_S = 3600.0


def record(folder: Path, content: str = "weights") -> Path:
    """The record of a run with one output."""
    (folder / "outputs").mkdir(parents=True)
    file = folder / "outputs/weights.txt"
    file.write_text(content)
    for name in ("stdout.log", "stderr.log"):
        (folder / name).write_text("")
    write_record(
        Run(
            id=content,
            entrypoint="train",
            target=Target(Platform("linux", "amd64")),
            exit_code=0,
            duration_s=1.0,
            folder=folder,
            stdout=folder / "stdout.log",
            stderr=folder / "stderr.log",
            outputs=(Output("outputs/weights.txt", file, len(content)),),
        )
    )
    return folder


def aged(root: Path, hours: float) -> None:
    for folder in root.glob("*/record"):
        when = time.time() - hours * HOUR_S
        os.utime(folder, (when, when))


def _become_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


class TestUnfinished:
    def test_what_is_kept_is_found_until_it_is_forgotten(self, tmp_path: Path) -> None:
        """By its key alone, as a record that can be read; forgetting leaves nothing."""
        kept = Unfinished(tmp_path / "kept")
        assert not kept.find("one", tmp_path / "none")
        kept.keep("one", record(tmp_path / "run"))
        shutil.rmtree(tmp_path / "run")
        assert not kept.find("two", tmp_path / "none")
        later = Unfinished(tmp_path / "kept")
        assert later.find("one", tmp_path / "found")
        (output,) = read_record(tmp_path / "found").outputs
        assert output.path.read_text() == "weights"
        assert (kept.resumed, later.resumed) == (0, 1)
        later.forget()
        later.forget()
        assert not later.find("one", tmp_path / "again")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["found"]

    @pytest.mark.parametrize(("hours", "found"), [(23, True), (25, False), (-1, False)])
    def test_only_runs_of_the_last_day_count(
        self, tmp_path: Path, hours: float, found: bool
    ) -> None:
        """Others are replaced, also those of the future: a clock was set back."""
        kept = Unfinished(tmp_path / "kept")
        kept.keep("one", record(tmp_path / "run"))
        aged(tmp_path / "kept", hours)
        assert kept.find("one", tmp_path / "found") is found
        assert (tmp_path / "found").exists() is found
        kept.keep("one", record(tmp_path / "new"))
        assert kept.find("one", tmp_path / "again")

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "record.json").write_text(""),
            lambda folder: (folder / "record.json").write_text('{"schema": 2}'),
            lambda folder: (folder / "record.json").unlink(),
            lambda folder: (folder / "outputs/weights.txt").unlink(),
            lambda folder: (folder / "outputs/weights.txt").write_text("weig"),
            _become_file,
        ],
        ids=["empty", "no keys", "no record", "no output", "half an output", "a file"],
    )
    def test_a_damaged_record_is_made_again(
        self, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        """As a machine leaves it whose power fails; and its like can be kept again."""
        kept = Unfinished(tmp_path / "kept")
        kept.keep("one", record(tmp_path / "run"))
        damage(tmp_path / "kept/one/record")
        assert not kept.find("one", tmp_path / "found")
        assert not (tmp_path / "found").exists()
        shutil.rmtree(tmp_path / "run")
        kept.keep("one", record(tmp_path / "run", "new weights"))
        assert kept.find("one", tmp_path / "found")
        assert read_record(tmp_path / "found").id == "new weights"

    def test_two_sessions_keep_and_find_at_once(self, tmp_path: Path) -> None:
        """Whoever finds something finds a whole record, whatever others do meanwhile."""
        records = [record(tmp_path / f"run{number}", f"weights {number}") for number in range(4)]

        def work(number: int) -> set[str]:
            kept, seen = Unfinished(tmp_path / "kept"), set()
            for turn in range(20):
                kept.keep("one", records[number])
                into = tmp_path / f"found-{number}-{turn}"
                if kept.find("one", into):
                    seen.add(read_record(into).id)
                if number == 0:
                    kept.forget()
            return seen

        with ThreadPoolExecutor(4) as pool:
            seen = set().union(*pool.map(work, range(4)))
        assert seen <= {f"weights {number}" for number in range(4)}
        Unfinished(tmp_path / "kept").forget()
        assert not (tmp_path / "kept").exists()


PROGRAM = """
import os, time
with open(os.environ["COUNTER"], "a") as file:
    file.write(".")
os.makedirs("out", exist_ok=True)
with open("out/result.json", "w") as file:
    file.write(str(time.localtime(0).tm_hour))
# The first two make the drift, the third is the first that a search keeps.
if os.path.exists(os.environ["COUNTER"] + ".slow") and os.path.getsize(os.environ["COUNTER"]) > 3:
    time.sleep(120)
"""


def test_an_interrupted_search_is_gone_on_with(tmp_path: Path) -> None:
    """Ctrl-C in the middle: the next search makes only the other runs, and says so."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "program.py").write_text(PROGRAM)
    (project / "pyproject.toml").write_text(
        '[project]\nname = "sample"\nversion = "1"\n[tool.mlcontainer]\nplatforms = ["host"]\n'
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "program.py"]\n'
        'outputs = ["out/*"]\n'
        f"env = {{ COUNTER = {json.dumps(str(tmp_path / 'counter'))} }}\n"
    )
    cache, slow = Path(os.environ["MLCONTAINER_CACHE_DIR"]), tmp_path / "counter.slow"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--container"]
    command += ["--container-vary=timezone", "-k", "varies"]

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)

    slow.touch()
    first = begin()
    try:
        deadline = time.monotonic() + 120
        while not list(cache.glob("unfinished/*/*/record/record.json")):
            assert time.monotonic() < deadline, "no run was kept"
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.1)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    finally:
        first.kill()
    slow.unlink()
    before = len((tmp_path / "counter").read_text())
    second = begin()
    printed = second.communicate(timeout=120)[0]
    assert "made by an earlier search of the last day that was interrupted" in printed, printed
    assert "timezone" in printed
    assert not list(cache.glob("unfinished/*/*"))
    made = len((tmp_path / "counter").read_text()) - before
    third = begin()
    printed = third.communicate(timeout=120)[0]
    assert "earlier search" not in printed
    assert made < len((tmp_path / "counter").read_text()) - before - made
