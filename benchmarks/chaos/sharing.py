"""Two sessions of eight workers on one cache, killed at random moments while they make results."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row
from pytest_mlcontainer.owners import current_owner

NAME = "cache"
_SESSIONS = ("first", "second")
_LONGEST_S = 300.0

# Enters its session, waits for all others, and asks for every result in an order of its own.
_WORKER = """
import json, os, random, sys, time, uuid
from pathlib import Path
from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.sharing import Store

folder, owner = Path(sys.argv[1]), json.loads(sys.argv[2])
keys, seed = int(sys.argv[3]), sys.argv[4]
store = Store(folder / "store", Owner(**owner))
store.open()
print("entered", flush=True)
while not (folder / "go").exists():
    time.sleep(0.01)

def note(file, *words):
    with open(folder / file, "a") as opened:
        opened.write(" ".join(map(str, words)) + "\\n")

def make(key, folder):
    token = uuid.uuid4().hex
    note("begun", key, token, os.getpid())
    with open(folder / "content", "w") as file:
        for _ in range(4):
            file.write(token)
            file.flush()
            time.sleep(0.002)
    return token

order = list(range(keys))
random.Random(seed).shuffle(order)
for key in order:
    token, made = store.once("run", str(key), lambda folder: make(key, folder))
    whole = (made / "content").read_text() == 4 * token
    note("seen", key, token, "whole" if whole else "partial")
"""


@dataclass
class Race:
    """One trial; each worker that is killed has a successor.

    Args:
        folder: for all that it writes, empty.
        keys: how many results are made.
        kills: how many workers are killed meanwhile.
        workers: of each session.
    """

    folder: Path
    keys: int
    kills: int
    dice: random.Random
    workers: int = 8
    killed: set[int] = field(default_factory=set)

    def run(self) -> tuple[str, ...]:
        """What went wrong, a line for each result of which something did."""
        workers = [(name, self._start(name)) for name in _SESSIONS for _ in range(self.workers)]
        try:
            for _name, worker in workers:
                assert worker.stdout is not None
                worker.stdout.readline()
            (self.folder / "go").touch()
            self._kill_some(workers)
            deadline = time.monotonic() + _LONGEST_S
            for _name, worker in workers:
                worker.communicate(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return (f"not done after {_LONGEST_S:.0f} s",)
        finally:
            for _name, worker in workers:
                worker.kill()
                worker.communicate()
        codes = {worker.returncode for _name, worker in workers if worker.pid not in self.killed}
        failed = () if codes == {0} else (f"workers ended with {sorted(codes)}",)
        return (*failed, *self._problems())

    def _start(self, session: str) -> subprocess.Popen[str]:
        owner = json.dumps(vars(current_owner(session)))
        arguments = [str(self.folder), owner, str(self.keys), str(self.dice.random())]
        return subprocess.Popen(
            [sys.executable, "-c", _WORKER, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def _kill_some(self, workers: list[tuple[str, subprocess.Popen[str]]]) -> None:
        begun, made = self.folder / "begun", 0
        for number in range(self.kills):
            # Spread over the whole of it, whatever the machine's speed.
            while made < self.keys * number // self.kills and self._anyone_works(workers):
                time.sleep(0.005)
                made = begun.read_text().count("\n") if begun.exists() else 0
            time.sleep(self.dice.random() * 0.02)
            place = self.dice.randrange(len(workers))
            name, worker = workers[place]
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                worker.communicate()
                self.killed.add(worker.pid)
                workers[place] = (name, self._start(name))

    def _anyone_works(self, workers: list[tuple[str, subprocess.Popen[str]]]) -> bool:
        return any(worker.poll() is None for _name, worker in workers)

    def _problems(self) -> Iterator[str]:
        seen, partial, begun = defaultdict(set), set(), defaultdict(list)
        for line in (self.folder / "seen").read_text().splitlines():
            key, token, how = line.split()
            seen[key].add(token)
            partial |= {key} if how != "whole" else set()
        for line in (self.folder / "begun").read_text().splitlines():
            key, token, pid = line.split()
            if int(pid) not in self.killed:
                begun[key].append(token)
        for key in map(str, range(self.keys)):
            if key in partial:
                yield f"result {key}: a part of it was seen"
            # Who was killed may have been done just before; who was not makes what all get.
            if len(seen[key]) != 1 or not set(begun[key]) <= seen[key] or len(begun[key]) > 1:
                yield f"result {key}: {len(seen[key])} were seen, {len(begun[key])} made in vain"


def rows(plan: Plan) -> Iterator[Row]:
    """One row: each result is a trial."""
    keys = plan.count(400, 40)
    folder = plan.folder / NAME
    folder.mkdir()
    started = time.monotonic()
    race = Race(folder, keys, kills=keys // 4, dice=plan.dice(NAME))
    problems = race.run()
    took = f"{len(race.killed)} killed, {time.monotonic() - started:.0f} s"
    fault = "SIGKILL of workers of two sessions, eight each, while they make results in one cache"
    bar = "each made once, none seen in part"
    if not problems:
        shutil.rmtree(folder)
    yield Row(fault, keys, max(0, keys - len(problems)), took, bar, problems)
