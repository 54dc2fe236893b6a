"""The program that tells which files others open, run on this machine without a container."""

from __future__ import annotations

import platform
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

from pytest_mlcontainer import inside
from scripts.file_watcher import WATCHER
from scripts.native import SUMS

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
needs_linux = pytest.mark.skipif(
    sys.platform != "linux" or not ARCHITECTURE, reason="the program is one for Linux"
)


@dataclass(frozen=True)
class Watched:
    """What came of a command: how it ended, what it printed and what was told of it."""

    code: int
    printed: str
    told: frozenset[str]


def watch(tmp_path: Path, *command: str) -> Watched:
    program, out = tmp_path / "watcher", tmp_path / "told"
    program.write_bytes(inside.file_watcher(ARCHITECTURE) or b"")
    program.chmod(0o755)
    ended = subprocess.run(
        [str(program), str(out), *command],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    told = out.read_bytes().decode().split("\0")
    assert told[-1] == ""
    return Watched(ended.returncode, ended.stdout + ended.stderr, frozenset(told[:-1]))


def test_there_is_one_for_both_architectures_made_of_this_source() -> None:
    machines = {}
    for architecture in ("amd64", "arm64"):
        content = inside.file_watcher(architecture)
        assert content is not None
        assert content[:4] == b"\x7fELF"
        machines[architecture] = int.from_bytes(content[18:20], "little")
    assert machines == {"amd64": 62, "arm64": 183}
    assert inside.file_watcher("riscv64") is None
    assert inside.file_watcher("../amd64") is None
    folder = resources.files(inside).joinpath("file_watcher")
    assert folder.joinpath(SUMS).read_text() == WATCHER.sums()
    assert WATCHER.source.name == "watcher.c"


@needs_linux
def test_files_of_all_that_a_program_starts_are_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "three").write_text("3")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\ncat one\n(cd below && cat three ../two)\ncat missing\n")
    script.chmod(0o755)
    seen = watch(tmp_path, str(script))
    assert seen.printed.startswith("132")
    assert {f"x{script}", "x/bin/sh", f"o{tmp_path}/one", f"o{tmp_path}/missing"} <= seen.told
    assert {f"o{tmp_path}/below/three", f"o{tmp_path}/below/../two"} <= seen.told
    assert any(each.startswith("x/lib") and "ld-" in each for each in seen.told), "the loader"


@needs_linux
def test_a_path_in_a_folder_that_is_open_is_told_whole(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("")
    code = "import os; os.open('file', os.O_RDONLY, dir_fd=os.open('inner', os.O_RDONLY))"
    seen = watch(tmp_path, sys.executable, "-c", code)
    assert (seen.code, seen.printed) == (0, "")
    assert f"o{tmp_path}/inner/file" in seen.told


@needs_linux
def test_threads_and_children_are_seen_and_each_path_is_told_once(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"f{number}").write_text("")
    code = (
        "import concurrent.futures, subprocess\n"
        "def read(n): open(f'f{n % 100}').close()\n"
        "with concurrent.futures.ThreadPoolExecutor(8) as pool: list(pool.map(read, range(2000)))\n"
        "subprocess.run('cat f1[0-9][0-9]', shell=True, check=True)\n"
    )
    seen = watch(tmp_path, sys.executable, "-c", code)
    assert (seen.code, seen.printed) == (0, "")
    assert {f"o{tmp_path}/f{number}" for number in range(200)} <= seen.told
    assert (tmp_path / "told").read_bytes().count(b"/f7\0") == 1


@needs_linux
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("kill -KILL $$", 128 + signal.SIGKILL),
        ("exec /nowhere/at-all", 127),
        ("sleep 60 & exit 0", 0),
    ],
)
def test_the_exit_code_is_handed_on(tmp_path: Path, command: str, code: int) -> None:
    assert watch(tmp_path, "/bin/sh", "-c", command).code == code


@needs_linux
def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    seen = watch(tmp_path, "no-such-program")
    assert (seen.code, seen.printed) == (
        127,
        "watcher: no-such-program: executable file not found\n",
    )


@needs_linux
def test_signals_are_handed_on(tmp_path: Path) -> None:
    program = tmp_path / "watcher"
    program.write_bytes(inside.file_watcher(ARCHITECTURE) or b"")
    program.chmod(0o755)
    command = "trap 'echo ended; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    words = f"exec {program} {tmp_path}/told /bin/sh -c {shlex.quote(command)}"
    with subprocess.Popen(["/bin/sh", "-c", words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ended\n"
        assert process.wait(10) == 5
