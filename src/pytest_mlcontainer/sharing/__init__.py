"""One result for all workers and processes: what one has made, the others take.

Everything is below one folder for each project:

    sessions/ID.json      whose that session is, which others ran when it began, whether it ended
    sessions/ID.*.lock    held by each process of that session for as long as it lives
    KIND-KEY/ID/          a result, as that session made it: `value.json` (or `error.json`) beside
                          whatever files belong to it
    KIND-KEY.lock         held while it is made; the system lets go of it when its holder dies

A result counts for a session when it was made by that session, or by one whose life overlapped
with it: two pytest processes started side by side share, and one started later begins afresh,
because a test of reproducibility must not be answered from yesterday's run. What a session makes
afresh lies beside what others made, since they may still be reading that.

No clock decides that, since clocks jump and those of two machines differ: of two sessions that
overlap, the later one noted at its beginning that the other ran. Whether one runs is told by its
process or, where that belongs to another machine or pid namespace, by the locks that it holds.

A failure counts in its own session alone: it may come from the end of that session, by Ctrl-C.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from pytest_mlcontainer import errors
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.owners import is_alive
from pytest_mlcontainer.storage import cache_in_use, clear, read_object, write_json

T = TypeVar("T")

_SESSIONS = "sessions"
_VALUE = "value.json"
_ERROR = "error.json"
_LOCK_TIMEOUT_S = 4 * 3600.0
_SAY_AFTER_S = 5.0
_SAY_AGAIN_S = 600.0


@dataclass(frozen=True)
class _SessionNote:
    """What is noted of a session.

    Args:
        beside: the sessions that ran when it began.
    """

    host: str
    pid: int
    pid_start: str
    beside: tuple[str, ...] = ()
    ended: bool = False


class Store:
    """The shared results of one project.

    Args:
        root: the project's folder below the cache folder; made when needed.
        owner: the session that asks.
        log: told whom this process has been waiting for, after some seconds.
        patience_s: how long to wait for somebody else to make a result.

    Methods but `close` and `is_idle` raise MlContainerError where the folder cannot be used.
    """

    def __init__(
        self,
        root: Path,
        owner: Owner,
        log: Callable[[str], None] = lambda _line: None,
        patience_s: float = _LOCK_TIMEOUT_S,
    ) -> None:
        self.root = root
        self._owner = owner
        self._log = log
        self._patience_s = patience_s
        self._cache = root.parent
        self._sessions = root / _SESSIONS
        self._leaving = threading.Event()
        self._living: FileLock | None = None

    @property
    def session(self) -> str:
        """The session that asks; also the key of its own values."""
        return self._owner.session

    def open(self) -> None:
        """Enter this session, and remove results that no living session can use any more.

        Safe to call from each worker: what the first one noted counts.
        """
        with self._lock(_SESSIONS), cache_in_use(self._cache):
            self._sessions.mkdir(exist_ok=True)
            if self._session(self._owner.session) is None:
                self._enter()
            name = f"{self._owner.session}.{uuid.uuid4().hex[:8]}.lock"
            self._living = FileLock(self._sessions / name, thread_local=False)
            self._living.acquire(timeout=0)

    def close(self) -> bool:
        """Leave; returns whether this was the last living session of the project.

        False, too, where the folder can no longer be read: another session may still live then.
        """
        if self._is_new():
            return True
        try:
            with self._lock(_SESSIONS), cache_in_use(self._cache):
                self._leave()
                return all(self._runs(other) is False for other in self._others())
        except MlContainerError:
            return False

    def give_up(self) -> None:
        """Let those who wait for others to make something fail, as this session ends."""
        self._leaving.set()

    def release(self) -> None:
        """This process is done with the results; the session may go on in others."""
        if self._living is not None:
            self._living.release()
            clear(Path(self._living.lock_file))

    def is_idle(self) -> bool:
        """Whether no session runs, or may run, that uses these results."""
        if self._is_new():
            return True
        try:
            with self._lock(_SESSIONS):
                return all(self._runs(session) is False for session in self._known())
        except MlContainerError:
            return False

    def may_run(self, session: str) -> bool:
        """Whether a session of this project runs, as far as can be seen from here."""
        if self._is_new():
            return False
        with self._lock(_SESSIONS):
            return self._runs(session) is not False

    def once(self, kind: str, key: str, make: Callable[[Path], Any]) -> tuple[Any, Path]:
        """The value that `make` returns, made once by whoever comes first.

        Args:
            kind, key: name the result; `key` has to hold all that it depends on.
            make: gets an empty folder for files, and returns a value that JSON can hold.

        Returns:
            The value, as JSON gives it back, and the folder.

        Raises:
            MlContainerError: what `make` raised, also for those of this session who only asked
                later; or who makes it was waited for in vain.
        """
        entry = self.root / f"{kind}-{key}"
        with self._lock(entry.name, lambda: self._makers(kind, entry)):
            found = self._find(entry)
            if found is not None:
                return found
            folder = entry / self._owner.session
            with cache_in_use(self._cache):
                if entry.is_symlink() or not entry.is_dir():
                    clear(entry)
                clear(folder)
                folder.mkdir(parents=True)
            return self._make(folder, make), folder

    def known(self, kind: str, key: str) -> Any:
        """The value of a result that is there and counts for this session; else None.

        Raises:
            MlContainerError: what making it raised in this session.
        """
        found = self._find(self.root / f"{kind}-{key}")
        return None if found is None else found[0]

    def session_value(self, name: str, compute: Callable[[], T]) -> T:
        """A value computed by the first of this session's workers, the same for all of them."""
        value, _folder = self.once(name, self._owner.session, lambda _folder: compute())
        return value  # type: ignore[no-any-return]

    def _make(self, folder: Path, make: Callable[[Path], Any]) -> Any:
        """Fill the folder; its value or error is written last, so that half a result is none."""
        try:
            with cache_in_use(self._cache, whole=False):
                text = json.dumps(make(folder))
                write_json(folder / _VALUE, {"value": text, "sha256": _digest(text)})
        except MlContainerError as error:
            # Half a result is of no use, and on a full disk its room is needed for the error.
            clear(folder)
            with suppress(OSError):
                folder.mkdir()
                parts = {"what": error.what, "value": error.value, "remedy": error.remedy}
                write_json(folder / _ERROR, {"kind": type(error).__name__, **parts})
            raise
        return json.loads(text)

    def _find(self, entry: Path) -> tuple[Any, Path] | None:
        """A result that counts for this session and its folder: its own first."""
        own = entry / self._owner.session
        failed = _read_error(own / _ERROR)
        if failed is not None:
            raise failed
        others = sorted(path for path in entry.glob("*") if self._counts(path.name))
        for folder in (own, *others):
            with suppress(LookupError):
                return _read_value(folder / _VALUE), folder
        return None

    def _counts(self, other: str) -> bool:
        """Whether the two sessions overlapped: the later one has noted the earlier one."""
        mine, theirs = self._session(self._owner.session), self._session(other)
        if mine is not None and other in mine.beside:
            return True
        return theirs is not None and self._owner.session in theirs.beside

    # Sessions; called with the lock on them held

    def _enter(self) -> None:
        running = {other: self._runs(other) for other in self._others()}
        if all(runs is False for runs in running.values()):
            self._sweep()
        beside = tuple(other for other, runs in running.items() if runs)
        mine = _SessionNote(self._owner.host, self._owner.pid, self._owner.pid_start, beside)
        write_json(self._session_file(self._owner.session), asdict(mine))

    def _leave(self) -> None:
        self.release()
        mine = self._session(self._owner.session)
        if mine is None:
            return
        file = self._session_file(self._owner.session)
        try:
            write_json(file, {**asdict(mine), "ended": True})
        except OSError:
            # On a full disk: without the file it is over as well, and its results are its own.
            clear(file)

    def _runs(self, session: str) -> bool | None:
        """Whether a session runs; None where that cannot be seen."""
        noted = self._session(session)
        if noted is not None and noted.ended:
            return False
        if noted is not None and noted.host == self._owner.host:
            return is_alive(noted.pid, noted.pid_start)
        held = {_is_held(file) for file in self._sessions.glob(f"{session}.*.lock")}
        if True in held:
            return True
        return None if None in held else False

    def _sweep(self) -> None:
        """Remove results and sessions of the past."""
        for path in (*self.root.iterdir(), *self._sessions.iterdir()):
            # Nobody waits for a lock: whoever does has entered a session first.
            if path not in (self._sessions, self.root / f"{_SESSIONS}.lock"):
                clear(path)

    def _is_new(self) -> bool:
        """Whether no session has ever entered it."""
        try:
            self._sessions.lstat()
        except FileNotFoundError:
            return True
        except OSError:  # its lock says the same, as an error of ours
            return False
        return False

    def _others(self) -> list[str]:
        return [session for session in self._known() if session != self._owner.session]

    def _known(self) -> list[str]:
        return sorted({file.name.partition(".")[0] for file in self._sessions.glob("*.*")})

    def _session(self, session: str) -> _SessionNote | None:
        return _parse_session(read_object(self._session_file(session)))

    def _session_file(self, session: str) -> Path:
        return self._sessions / f"{session}.json"

    # Locks

    @contextmanager
    def _lock(
        self, name: str, holder: Callable[[], str] = lambda: "another process to be done with it"
    ) -> Iterator[None]:
        lock = self._acquire(name, holder)
        try:
            yield
        finally:
            lock.release()

    def _acquire(self, name: str, holder: Callable[[], str]) -> FileLock:
        lock = FileLock(self.root / f"{name}.lock")
        started, say_after_s = time.monotonic(), _SAY_AFTER_S
        while True:
            with cache_in_use(self._cache):
                try:
                    self.root.mkdir(parents=True, exist_ok=True)
                    lock.acquire(timeout=min(1.0, self._patience_s))
                    return lock
                except Timeout:
                    pass
            waited_s = time.monotonic() - started
            if self._leaving.is_set():
                raise MlContainerError("this test session is ending", "", "run it again")
            if waited_s > self._patience_s:
                raise MlContainerError(
                    "a result of another process was waited for in vain",
                    f"{waited_s:.0f} s for {holder()}",
                    f"end that process if it hangs, and run again; its lock is {lock.lock_file}",
                )
            if waited_s > say_after_s:
                self._log(f"waiting for {holder()}")
                say_after_s += _SAY_AGAIN_S

    def _makers(self, kind: str, entry: Path) -> str:
        """Who has begun to make a result, and is not done."""
        named = []
        for folder in sorted(entry.glob("*")):
            if (folder / _VALUE).exists() or (folder / _ERROR).exists():
                continue
            noted, name = self._session(folder.name), f"session {folder.name[:8]}"
            if folder.name == self._owner.session:
                name = "another worker of this session"
            elif noted is not None:
                name += f" (process {noted.pid} on {noted.host})"
            named.append(name)
        return f"{' or '.join(named) or 'another process'}, which makes the same {kind}"


def _read_value(file: Path) -> Any:
    """The value in a file; LookupError where there is none, or a damaged one."""
    raw = read_object(file) or {}
    text = raw.get("value")
    if not isinstance(text, str) or raw.get("sha256") != _digest(text):
        raise LookupError(file)
    return json.loads(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_error(file: Path) -> MlContainerError | None:
    raw = read_object(file)
    if raw is None:
        return None
    what, value, remedy = (raw.get(name) for name in ("what", "value", "remedy"))
    if not (isinstance(what, str) and isinstance(value, str) and isinstance(remedy, str)):
        return None
    kind = getattr(errors, str(raw.get("kind")), None)
    if not isinstance(kind, type) or not issubclass(kind, MlContainerError):
        kind = MlContainerError
    if issubclass(kind, ConfigError):
        kind = MlContainerError  # its problems are part of its value already
    return kind(what, value, remedy)


def _parse_session(raw: dict[str, Any] | None) -> _SessionNote | None:
    if raw is None:
        return None
    beside, ended, pid = raw.get("beside"), raw.get("ended"), raw.get("pid")
    texts = [raw.get("host"), raw.get("pid_start"), *(beside if isinstance(beside, list) else [0])]
    if not (all(isinstance(each, str) for each in texts) and isinstance(ended, bool)):
        return None
    if not isinstance(pid, int) or not 0 < pid < 1 << 31:
        return None
    return _SessionNote(str(texts[0]), pid, str(texts[1]), tuple(map(str, texts[2:])), ended)


def _is_held(file: Path) -> bool | None:
    """Whether a process holds a lock; None where that cannot be tried."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return None
    lock.release()
    return False
