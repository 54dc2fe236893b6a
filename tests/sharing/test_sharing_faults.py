"""What befalls a shared cache: clocks that jump, damage, kills, full and forbidden disks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.chaos.sharing import Race
from pytest_mlcontainer.errors import BuildError, MlContainerError
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger

YEAR_S = 365 * 24 * 3600.0

# A session in a process of its own, with a wall clock and a machine of its own. It does what it is
# told, a line for each.
SESSION = """
import sys, time
from dataclasses import replace
from pathlib import Path
session, root, host, jump_s = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
now = time.time
time.time = lambda: now() + jump_s
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store

owner = current_owner(session)
store = Store(root, replace(owner, host=host or owner.host))
store.open()

def hang(folder):
    (folder / "half").write_text("half")
    print("making", flush=True)
    time.sleep(60)

print("entered", flush=True)
for line in sys.stdin:
    if line == "ask\\n":
        print(store.once("run", "key", lambda folder: session)[0], flush=True)
    elif line == "hang\\n":
        store.once("run", "key", hang)
    else:
        print(store.close(), flush=True)
"""


class Session:
    """A session in another process."""

    def __init__(self, root: Path, name: str, *, host: str = "", jump_s: float = 0.0) -> None:
        command = [sys.executable, "-c", SESSION, name, str(root), host, str(jump_s)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "entered"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, what: str) -> str:
        """Have it ask for the result, hang while making it, or leave; what it answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.read()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Starts sessions on one store."""
    started: list[Session] = []

    def begin(name: str, **how: Any) -> Session:
        started.append(Session(tmp_path / "store", name, **how))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def entered(root: Path, session: str) -> Store:
    store = Store(root, current_owner(session))
    store.open()
    return store


def returning(value: object) -> Callable[[Path], object]:
    return lambda _folder: value


class TestClocks:
    @pytest.mark.parametrize(("first_s", "second_s"), [(-YEAR_S, YEAR_S), (YEAR_S, -YEAR_S)])
    def test_sessions_share_as_they_overlap_whatever_their_clocks_say(
        self, start: Callable[..., Session], tmp_path: Path, first_s: float, second_s: float
    ) -> None:
        """Side by side they share in both directions; a later one begins afresh."""
        first, bystander = start("first", jump_s=first_s), start("bystander", jump_s=second_s)
        assert first.tell("ask") == bystander.tell("ask") == "first"
        assert first.tell("leave") == "False"
        for path in tmp_path.rglob("*"):
            os.utime(path, (0, 0) if second_s < 0 else (4e9, 4e9))
        later = start("later", jump_s=second_s)
        assert later.tell("ask") == "later"
        assert bystander.tell("ask") == "first"
        assert later.tell("leave") == "False"
        assert bystander.tell("leave") == "True"


class TestElsewhere:
    """Sessions of other machines and pid namespaces, whose processes cannot be seen from here."""

    def test_they_share_while_they_live(self, start: Callable[..., Session]) -> None:
        """Two CI containers on one cache folder, and one that comes when the first has ended."""
        first, second = start("first", host="box/1"), start("second", host="box/2")
        assert first.tell("ask") == second.tell("ask") == "first"
        assert first.tell("leave") == "False"
        assert start("third", host="box/3").tell("ask") == "third"
        assert second.tell("ask") == "first"

    def test_one_that_is_killed_is_over_at_once(
        self, start: Callable[..., Session], tmp_path: Path
    ) -> None:
        """A CI job that was killed yesterday answers no job of today."""
        first = start("first", host="box/1")
        assert first.tell("ask") == "first"
        first.kill()
        assert start("second", host="box/2").tell("ask") == "second"
        assert not (tmp_path / "store/run-key/first").exists()

    def test_what_one_uses_is_not_swept(self, start: Callable[..., Session]) -> None:
        """A session that begins removes results only when nobody may be reading them."""
        first = start("first", host="box/1")
        assert first.tell("ask") == "first"
        start("second", host="box/2").tell("leave")
        start("third", host="box/3").tell("leave")
        assert first.tell("ask") == "first"


def _become_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "x").write_text("")


def _become_link(file: Path, to: Path | str) -> None:
    file.unlink()
    file.symlink_to(to)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "garbage": lambda file: file.write_bytes(b"\x00\xff\xfe\x80" * 99),
    "a list": lambda file: file.write_text("[]"),
    "a number": lambda file: file.write_text("1e999"),
    "no keys": lambda file: file.write_text("{}"),
    "other values": lambda file: file.write_text(
        json.dumps({name: {"x": [None]} for name in json.loads(file.read_text())})
    ),
    "another value": lambda file: file.write_text(file.read_text().replace("mine", "evil")),
    "deep": lambda file: file.write_text("[" * 100_000),
    "missing": lambda file: file.unlink(),
    "a folder": _become_folder,
    "a link to nothing": lambda file: _become_link(file, "nowhere"),
    "a link to itself": lambda file: _become_link(file, file),
    "a link to another file": lambda file: _become_link(file, "/etc/passwd"),
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return DAMAGES[request.param]


class TestDamage:
    def test_a_damaged_result_is_made_anew(
        self, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        """Half written, or written by something else: nobody reads it."""
        store = entered(tmp_path, "a")
        _value, folder = store.once("run", "key", returning("mine"))
        damage(folder / "value.json")
        assert store.once("run", "key", returning("anew")) == ("anew", folder)
        assert entered(tmp_path, "a").once("run", "key", returning("late")) == ("anew", folder)

    @pytest.mark.parametrize("name", sorted(DAMAGES.keys() - {"another value"}))
    def test_a_damaged_error_is_no_error(self, tmp_path: Path, name: str) -> None:
        """It is tried again."""

        def fail(_folder: Path) -> None:
            raise BuildError("mine")

        store = entered(tmp_path, "a")
        with pytest.raises(BuildError):
            store.once("run", "key", fail)
        DAMAGES[name](tmp_path / "run-key/a/error.json")
        assert store.once("run", "key", returning("anew"))[0] == "anew"

    def test_a_damaged_session_shares_nothing_and_stops_nobody(
        self, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        """It goes on with its own results, and others begin and end beside it."""
        store = entered(tmp_path, "a")
        store.once("run", "key", returning("a"))
        damage(tmp_path / "sessions/a.json")
        assert store.once("run", "key", returning("again"))[0] == "a"
        other = entered(tmp_path, "b")
        assert other.once("run", "key", returning("b"))[0] in ("a", "b")
        assert (tmp_path / "run-key/a").exists(), "it still runs, so nothing of it is swept"
        assert other.close() is False
        entered(tmp_path, "a")
        assert store.close() is True

    @given(content=st.binary(max_size=200))
    def test_any_bytes_are_no_result(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        """For all files that are read."""
        root = tmp_path_factory.mktemp("store")
        store = entered(root, "a")
        _value, folder = store.once("run", "key", returning("mine"))
        for file in (folder / "value.json", folder / "error.json", root / "sessions/b.json"):
            file.write_bytes(content)
        (root / "run-key/b").mkdir()
        assert store.once("run", "key", returning("anew"))[0] == "anew"
        assert store.close() is True

    @pytest.mark.parametrize("what", ["file", "link", "link to nothing"])
    def test_something_else_at_a_result_s_place_is_replaced(
        self, tmp_path: Path, what: str
    ) -> None:
        """And nothing behind a link is touched."""
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / "a").mkdir(parents=True)
        (elsewhere / "a/precious").write_text("")
        for place in ("run-key", "run-other/a"):
            entry = tmp_path / "store" / place
            entry.parent.mkdir(parents=True, exist_ok=True)
            if what == "file":
                entry.write_text("")
            else:
                entry.symlink_to(elsewhere if what == "link" else "nowhere")
        store = entered(tmp_path / "store", "a")
        for key in ("key", "other"):
            assert store.once("run", key, returning(1))[0] == 1
        assert (elsewhere / "a/precious").exists()

    def test_a_note_after_one_that_was_cut_off(self, tmp_path: Path) -> None:
        """The next one to note something is not to suffer for it."""
        ledger = Ledger(tmp_path, "s")
        ledger.add(store="one")
        (file,) = tmp_path.iterdir()
        with file.open("a") as opened:
            opened.write('{"store": "tw')
        ledger.add(store="three")
        assert ledger.entries() == ({"store": "one"}, {"store": "three"})

    def test_notes_that_hold_no_text_are_none(self, tmp_path: Path) -> None:
        """Paths and addresses are made of them."""
        ledger = Ledger(tmp_path, "s")
        ledger.add(store="one")
        (file,) = tmp_path.iterdir()
        with file.open("a") as opened:
            opened.write('{"store": 5}\n{"endpoint": null}\n"store"\n')
        assert ledger.entries() == ({"store": "one"},)


class TestUnusable:
    @pytest.mark.parametrize("name", ["sessions.lock", "run-key.lock", "sessions"])
    def test_something_else_where_a_file_of_the_store_would_be(
        self, tmp_path: Path, name: str
    ) -> None:
        """The error comes at once, and names it and what to do."""
        store = entered(tmp_path, "a")
        store.release()
        place = tmp_path / name
        if name == "sessions":
            shutil.rmtree(place)
            place.write_text("")
        else:
            place.unlink(missing_ok=True)
            place.mkdir()
        act = store.open if "sessions" in name else partial(store.once, "run", "key", returning(1))
        started = time.monotonic()
        with pytest.raises(MlContainerError, match="the cache folder cannot be used") as caught:
            act()
        assert time.monotonic() - started < 2
        assert str(place) in caught.value.value
        assert f"remove {place}, or set MLCONTAINER_CACHE_DIR" in caught.value.remedy
        assert store.close() is (name != "sessions.lock")

    def test_a_folder_that_is_removed_meanwhile(self, tmp_path: Path) -> None:
        """While a result is made that is one clear error; before and after, nothing is lost."""
        root = tmp_path / "store"
        store = entered(root, "a")
        shutil.rmtree(root)
        assert store.once("run", "1", returning(1))[0] == 1

        def make(_folder: Path) -> int:
            shutil.rmtree(root)
            return 2

        with pytest.raises(MlContainerError, match=r"run again, and leave .* alone meanwhile"):
            store.once("run", "2", make)
        assert store.once("run", "2", returning(2))[0] == 2
        assert store.close() is True
        with pytest.raises(FileNotFoundError):  # a defect of ours stays one
            store.once("run", "3", lambda folder: (folder / "missing").read_text())

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
    @pytest.mark.parametrize("mode", [0o755, 0o700])
    def test_another_user_s_folder(self, mode: int) -> None:
        """The cache folder of root, say, after a run with sudo, whether or not one may look in."""
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(mode)
            root = Path(name, "cache/project")
            entered(root, "a").once("run", "key", returning(1))
            self._is_unusable_for_nobody(root)
            assert entered(root, "a").once("run", "key", returning(2))[0] == 1

    def _is_unusable_for_nobody(self, root: Path) -> None:
        code = """
import os, sys
from pathlib import Path
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
cache = Path(sys.argv[1])
store = Store(cache, current_owner("b"))
for act in (store.open, lambda: store.once("run", "key", str), lambda: store.may_run("a"),
            lambda: Ledger(cache, "b").add(endpoint="")):
    try:
        act()
    except MlContainerError as error:
        print(error)
print(store.close(), store.is_idle(), Ledger(cache, "b").entries())
"""
        done = subprocess.run(
            [sys.executable, "-c", code, str(root)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("the cache folder cannot be used") == 4
        assert done.stdout.count("Permission denied\n") == 4
        assert done.stdout.count("→ set MLCONTAINER_CACHE_DIR to a folder of yours") == 4
        assert done.stdout.endswith("False False ()\n")


class TestWaiting:
    def test_a_killed_maker_is_named_and_replaced(
        self, start: Callable[..., Session], tmp_path: Path
    ) -> None:
        """Whoever waits says for whom, and takes over at once when that one is killed."""
        first = start("0123456789ab")
        assert first.tell("hang") == "making"
        said: list[str] = []
        store = Store(tmp_path / "store", current_owner("b"), said.append)
        store.open()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.once, "run", "key", returning("taken over"))
            while not said:
                time.sleep(0.1)
            first.kill()
            killed = time.monotonic()
            assert waiting.result(timeout=10)[0] == "taken over"
        assert time.monotonic() - killed < 2
        process = f"process {first.process.pid} on {current_owner('').host}"
        assert said == [f"waiting for session 01234567 ({process}), which makes the same run"]
        assert sorted(path.name for path in (tmp_path / "store/run-key/b").iterdir()) == [
            "value.json"
        ]

    def test_waiting_in_vain_ends(self, start: Callable[..., Session], tmp_path: Path) -> None:
        """With an error that names who is in the way."""
        first = start("0123456789ab")
        assert first.tell("hang") == "making"
        store = Store(tmp_path / "store", current_owner("b"), patience_s=0.5)
        store.open()
        with pytest.raises(MlContainerError, match="waited for in vain") as caught:
            store.once("run", "key", returning(1))
        assert f"process {first.process.pid} on" in caught.value.value
        assert "run-key.lock" in caught.value.remedy
        assert store.once("run", "other", returning(1))[0] == 1

    def test_the_end_of_the_session_ends_it(
        self, start: Callable[..., Session], tmp_path: Path
    ) -> None:
        """Ctrl-C does not wait for what another session makes."""
        assert start("first").tell("hang") == "making"
        store = entered(tmp_path / "store", "b")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.once, "run", "key", returning(1))
            time.sleep(0.2)
            store.give_up()
            with pytest.raises(MlContainerError, match="this test session is ending"):
                waiting.result(timeout=5)


def test_workers_of_two_sessions_that_are_killed_at_random(tmp_path: Path) -> None:
    """Each result is made once for all, and nobody sees a part of one."""
    race = Race(tmp_path, keys=40, kills=5, dice=random.Random(5), workers=3)
    assert race.run() == ()


# Fills a small disk of its own, which is gone with its process.
FULL = """
import sys
from pathlib import Path
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger

cache = Path(sys.argv[1])
store = Store(cache / "project", current_owner("a"))

def attempt(act):
    try:
        act()
    except MlContainerError as error:
        print("error:", str(error).replace("\\n", " "))
    else:
        print("done")

def large(folder):
    (folder / "weights").write_bytes(bytes(8 << 20))

def fill():
    with (cache / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

attempt(store.open)
attempt(lambda: store.once("run", "large", large))
attempt(lambda: store.once("run", "large", large))
attempt(lambda: store.once("run", "small", lambda folder: 1))
fill()
attempt(lambda: store.once("run", "full", lambda folder: 1))
attempt(lambda: Ledger(cache, "a").add(endpoint="x" * 5000))
attempt(Store(cache / "project", current_owner("b")).open)
attempt(lambda: store.once("run", "small", lambda folder: 2))
print("left", store.close())
"""


@pytest.fixture
def in_small_disk(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs a script with a folder on a disk of its own; gives the lines that it prints."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = 'mount -t tmpfs -o "$1" tmpfs "$0" && shift && exec "$@"'
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk for a moment")

    def run(options: str, script: str) -> list[str]:
        command = ["unshare", "-m", "sh", "-c", mount, str(place), options]
        command += [sys.executable, "-c", script, str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run


def test_a_full_disk_is_one_clear_error(in_small_disk: Callable[..., list[str]]) -> None:
    """It names the folder, the room there, and the ways out; half results leave their room."""
    lines = in_small_disk("size=2m", FULL)
    opened, large, again, small, full, note, other, known, left = lines
    assert (opened, small, known, left) == ("done", "done", "done", "left True")
    for line in (large, full, note, other):
        assert line.startswith("error: the cache folder cannot be used: "), lines
        assert "disk: No space left on device (" in line
        assert "of 2.1 MB free)" in line
        assert "`mlcontainer clean`" in line
        assert "set MLCONTAINER_CACHE_DIR to a folder with more of it" in line
    assert again == large


def test_a_disk_that_cannot_be_written_is_one_clear_error(
    in_small_disk: Callable[..., list[str]],
) -> None:
    """Every use of the cache says the same, and where to go instead."""
    lines = in_small_disk("ro", FULL.replace("\nfill()", ""))
    assert lines.pop() == "left True"
    for line in lines:
        assert line.startswith("error: the cache folder cannot be used: "), lines
        assert "Read-only file system" in line
        assert line.endswith("set MLCONTAINER_CACHE_DIR to a folder of yours that can be written")


KEPT = """
import sys, tempfile
from pathlib import Path
from pytest_mlcontainer.cli.reporting import write
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Output, Platform, Run, Target
from pytest_mlcontainer.records import Conditions, keep_record

disk, folder = Path(sys.argv[1]), Path(sys.argv[2])
for name in ("weights", "stdout.log", "stderr.log"):
    (folder / name).write_bytes(bytes(8 << 20 if name == "weights" else 0))
outputs = (Output("weights", folder / "weights", 8 << 20),)
target = Target(Platform("linux", "amd64"))
logs = folder / "stdout.log", folder / "stderr.log"
run = Run("id", "train", target, 0, 1.0, folder, *logs, outputs)
try:
    keep_record(run, Conditions(), disk / "records")
except MlContainerError as error:
    print(str(error).replace("\\n", " "), [str(path) for path in disk.rglob("*")])
(disk / "filler").write_bytes(bytes((2 << 20) - 30000))
try:
    write(disk / "report", (), 1.0)
    write(disk / "report2", (), 1.0)
except MlContainerError as error:
    print(str(error).replace("\\n", " "))
"""


def test_records_and_reports_on_a_full_disk(
    in_small_disk: Callable[..., list[str]], tmp_path: Path
) -> None:
    """One error each, with the room there; nothing half written stays of a record."""
    (tmp_path / "run").mkdir()
    script = KEPT.replace("sys.argv[2]", repr(str(tmp_path / "run")))
    record, report = in_small_disk("size=2m", script)
    assert record.startswith("the record cannot be written: ")
    assert "of 2.1 MB free) " in record
    assert "with room for the outputs" in record
    assert "weights" not in record
    assert report.startswith("the report cannot be written: ")
    assert "No space left on device (" in report


def test_a_limit_on_the_size_of_files_is_one_clear_error(tmp_path: Path) -> None:
    """As a full disk, by RLIMIT_FSIZE."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
    script = limit + FULL.replace("\nfill()", "")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert lines[0] == "done"
    assert "File too large" in lines[1]
    assert lines[1] == lines[2]
    assert lines[3:] == [*["done"] * 5, "left False"]
