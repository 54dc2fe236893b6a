"""The files of a report: JSON, HTML and Markdown, all of the same values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.model import Publication, TimelineSpan
from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.markdown import summary_md
from pytest_mlcontainer.report.results import Result
from pytest_mlcontainer.report.session import Session, gather


def write_reports(
    folder: Path,
    results: Iterable[Result],
    duration_s: float,
    timeline: tuple[TimelineSpan, ...] = (),
    unfinished: str = "",
    publication: Publication | None = None,
) -> None:
    """Write `report.json`, `report.html` and `summary.md`, all of the same values.

    Args:
        folder: made if need be; files of these names in it are replaced.
        duration_s: wall clock of the session.
        timeline: what it did, and when, as far as that is known.
        unfinished: why there may be more to come, or to be missed; "" where all is there.
        publication: what was published; None where nothing was to be.
    """
    session = gather(results, duration_s)
    session = replace(session, timeline=timeline, unfinished=unfinished)
    write_session(folder, replace(session, publication=publication))


def write_session(folder: Path, session: Session) -> None:
    """As `write_reports`, of what is sorted out already. A file is replaced as a whole: what is
    killed while it writes leaves the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (
        ("report.json", report_json),
        ("report.html", report_html),
        ("summary.md", summary_md),
    ):
        part = folder / f".{name}.part"
        try:
            part.write_text(draw(session), encoding="utf-8")
            part.replace(folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
