"""`mlcontainer report DIR…`: reports of several jobs as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.reading import merge_sessions, read_report, versions_note
from pytest_mlcontainer.report.session import Session
from pytest_mlcontainer.report.words import session_headline
from pytest_mlcontainer.report.writing import write_session
from pytest_mlcontainer.storage import why_unwritable

_FILE = "report.json"
_LONGEST = 2000


def merge_reports(folders: Sequence[Path], into: Path) -> int:
    """Write one report of all that those in the folders say.

    Returns:
        0 where all agrees, no run failed and no session was cut off, else 1.

    Raises:
        MlContainerError: a folder has no report, or one that cannot be read; or `into` cannot be
            written.
    """
    sessions = tuple(_read(folder) for folder in folders)
    session = merge_sessions(sessions)
    try:
        write_session(into, session)
    except OSError as error:
        raise MlContainerError(
            "the report cannot be written",
            why_unwritable(into, error),
            "name a folder that can be written, with room for the report",
        ) from error
    print(session_headline(session.counts, len(session.failures), session.checks))
    for said in filter(None, (session.unfinished, versions_note(sessions))):
        print(escape(said, _LONGEST))
    print(into / "report.html")
    return 0 if session.passes else 1


def _read(folder: Path) -> Session:
    file = folder / _FILE
    try:
        return read_report(file.read_text(encoding="utf-8"), str(folder))
    except FileNotFoundError as error:
        raise MlContainerError(
            "a folder has no report",
            str(file),
            "name folders that --container-report or --report wrote, one for each job",
        ) from error
    except OSError as error:
        raise MlContainerError(
            "a report cannot be read", f"{file}: {error.strerror}", "make the file readable"
        ) from error
    except ValueError as error:  # text that is no UTF-8, too
        said = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise MlContainerError(
            "a report cannot be used",
            f"{file}: {said}",
            "write it anew, or merge with the newest version that wrote one of them",
        ) from error
