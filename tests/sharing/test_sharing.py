from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer import errors
from pytest_mlcontainer.errors import BuildError, ConfigError, MlContainerError
from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger

# A session of its own: enters, asks for one result, says what it got, and waits to be told to end.
ASKER = """
import json, os, sys, time
from pathlib import Path
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing import Store

root, session, behaviour = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store = Store(root / "store", current_owner(session))
store.open()

def make(folder):
    with open(root / "made", "a") as file:
        file.write(f"{session}\\n")
    (folder / "half").write_text("half")
    if behaviour == "hang":
        print("making", flush=True)
        time.sleep(60)
    time.sleep(0.2)
    (folder / "file").write_text(session)
    return {"by": session}

value, folder = store.once("run", "key", make)
print(json.dumps([value, (folder / "file").read_text(), sorted(os.listdir(folder))]), flush=True)
sys.stdin.read()
if behaviour == "polite":
    store.close()
"""


class Asker:
    """Another session in another process."""

    def __init__(self, root: Path, session: str, behaviour: str) -> None:
        self.session = session
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASKER, str(root), session, behaviour],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def answer(self) -> tuple[str, str]:
        """Who made the value, and who made the file beside it."""
        value, written, names = json.loads(self.line())
        assert names == ["file", "half", "value.json"]
        return value["by"], written

    def end(self) -> None:
        self.process.communicate(timeout=20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=20)


class Askers:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.all: list[Asker] = []

    def start(self, session: str, behaviour: str = "polite") -> Asker:
        self.all.append(Asker(self._root, session, behaviour))
        return self.all[-1]

    def makers(self) -> list[str]:
        """The sessions that made the result, in their order."""
        return (self._root / "made").read_text().split()


@pytest.fixture
def askers(tmp_path: Path) -> Iterator[Askers]:
    askers = Askers(tmp_path)
    yield askers
    for asker in askers.all:
        asker.kill()


def owner(session: str, pid: int | None = None, host: str | None = None) -> Owner:
    """A session of this living process, unless it is said otherwise."""
    mine = current_owner(session)
    if pid is not None:
        mine = replace(mine, pid=pid, pid_start="1@gone")
    return mine if host is None else replace(mine, host=host)


def entered(root: Path, session: str, **changes: Any) -> Store:
    store = Store(root, owner(session, **changes))
    store.open()
    return store


class Counter:
    """Makes values, and counts them."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, folder: Path) -> int:
        self.made += 1
        (folder / "file").write_text(str(self.made))
        return self.made


@pytest.fixture
def make() -> Counter:
    return Counter()


class TestOneProcess:
    def test_a_result_is_made_once(self, tmp_path: Path, make: Counter) -> None:
        """The second to ask gets the first one's value and folder."""
        store = entered(tmp_path, "a")
        value, folder = store.once("run", "key", make)
        assert store.once("run", "key", make) == (1, folder)
        assert (value, (folder / "file").read_text()) == (1, "1")

    def test_other_keys_and_kinds_are_other_results(self, tmp_path: Path, make: Counter) -> None:
        """Kind and key together name a result."""
        store = entered(tmp_path, "a")
        for kind, key in (("run", "1"), ("run", "2"), ("image", "1")):
            store.once(kind, key, make)
        assert make.made == 3

    def test_the_maker_gets_what_the_others_get(self, tmp_path: Path) -> None:
        """A tuple is a list for all, and so on: what JSON gives back."""
        store = entered(tmp_path, "a")
        seen = [store.once("run", "key", lambda _folder: {"a": (1, None)})[0] for _ in range(2)]
        assert seen == [{"a": [1, None]}] * 2
        given: object = store.session_value("sources", lambda: ("a",))
        assert given == ["a"]

    def test_none_is_a_value(self, tmp_path: Path) -> None:
        """What returns nothing is made once all the same."""
        store = entered(tmp_path, "a")
        made: list[Path] = []
        for _ in range(2):
            assert store.once("before", "key", made.append)[0] is None
        assert len(made) == 1

    def test_an_error_is_shared_in_its_session(self, tmp_path: Path) -> None:
        """A build that fails fails once, with the same kind and the same three parts for all."""
        asked = 0

        def fail(_folder: Path) -> None:
            nonlocal asked
            asked += 1
            raise BuildError("the image could not be built", "step 3\nlast line", "correct it")

        for _worker in range(2):
            with pytest.raises(BuildError) as caught:
                entered(tmp_path, "a").once("image", "key", fail)
            error = caught.value
            assert (error.what, error.value, error.remedy) == (
                "the image could not be built",
                "step 3\nlast line",
                "correct it",
            )
        assert asked == 1

    def test_an_error_is_not_shared_beyond_its_session(self, tmp_path: Path, make: Counter) -> None:
        """It may come from the end of that session, by Ctrl-C, and say nothing of others."""

        def fail(_folder: Path) -> None:
            raise BuildError("this test session is ending")

        first, second = entered(tmp_path, "a"), entered(tmp_path, "b")
        with pytest.raises(BuildError):
            first.once("image", "key", fail)
        assert second.once("image", "key", make)[0] == 1
        with pytest.raises(BuildError):
            first.once("image", "key", make)

    @pytest.mark.parametrize(
        "kind",
        [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, MlContainerError)
        ],
    )
    def test_every_kind_of_error_can_be_shared(
        self, tmp_path: Path, kind: type[MlContainerError]
    ) -> None:
        """With its text, whatever the arguments of its kind."""

        def fail(_folder: Path) -> None:
            if issubclass(kind, ConfigError):
                raise kind("pyproject.toml", [MlContainerError("unknown key", "'x'", "remove it")])
            raise kind("what", "value\udcff", "remedy")

        told = set()
        for _ in range(2):
            with pytest.raises(MlContainerError) as caught:
                entered(tmp_path, "a").once("image", "key", fail)
            told.add(str(caught.value))
            assert isinstance(caught.value, kind) or kind is ConfigError
        assert len(told) == 1

    def test_a_defect_is_no_result(self, tmp_path: Path, make: Counter) -> None:
        """Other exceptions are raised as they are, and the next to ask tries again."""
        store = entered(tmp_path, "a")

        def break_down(folder: Path) -> None:
            (folder / "half").write_text("")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.once("run", "key", break_down)
        _value, folder = store.once("run", "key", make)
        assert sorted(path.name for path in folder.iterdir()) == ["file", "value.json"]

    def test_a_value_that_json_cannot_hold_is_no_result(
        self, tmp_path: Path, make: Counter
    ) -> None:
        """It is an error for its maker, and leaves nothing that another would read."""
        store = entered(tmp_path, "a")
        with pytest.raises(TypeError):
            store.once("run", "key", lambda folder: folder)
        assert store.once("run", "key", make)[0] == 1

    def test_threads_share(self, tmp_path: Path) -> None:
        """Two threads that ask at the same moment wait for one making."""
        store = entered(tmp_path, "a")
        made: list[int] = []
        barrier = threading.Barrier(8)

        def slow(_folder: Path) -> int:
            made.append(1)
            time.sleep(0.1)
            return 5

        def ask(_number: int) -> int:
            barrier.wait()
            return int(store.once("run", "key", slow)[0])

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [5] * 8
        assert made == [1]

    def test_a_result_may_need_others(self, tmp_path: Path, make: Counter) -> None:
        """A build asks for its `before-build` while it holds its own lock."""
        store = entered(tmp_path, "a")

        def outer(_folder: Path) -> Any:
            return [store.once("before", "key", make)[0]]

        assert store.once("image", "key", outer)[0] == [1]


class TestSessions:
    def test_sessions_side_by_side_share(self, tmp_path: Path, make: Counter) -> None:
        """In both directions: each takes what the other has made."""
        first, second = entered(tmp_path, "a"), entered(tmp_path, "b")
        assert first.once("run", "1", make)[0] == second.once("run", "1", make)[0] == 1
        assert second.once("run", "2", make)[0] == first.once("run", "2", make)[0] == 2

    def test_a_result_of_a_session_that_has_ended_meanwhile(
        self, tmp_path: Path, make: Counter
    ) -> None:
        """Their lives overlapped, so it counts."""
        first, second = entered(tmp_path, "a"), entered(tmp_path, "b")
        first.once("run", "key", make)
        first.close()
        assert second.once("run", "key", make)[0] == 1

    def test_a_session_that_starts_later_begins_afresh(self, tmp_path: Path, make: Counter) -> None:
        """Yesterday's run is no answer; a third session may still be reading it."""
        first, bystander = entered(tmp_path, "a"), entered(tmp_path, "b")
        first.once("run", "key", make)
        _value, read = bystander.once("run", "key", make)
        first.close()
        later = entered(tmp_path, "c")
        assert later.once("run", "key", make)[0] == 2
        assert (read / "file").read_text() == "1"
        assert bystander.once("run", "key", make) == (1, read)

    def test_a_session_that_was_killed_is_over(self, tmp_path: Path, make: Counter) -> None:
        """Nobody knows when it died, so what it made counts for nobody else."""
        entered(tmp_path, "bystander")
        dead = entered(tmp_path, "a", pid=2**22 + 1)
        dead.once("run", "key", make)
        assert entered(tmp_path, "b").once("run", "key", make)[0] == 2

    def test_workers_enter_their_session_once(self, tmp_path: Path) -> None:
        """The first one's time of start counts, not that of a worker that came later."""
        entered(tmp_path, "a")
        file = tmp_path / "sessions" / "a.json"
        before = file.read_text()
        entered(tmp_path, "a")
        assert file.read_text() == before

    def test_the_last_one_to_leave_is_told_so(self, tmp_path: Path) -> None:
        """Images go with the last session that could use them."""
        first, second = entered(tmp_path, "a"), entered(tmp_path, "b")
        entered(tmp_path, "dead", pid=2**22 + 1)
        assert first.close() is False
        assert second.close() is True

    def test_leaving_without_having_entered(self, tmp_path: Path) -> None:
        """A session that failed before its first image has nothing to leave."""
        assert Store(tmp_path / "new", owner("a")).close() is True

    def test_the_next_session_sweeps(self, tmp_path: Path, make: Counter) -> None:
        """Results, locks and sessions of the past take no space; those of the living stay."""
        first, second = entered(tmp_path, "a"), entered(tmp_path, "b")
        first.once("run", "key", make)
        first.close()
        entered(tmp_path, "c").close()
        assert (tmp_path / "run-key").exists()
        second.close()
        entered(tmp_path, "d").release()
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
        assert left == {"sessions.lock", "sessions", "sessions/d.json"}

    def test_a_dead_session_does_not_hinder_the_sweep(self, tmp_path: Path, make: Counter) -> None:
        """One that SIGKILL ended never says that it has."""
        entered(tmp_path, "dead", pid=2**22 + 1).once("run", "key", make)
        entered(tmp_path, "b")
        assert not (tmp_path / "run-key").exists()

    @pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"])
    def test_a_damaged_session_file_is_no_session(
        self, tmp_path: Path, make: Counter, content: str
    ) -> None:
        """A disk that was full must not stop every later run."""
        store = entered(tmp_path, "a")
        (tmp_path / "sessions" / "b.json").write_text(content, errors="surrogateescape")
        assert store.once("run", "key", make)[0] == 1
        assert store.close() is True


class TestProcesses:
    def test_processes_that_race_make_it_once(self, askers: Askers) -> None:
        """Five pytest processes at the same moment: one makes, five get the same."""
        five = [askers.start(f"session{number}") for number in range(5)]
        answers = {asker.answer() for asker in five}
        (maker,) = askers.makers()
        assert answers == {(maker, maker)}

    def test_a_maker_that_is_killed_is_replaced(self, askers: Askers) -> None:
        """Its lock is free at once, and nothing of its half result is left in the new one."""
        first = askers.start("first", "hang")
        assert first.line() == "making"
        second = askers.start("second")
        time.sleep(0.5)
        first.kill()
        started = time.monotonic()
        assert second.answer() == ("second", "second")
        assert time.monotonic() - started < 5
        assert askers.makers() == ["first", "second"]

    def test_a_worker_that_is_killed_is_replaced_by_another(self, askers: Askers) -> None:
        """Within one session the same folder is used again, emptied."""
        first = askers.start("same", "hang")
        assert first.line() == "making"
        first.kill()
        assert askers.start("same").answer() == ("same", "same")

    def test_a_later_process_makes_its_own(self, askers: Askers) -> None:
        """One after the other, whether the first has ended well or was killed."""
        for session, behaviour in (("a", "polite"), ("b", "rude"), ("c", "polite")):
            asker = askers.start(session, behaviour)
            assert asker.answer() == (session, session)
            asker.end()
        assert askers.makers() == ["a", "b", "c"]


class TestLedger:
    def test_what_workers_note_is_there_once(self, tmp_path: Path) -> None:
        """In the order of the first time; each session has its own."""
        ledger, other = Ledger(tmp_path / "new", "a"), Ledger(tmp_path / "new", "b")
        assert ledger.entries() == ()
        for endpoint in ("", "ssh://box", ""):
            ledger.add(endpoint=endpoint)
        other.add(store="x")
        assert ledger.entries() == ({"endpoint": ""}, {"endpoint": "ssh://box"})
        ledger.remove()
        ledger.remove()
        assert ledger.entries() == ()
        assert other.entries() == ({"store": "x"},)

    def test_a_note_cut_off_by_a_kill_is_left_out(self, tmp_path: Path) -> None:
        """The others are what the controller has to clean up."""
        ledger = Ledger(tmp_path, "a")
        ledger.add(store="ü\n\u2028\udcff")
        (file,) = tmp_path.iterdir()
        with file.open("ab") as opened:
            opened.write(b'\n[]\n{"store": "\xff')
        assert ledger.entries() == ({"store": "ü\n\u2028\udcff"},)

    def test_workers_note_at_once(self, tmp_path: Path) -> None:
        """No note of one tears another's apart."""
        ledger = Ledger(tmp_path, "a")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: ledger.add(store=f"{number}" * 500), range(200)))
        assert len(ledger.entries()) == 200


def test_the_owner_is_this_process() -> None:
    """What the tests above take for granted."""
    assert owner("a").pid == os.getpid()
