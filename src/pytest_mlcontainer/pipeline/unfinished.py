"""Runs of a search that was interrupted, for the next one to go on with.

    FOLDER/KEY/record/    the record of a run, linked rather than copied

A search that comes to its end removes what it kept: only one that Ctrl-C or the end of the machine
cut short leaves anything, and only the same search takes it up. A run's key holds all that it
depends on, so that a change of the sources, of the image or of an input begins anew.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_mlcontainer.errors import MlContainerError, RecordError
from pytest_mlcontainer.model import Entrypoint, Settings
from pytest_mlcontainer.records import read_record
from pytest_mlcontainer.storage import clear, digest

_RECORD = "record"
_LIFE_S = 24 * 3600.0
FOLDER = "unfinished"


class Unfinished:
    """The runs of one search.

    Args:
        root: its folder below the cache folder; made when needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self.resumed: int = 0

    def find(self, key: str, into: Path) -> bool:
        """Put the record of a run there, if there is one that is recent enough and whole.

        Args:
            into: the folder for it, which is not there yet.
        """
        kept = self._root / key / _RECORD
        try:
            # A clock that was set back leaves records of the future, of which nothing is known.
            if not 0 <= _now(self._root) - kept.stat().st_mtime <= _LIFE_S:
                raise FileNotFoundError(kept)
            shutil.copytree(kept, into, copy_function=_link, symlinks=True)
            # After the copying: another session may forget it all meanwhile.
            read_record(into)
        except (OSError, shutil.Error, RecordError):
            shutil.rmtree(into, ignore_errors=True)
            clear(kept.parent)  # else its like could not be kept
            return False
        with self._lock:
            self.resumed += 1
        return True

    def keep(self, key: str, record: Path) -> None:
        """Keep the record of a run; one that cannot be kept is made again, no more."""
        draft = self._root / f"{key}.{uuid.uuid4().hex[:8]}"
        try:
            shutil.copytree(record, draft / _RECORD, copy_function=_link, symlinks=True)
            draft.rename(self._root / key)
        except (OSError, shutil.Error):
            shutil.rmtree(draft, ignore_errors=True)

    def forget(self) -> None:
        """Remove them all: the search has come to its end."""
        shutil.rmtree(self._root, ignore_errors=True)


class UnfinishedSearches:
    """The searches that go on in this process, with what earlier ones have left of them.

    Args:
        cache: the folder that sessions share.
    """

    def __init__(self, cache: Path) -> None:
        self._root = cache / FOLDER
        self._searches: dict[tuple[Path, str], Unfinished] = {}

    def of(self, settings: Settings, entry: Entrypoint) -> Unfinished | None:
        """The search that goes on for an entrypoint now; None where none does."""
        return self._searches.get((settings.file, entry.name))

    @contextmanager
    def begin(self, settings: Settings, entry: Entrypoint) -> Iterator[Unfinished]:
        """Keeps the runs that are made meanwhile, until it is done or cannot be done."""
        search = (settings.file, entry.name)
        kept = Unfinished(self._root / digest([str(settings.file), entry.name]))
        self._searches[search] = kept
        try:
            yield kept
            kept.forget()
        except MlContainerError:
            kept.forget()
            raise
        finally:
            del self._searches[search]


def _now(folder: Path) -> float:
    """The time by the clock that stamps files there, which may be that of a file server."""
    file = folder / f"now.{uuid.uuid4().hex[:8]}"
    try:
        file.touch()
        return file.stat().st_mtime
    finally:
        clear(file)


def _link(source: str, target: str) -> str:
    """Records are never changed, so that a second name for the same bytes will do."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target
