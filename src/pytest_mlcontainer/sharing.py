"""One result for all workers and processes: what one has made, the others take.

Everything is below one folder for each project:

    sessions/ID.json      who that session is, when it started and ended
    KIND-KEY/ID/          a result, as that session made it: `value.json` (or `error.json`) beside
                          whatever files belong to it
    KIND-KEY.lock         held while it is made; the system lets go of it when its holder dies

A result counts for a session when it was made by that session, or by one whose life overlapped
with it: two pytest processes started side by side share, and one started later begins afresh,
because a test of reproducibility must not be answered from yesterday's run. What a session makes
afresh lies beside what others made, since they may still be reading that.

A failure counts in its own session alone: it may come from the end of that session, by Ctrl-C.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from pytest_mlcontainer import errors
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.owners import is_alive

T = TypeVar("T")

_SESSIONS = "sessions"
_VALUE = "value.json"
_ERROR = "error.json"
_LOCK_TIMEOUT_S = 4 * 3600
# Whether a process of another machine or pid namespace lives cannot be seen from here.
_FOREIGN_LIFE_S = 24 * 3600


class Store:
    """The shared results of one project.

    Args:
        root: the project's folder below the cache folder; made when needed.
        owner: the session that asks.
    """

    def __init__(self, root: Path, owner: Owner) -> None:
        self.root = root
        self._owner = owner
        self._sessions = root / _SESSIONS

    def open(self) -> None:
        """Enter this session, and remove results that no living session can use any more.

        Safe to call from each worker: the first one's time of start counts.
        """
        self._sessions.mkdir(parents=True, exist_ok=True)
        with self._lock(_SESSIONS):
            mine = self._session_file(self._owner.session)
            if not mine.exists():
                self._sweep()
                _write_json(
                    mine,
                    {
                        "host": self._owner.host,
                        "pid": self._owner.pid,
                        "pid_start": self._owner.pid_start,
                        "started": time.time(),
                        "ended": None,
                    },
                )

    def close(self) -> bool:
        """Leave; returns whether this was the last living session of the project."""
        with self._lock(_SESSIONS):
            mine = self._session_file(self._owner.session)
            session = _read_json(mine)
            if session is not None:
                _write_json(mine, {**session, "ended": time.time()})
            return not any(self._is_running(other) for other in self._all_sessions())

    def once(self, kind: str, key: str, make: Callable[[Path], Any]) -> tuple[Any, Path]:
        """The value that `make` returns, made once by whoever comes first.

        Args:
            kind, key: name the result; `key` has to hold all that it depends on.
            make: gets an empty folder for files, and returns a value that JSON can hold.

        Returns:
            The value, as JSON gives it back, and the folder.

        Raises:
            MlContainerError: what `make` raised, also for those of this session who only asked
                later.
        """
        entry = self.root / f"{kind}-{key}"
        with self._lock(f"{kind}-{key}"):
            folder = self._find(entry)
            if folder is None:
                folder = entry / self._owner.session
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                _make(folder, make)
            failed = _read_json(folder / _ERROR)
            if failed is not None:
                raise _error(failed)
            return json.loads((folder / _VALUE).read_text(encoding="utf-8")), folder

    def session_value(self, name: str, compute: Callable[[], T]) -> T:
        """A value computed by the first of this session's workers, the same for all of them."""
        value, _folder = self.once(name, self._owner.session, lambda _folder: compute())
        return value  # type: ignore[no-any-return]

    def _find(self, entry: Path) -> Path | None:
        """The folder of a result that counts for this session: its own first."""
        own = entry / self._owner.session
        if (own / _VALUE).exists() or (own / _ERROR).exists():
            return own
        mine = _read_json(self._session_file(self._owner.session))
        for value in sorted(entry.glob(f"*/{_VALUE}")):
            maker = _read_json(self._session_file(value.parent.name))
            if mine is not None and maker is not None and self._overlap(maker, mine):
                return value.parent
        return None

    def _overlap(self, maker: dict[str, Any], mine: dict[str, Any]) -> bool:
        """Whether the maker's session still runs, or ended after mine had started."""
        ended = maker["ended"]
        return self._is_running(maker) or (ended is not None and ended > mine["started"])

    def _is_running(self, session: dict[str, Any]) -> bool:
        if session["ended"] is not None:
            return False
        if session["host"] != self._owner.host:
            return bool(time.time() - session["started"] < _FOREIGN_LIFE_S)
        return is_alive(session["pid"], session["pid_start"])

    def _sweep(self) -> None:
        """Remove results and sessions of the past. Called with the lock on sessions held."""
        if any(self._is_running(session) for session in self._all_sessions()):
            return
        for entry in tuple(self.root.iterdir()):
            if entry.is_dir() and entry != self._sessions:
                shutil.rmtree(entry, ignore_errors=True)
                # Nobody waits for it: whoever does has entered a session first.
                entry.with_name(f"{entry.name}.lock").unlink(missing_ok=True)
        for file in tuple(self._sessions.iterdir()):
            file.unlink(missing_ok=True)

    def _all_sessions(self) -> list[dict[str, Any]]:
        read = (_read_json(file) for file in self._sessions.glob("*.json"))
        return [session for session in read if session is not None]

    def _session_file(self, session: str) -> Path:
        return self._sessions / f"{session}.json"

    def _lock(self, name: str) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / f"{name}.lock", timeout=_LOCK_TIMEOUT_S)


@dataclass(frozen=True)
class Ledger:
    """What a session has touched, on disk, so that its controller can clean up after its workers.

    Args:
        root: the cache folder of all projects.
    """

    root: Path
    session: str

    def add(self, **entry: str) -> None:
        """Note one thing; a worker that dies right afterwards has still noted it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")

    def entries(self) -> tuple[dict[str, str], ...]:
        """Everything noted, each once; a note that its writer did not finish is none."""
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ()
        read = (_parse_object(line) for line in dict.fromkeys(lines))
        return tuple(entry for entry in read if entry is not None)

    def remove(self) -> None:
        """Forget it all, after the cleaning."""
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self.root / f"session-{self.session}.jsonl"


def _make(folder: Path, make: Callable[[Path], Any]) -> None:
    """Fill the folder; its value or error is written last, so that half a result is none."""
    try:
        _write_json(folder / _VALUE, make(folder))
    except MlContainerError as error:
        parts = {"what": error.what, "value": error.value, "remedy": error.remedy}
        _write_json(folder / _ERROR, {"kind": type(error).__name__, **parts})


def _error(raw: dict[str, str]) -> MlContainerError:
    kind = getattr(errors, raw["kind"], MlContainerError)
    if issubclass(kind, ConfigError):
        kind = MlContainerError  # its problems are part of its value already
    made: MlContainerError = kind(raw["what"], raw["value"], raw["remedy"])
    return made


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        return _parse_object(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def _parse_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _write_json(file: Path, value: Any) -> None:
    # Beside the file and then renamed, so that nobody reads half of it.
    draft = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    draft.write_text(json.dumps(value), encoding="utf-8")
    draft.replace(file)
