"""Runs past a limit: they are ended, what is kept of them, and what is said."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.engines import Usage
from pytest_mlcontainer.engines.docker.printed import Following, answer_within, frames
from pytest_mlcontainer.engines.printed import LogFiles
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.breaches import memory_ran_out, out_of_processes, size_text
from pytest_mlcontainer.runs.watching import RunWatch, next_look_s
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

MEBIBYTE = 1 << 20

# Every way of using too much, by the name of its entrypoint.
USE = """\
import os, subprocess, sys, threading, time

GROWS = "bytearray(b'x') * (1 << 29)"

def prints(size):
    line = "x" * 99 + "\\n"
    for _ in range(size // 100):
        sys.stdout.write(line)
        sys.stderr.write(line)

def writes(path):
    with open(path, "wb") as file:
        while True:
            file.write(bytes(1 << 22))
            file.flush()

os.makedirs("outputs", exist_ok=True)
open("outputs/part.txt", "w").write("kept")
print("begun", flush=True)
match sys.argv[1]:
    case "chatty":
        prints(10 << 30)
    case "brief":
        prints(1 << 20)
    case "fills":
        writes("/tmp/scratch.bin")
    case "volume":
        writes("/volume/scratch.bin")
    case "child":
        subprocess.run([sys.executable, "-c", GROWS], check=True)
    case "tolerant":
        subprocess.run([sys.executable, "-c", GROWS])
    case "waits":
        subprocess.run([sys.executable, "-c", GROWS])
        threading.Event().wait()
    case "odd":
        os.makedirs("outputs", exist_ok=True)
        open("outputs/plain", "w").close()
        for number in range(4):
            os.mkfifo(f"outputs/\\x1b[31mfifo{number}")
    case "sparse" | "hidden":
        folder = "outputs" if sys.argv[1] == "sparse" else "outputs/below"
        os.makedirs(folder, exist_ok=True)
        os.truncate(os.open(f"{folder}/sparse.bin", os.O_CREAT | os.O_WRONLY), 50 << 30)
    case "many":
        for number in range(10):
            open(f"outputs/{number}", "w").close()
    case "threads":
        wait = threading.Event()
        for _ in range(100):
            threading.Thread(target=wait.wait, daemon=True).start()
"""

DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY use.py ./
VOLUME /volume
"""

TABLE = """
[tool.mlcontainer.entrypoints.{0}]
command = ["python", "use.py", "{0}"]
outputs = ["outputs/*{2}"]
{1}
"""


def frame(kind: int, data: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_runs_past_their_limits_end_with_a_verdict_that_names_them(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    limits = {
        "chatty": 'log-limit = "1m"',
        "brief": 'log-limit = "1m"',
        "fills": 'disk = "64m"',
        "volume": 'disk = "64m"',
        "child": 'memory = "64m"',
        "threads": "processes = 20",
        "sparse": 'output-limit = "1m"',
        "hidden": 'output-limit = "1m"\ndisk = "1m"',
        "many": "output-files = 3",
    }
    tables = "".join(
        TABLE.format(name, setting, ".txt" if name == "hidden" else "")
        for name, setting in limits.items()
    )
    project.write(tables, dockerfile=DOCKERFILE, use__py=USE)
    result = project.run("-k", "not image")
    result.assert_outcomes(failed=9)
    assert result.duration < 240  # of hours, without limits; a busy machine is slow
    said = {name: failure_of(result, f"{name}[") for name in limits}
    assert "more than 3 (output-files)" in said.pop("many")
    assert "outputs/sparse.bin has 53,687,091,200 bytes" in said["sparse"]
    assert "output-limit is 1,048,576" in said.pop("sparse")
    hidden = said.pop("hidden")
    assert "/app/outputs holds more than 2 MiB (disk and output-limit together)" in hidden
    assert "a sparse file counts in full" in hidden
    for name, text in said.items():
        assert f"in [tool.mlcontainer.entrypoints.{name}]" in text
        assert "outputs written all the same: outputs/part.txt" in text
    for name in ("chatty", "brief"):
        assert "printed more than it may and was ended" in said[name]
        assert "log-limit is 1 MiB" in said[name]
        assert "raise `log-limit`" in said[name]
        (log,) = re.findall(r"last lines of stderr \((.+)\):", said[name])
        logs = [Path(log), Path(log.replace("stderr", "stdout"))]
        assert sum(file.stat().st_size for file in logs) == MEBIBYTE
        assert logs[1].read_text().startswith("begun\nxxx")
    for name in ("fills", "volume"):
        assert "wrote more to disk than it may and was ended" in said[name]
        assert "disk is 64 MiB" in said[name]
        assert "raise `disk`" in said[name]
        assert "begun" in said[name]
    assert "exited with code 1 (one of its processes ran out of memory)" in said["child"]
    assert "one of its processes was killed when it used all of its memory, 64 MiB" in said["child"]
    assert "raise `memory` (64 MiB now)" in said["child"]
    assert "at its limit of processes and threads" in said["threads"]
    assert "`processes` is 20" in said["threads"]
    assert "raise `processes`" in said["threads"]


def test_a_run_that_loses_a_process_for_memory_passes_with_a_note(
    project: MakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results may lack what that process was to add; the record says so, and a comparison."""
    config = TABLE.format("tolerant", 'memory = "64m"', "") + TABLE.format("brief", "", "")
    project.write(config, dockerfile=DOCKERFILE, use__py=USE)
    records, report = tmp_path / "records", tmp_path / "report"
    options = (f"--container-records={records}", f"--container-report={report}")
    result = project.run("-k", "not image", *options)
    result.assert_outcomes(passed=2)
    (record,) = records.glob("tolerant/*/record.json")
    (note,) = json.loads(record.read_text())["notes"]
    assert re.fullmatch(
        r"tolerant on linux/\w+ exited with code 0, but one of its processes was killed when it "
        r"used all of its memory, 64 MiB: what it wrote may lack data; "
        r"raise `memory` \(64 MiB now\) in \[tool\.mlcontainer\.entrypoints\.tolerant\], "
        r"or make it use less",
        note,
    )
    assert f"note: {note}" in result.outlines
    assert json.loads((report / "report.json").read_text())["notes"] == [note]
    assert (report / "summary.md").read_text().count("may lack data") == 1
    other = shutil.copytree(records, tmp_path / "other")
    capsys.readouterr()
    assert main(["compare", str(records), str(other)]) == 0
    assert capsys.readouterr().out.splitlines().count(f"note: {note}") == 1


def test_what_is_not_taken_over_is_said_of_a_run_that_passes(
    project: MakeProject, tmp_path: Path
) -> None:
    """Nobody reads the record of a run that passes, and names are shown as what they are."""
    config = TABLE.format("odd", "", "")
    project.write(config, dockerfile=DOCKERFILE, use__py=USE)
    records = tmp_path / "records"
    result = project.run("-k", "not image", f"--container-records={records}")
    result.assert_outcomes(passed=1)
    (note,) = [line for line in result.outlines if line.startswith("note: ")]
    assert re.fullmatch(
        r"note: odd on linux/\w+ wrote what is not taken over: "
        r"outputs/\S*\[31mfifo0: not a regular file \(fifo\); "
        r"outputs/\S*fifo1: .*; outputs/\S*fifo2: .*; and more, in its record",
        note,
    )
    assert "\x1b" not in note
    (record,) = records.glob("odd/*/record.json")
    assert len(json.loads(record.read_text())["refused"]) == 4


def test_a_run_that_waits_for_a_process_killed_for_memory_is_told_why(
    project: MakeProject, failure_of: FailureOf
) -> None:
    """A timeout alone would send its reader to look for a lock."""
    config = TABLE.format("waits", 'memory = "64m"\ntimeout = 8', "")
    project.write(config, dockerfile=DOCKERFILE, use__py=USE)
    said = failure_of(project.run("-k", "not image"), "waits[")
    assert "ran past its timeout and was killed" in said
    assert "one of its processes was killed when it used all of its memory, 64 MiB" in said
    assert "raise `memory` (64 MiB now) in [tool.mlcontainer.entrypoints.waits]" in said


def test_on_host_what_grows_is_ended_all_the_same(
    project: MakeProject, failure_of: FailureOf
) -> None:
    """Without a container there is nothing to ask: the files themselves are looked at."""
    limits = {"chatty": 'log-limit = "1m"', "fills": 'disk = "64m"', "many": "output-files = 3"}
    tables = "".join(TABLE.format(name, setting, "") for name, setting in limits.items())
    use = USE.replace("/tmp/scratch.bin", "scratch.bin").replace("python", "python3")
    project.write(f'platforms = "host"\n{tables}', dockerfile=None, use__py=use)
    result = project.run()
    result.assert_outcomes(failed=3)
    chatty, fills, many = (failure_of(result, f"{name}[") for name in limits)
    assert "chatty on host printed more than it may and was ended" in chatty
    assert "fills on host wrote more to disk than it may and was ended" in fills
    for said in (chatty, fills):
        assert "outputs written all the same: outputs/part.txt" in said
    assert "more than 3 (output-files)" in many
    (log,) = re.findall(r"last lines of stderr \((.+)\):", chatty)
    assert Path(log).stat().st_size <= MEBIBYTE


def test_what_is_printed_goes_to_its_file_and_no_further_than_the_limit(tmp_path: Path) -> None:
    """The rest is still read, and counted: nobody ends who cannot write."""
    full = []
    stream = frame(1, b"out") + frame(2, b"error") + frame(1, b" and more") + frame(2, b"late")
    chunks = iter(stream[at : at + 5] for at in range(0, len(stream), 5))
    out, err = tmp_path / "out", tmp_path / "err"
    following = Following(chunks, LogFiles(out, err, 10), lambda: full.append(True))
    assert following.finish()
    assert (out.read_bytes(), err.read_bytes()) == (b"out a", b"error")
    assert out.stat().st_size + err.stat().st_size == 10
    assert following.files.seen_bytes == 21
    assert full == [True]


def test_a_stream_that_breaks_off_is_not_all(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield frame(1, b"first")
        raise OSError("connection reset")

    files = LogFiles(tmp_path / "out", tmp_path / "err", 100)
    assert not Following(chunks(), files, lambda: None).finish()


def test_an_answer_is_waited_for_and_a_late_one_is_closed() -> None:
    class Answer(requests.Response):
        def __init__(self) -> None:
            super().__init__()
            self.closed = threading.Event()

        def close(self) -> None:
            self.closed.set()

    may_come, answer = threading.Event(), Answer()

    def ask() -> requests.Response:
        may_come.wait()
        return answer

    assert answer_within(0.05, ask) is None
    assert not answer.closed.is_set()
    may_come.set()
    assert answer.closed.wait(10)
    assert answer_within(10, ask) is answer


def test_a_request_that_fails_says_so_to_whoever_waits() -> None:
    def ask() -> requests.Response:
        raise requests.ConnectionError("refused")

    with pytest.raises(requests.ConnectionError, match="refused"):
        answer_within(10, ask)


def test_frames_are_the_same_however_they_arrive() -> None:
    stream = frame(1, b"a" * 300) + frame(2, b"") + frame(2, b"b")
    expected = [(1, b"a" * 300), (2, b""), (2, b"b")]
    for size in (1, 7, 8, 9, 1000):
        pieces = (stream[at : at + size] for at in range(0, len(stream), size))
        assert list(frames(pieces)) == expected


def test_a_watched_run_is_ended_once_and_only_past_its_limit() -> None:
    """What was seen at most is known afterwards, also of a run that keeps within its limits."""
    ended: list[str] = []
    looks = iter([Usage(5, 7, 3), Usage(11, 6, 2)])
    watch = RunWatch(
        Limits(disk_bytes=10), lambda: next(looks), lambda breach: ended.append(breach.setting)
    )
    with watch:
        watch._thread.join(10)
    assert ended == ["disk"]
    assert watch.breach is not None
    assert (watch.breach.setting, watch.breach.used_bytes) == ("disk", 11)
    assert watch.peak == Usage(11, 7, 3)


def test_a_run_that_is_over_is_not_looked_at_again() -> None:
    def look() -> Usage:
        raise AssertionError

    with RunWatch(Limits(), look, lambda _breach: None) as watch:
        pass
    assert watch.breach is None


@pytest.mark.parametrize(("left", "pause"), [(0, 0.5), (-5, 0.5), (4 << 30, 1.0), (20 << 30, 2.0)])
def test_the_closer_to_its_limit_a_run_is_the_sooner_it_is_looked_at(
    left: int, pause: float
) -> None:
    assert next_look_s(left) == pause


@pytest.mark.parametrize(
    ("printed", "peak", "sign"),
    [
        ("RuntimeError: can't start new thread", None, "may have been at its limit"),
        ("sh: 1: Cannot fork", 12, "12 of them were seen"),
        ("OpenBLAS blas_thread_init: pthread_create failed for thread 7", None, "may have been"),
        ("ValueError", 20, "it was at its limit"),
        ("ValueError", 19, None),
        ("ValueError", None, None),
    ],
)
def test_processes_that_ran_out_are_recognised(
    printed: str, peak: int | None, sign: str | None
) -> None:
    found = out_of_processes(Limits(processes=20), Usage(processes=peak), printed)
    if sign is None:
        assert found is None
    else:
        assert found is not None
        assert sign in found[0]


def test_memory_that_ran_out_without_a_limit_is_the_machines() -> None:
    said = memory_ran_out(Limits(), Usage(memory_bytes=3 << 30), child=False)
    assert said.endswith("since no limit is set: 3 GiB at the most seen")


def test_sizes_are_said_as_a_person_would() -> None:
    sizes = [1, 4096, 64 << 20, (3 << 30) // 2]
    assert [size_text(size) for size in sizes] == ["1 bytes", "4 KiB", "64 MiB", "1.5 GiB"]
