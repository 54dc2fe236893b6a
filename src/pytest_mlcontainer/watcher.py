"""A process that outlives the one that started it, and removes what that one left.

It needs no image, no container, no socket in a container and no port: it looks, a few times a
second, whether two processes live, the one that started it (a worker, or pytest itself) and the
owner of the session, and cleans up after whichever dies without having said so.

It starts with few modules, so that short sessions pay little for it. What cleaning takes is loaded
after a while, so that it does not have to be when every second counts.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_mlcontainer.engines.process import Detached
from pytest_mlcontainer.model import KeepPolicy, Owner
from pytest_mlcontainer.owners import is_alive, maker_lives, this_maker

_END = "end"
_LOOK_S = 0.25
_LOAD_AFTER_S = 3.0
# An engine may still be making what a dead process has asked for: so it is looked at again, each
# time after twice as long, until nothing has turned up for about ten seconds.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_PATIENCE_S = 180.0  # with an engine that does not answer, or a worker that does not end
_JOIN_S = 5.0
_PROGRAM = """
import json, os, sys
line = sys.stdin.buffer.readline()
if line:
    task = json.loads(line)
    sys.path[:] = task["path"]
    from pytest_mlcontainer.watcher import main
    main(task, os.environ)
"""


class CleanupWatch:
    """The watcher of this process, as this process sees it.

    Args:
        cache: folder with the session's ledger.
        owner: of the session.
        environ: environment variables for reaching engines.
        keep: which containers stay.
    """

    def __init__(
        self,
        cache: Path,
        owner: Owner,
        environ: Mapping[str, str],
        keep: KeepPolicy = KeepPolicy.NONE,
    ) -> None:
        self._task = json.dumps(
            {
                "path": [str(Path(entry).absolute()) for entry in sys.path],
                "cache": str(cache.absolute()),
                "owner": asdict(owner),
                "maker": this_maker(),
                "keep": keep.value,
            }
        )
        self._environ = environ
        self._process: Detached | None = None

    @property
    def pid(self) -> int | None:
        """Of the watcher; None when there is none."""
        return None if self._process is None else self._process.pid

    def ensure(self) -> None:
        """Start it, unless it runs.

        Raises:
            OSError: this machine starts no more processes.
        """
        if self._process is not None and not self._process.alive:
            self._process.join(0)
            self._process = None
        if self._process is None:
            self._process = Detached(_PROGRAM, self._environ)
            self._process.tell(self._task)

    def end(self) -> None:
        """Let it end: everything is removed already."""
        if self._process is not None:
            self._process.tell(_END)
            self._process.join(_JOIN_S)
            self._process = None

    def leave(self) -> None:
        """Leave it to clean up when this process has ended."""
        if self._process is not None:
            self._process.leave()
            self._process = None


@dataclass(frozen=True)
class _Task:
    cache: Path
    owner: Owner
    maker: str
    keep: KeepPolicy
    environ: Mapping[str, str]

    @property
    def owner_lives(self) -> bool:
        return is_alive(self.owner.pid, self.owner.pid_start)


def main(raw: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """CleanupWatch and clean up, in the watcher's own process; its stdin brings the word to end.

    Args:
        raw: the task, as `CleanupWatch` writes it.
        environ: environment variables for reaching engines.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Whoever ends a whole group of processes means the owner, whose end is what we wait for.
        signal.signal(number, signal.SIG_IGN)
    task = _Task(
        Path(str(raw["cache"])),
        Owner(**raw["owner"]),  # type: ignore[arg-type]
        str(raw["maker"]),
        KeepPolicy(raw["keep"]),
        environ,
    )
    if _somebody_dies(task):
        _clean(task)


def _somebody_dies(task: _Task) -> bool:
    """Wait for a death; False when the word comes that nothing is left to remove."""
    heard, open_ = b"", True
    load_at = time.monotonic() + _LOAD_AFTER_S
    while maker_lives(task.maker) and task.owner_lives:
        if time.monotonic() > load_at:
            importlib.import_module("pytest_mlcontainer.cleanup")
            load_at = float("inf")
        if not open_:
            # It has closed its end and lives: a program that closes all files, say.
            time.sleep(_LOOK_S)
        elif select.select([0], [], [], _LOOK_S)[0]:
            piece = os.read(0, 1024)
            heard, open_ = heard + piece, bool(piece)
            if heard == f"{_END}\n".encode():
                return False
            if not piece:
                time.sleep(_FIRST_PAUSE_S)  # the kernel closes files before a process is gone
    return True


def _clean(task: _Task) -> None:
    from pytest_mlcontainer.sharing.ledger import Ledger

    ledger = Ledger(task.cache, task.owner.session)
    entries = ledger.entries()
    pause, deadline = _FIRST_PAUSE_S, time.monotonic() + _PATIENCE_S
    while pause < _LONGEST_PAUSE_S and time.monotonic() < deadline:
        clean = _clean_once(task, entries)
        time.sleep(pause)
        pause = 2 * pause if clean else _FIRST_PAUSE_S
        # Another worker's watcher may have removed the ledger meanwhile.
        entries = tuple({str(entry): entry for entry in (*entries, *ledger.entries())}.values())
    # Where an engine did not answer for all that time, the next start needs the notes.
    if not task.owner_lives and pause >= _LONGEST_PAUSE_S:
        ledger.remove()


def _clean_once(task: _Task, entries: tuple[dict[str, str], ...]) -> bool:
    """Remove what there is; returns whether nothing was there and nothing can come."""
    from pytest_mlcontainer.cleanup import clean_after, clean_session
    from pytest_mlcontainer.hooks import load_engines

    clean = True
    try:
        if not maker_lives(task.maker):
            clean = clean_after(entries, task.owner, task.environ, task.maker, load_engines)
        if not task.owner_lives:
            owner, environ = task.owner, task.environ
            cleaned = clean_session(entries, owner, environ, task.keep, kinds=load_engines)
            clean &= cleaned.nothing_left
            # A worker whose controller is gone ends soon, and has its hands full until then.
            clean &= not maker_lives(task.maker)
    except Exception:
        # Nobody reads what this process would print; it tries again, and then the next start does.
        return False
    return clean
