"""What checks of the image found, in words and in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from pytest_mlcontainer.model import CheckReport, ImageFinding, Severity
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.wording import truncate

_SHOWN: Final = 40
_IN_SUMMARY: Final = 5
_ROWS: Final = 8
_NAME: Final = 44
_NOTES: Final = 10
_TEXT: Final = 600
_MEND_LINES: Final = 12
_WHY_LINES: Final = 16
_WIDTH: Final = 160
_ALL: Final = "report.json of --container-report has them"
_PLURALS: Final = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.INFO: "infos"}


def severity_counts(findings: Iterable[ImageFinding]) -> str:
    """`1 error, 3 warnings`, the worst first; `nothing found` for none."""
    counts = Counter(each.severity for each in findings)
    parts = [
        f"{counts[each]:,} {_PLURALS[each] if counts[each] > 1 else each.value}"
        for each in reversed(Severity)
        if counts[each]
    ]
    return ", ".join(parts) or "nothing found"


def cost(finding: ImageFinding) -> str:
    """What a finding costs, with its unit; "" where that is not known."""
    parts = [] if finding.cost_bytes is None else [megabytes(finding.cost_bytes)]
    parts += [] if finding.cost_s is None else [f"{finding.cost_s:.1f} s"]
    return ", ".join(parts)


def megabytes(count: int) -> str:
    """A number of bytes in a unit that leaves a few digits: `1.2 GB`, in powers of 1000."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def check_lines(report: CheckReport, repeat: str) -> list[str]:
    """A check that failed, for someone who sees it for the first time.

    Args:
        repeat: the command that repeats just this; "" leaves the line out.
    """
    failing = report.failing
    head = f"{report.name}: {severity_counts(failing)}"
    lines = [escape(head, 200), ""]
    for each in failing[:_SHOWN]:
        lines += [*finding_lines(each), ""]
    if len(failing) > _SHOWN:
        lines += [f"… and {len(failing) - _SHOWN:,} more; {_ALL}", ""]
    lines += _milder_lines(report)
    if report.headline:
        lines += [*([""] if lines[-1] else []), escape(report.headline, _TEXT)]
    lines += [*_table_lines(report), *_note_lines(report)]
    lines += ["repeat just this:", f"  {repeat}"] if repeat else []
    return lines


def _milder_lines(report: CheckReport) -> list[str]:
    """How much there is that it does not fail for, and where that is to be seen."""
    milder = [each for each in report.findings if each not in report.failing]
    told = [each for each in milder if each.severity is Severity.INFO]
    others = [each for each in milder if each.severity is not Severity.INFO]
    parts = [f"{severity_counts(others)} (see the summary)"] if others else []
    parts += [f"{severity_counts(told)} ({_ALL})"] if told else []
    below = f"besides, below the threshold {report.threshold.value!r}: "
    return [below + ", ".join(parts)] if parts else []


def finding_lines(finding: ImageFinding) -> list[str]:
    """One finding in full."""
    place = f"{escape(finding.where, 120)}: " if finding.where else ""
    head = f"{place}{finding.severity.value} {escape(finding.rule, 60)}: "
    lines = [head + escape(finding.what, _TEXT)]
    lines += [f"    {escape(line, _TEXT)}" for line in finding.why.splitlines()[:_WHY_LINES]]
    lines += [f"    costs {cost(finding)}"] if cost(finding) else []
    first, *more = finding.mend.splitlines()[:_MEND_LINES] or [""]
    lines += [f"    → {escape(first, _TEXT)}"] if first else []
    lines += [f"      {escape(line, _TEXT)}" for line in more]
    lines += [f"    {escape(finding.link, 200)}"] if finding.link else []
    return lines


def check_summary(reports: Iterable[CheckReport]) -> Iterator[str]:
    """For the end of a session: a line for each check, and the warnings it did not fail for.

    A check that failed has said above what it failed for; reports have what is milder. One that
    has neither a warning nor a note is left out, unless its tables are to be shown.
    """
    for report in reports:
        telling = [each for each in report.findings if each.severity is not Severity.INFO]
        if not (telling or report.failing or report.notes or report.tables_shown):
            continue
        measured = f"{report.headline}: " if report.headline else ""
        said = f"{report.name}  {measured}{severity_counts(report.findings)}"
        yield truncate(escape(said, _TEXT), _WIDTH)
        milder = [each for each in telling if each not in report.failing]
        for each in milder[:_IN_SUMMARY]:
            yield f"  {truncate(in_a_line(each), _WIDTH)}"
        if len(milder) > _IN_SUMMARY:
            yield f"  … and {len(milder) - _IN_SUMMARY:,} more; {_ALL}"
        if not report.failing:
            yield from (f"  {line}" for line in (*_table_lines(report), *_note_lines(report)))


def in_a_line(finding: ImageFinding) -> str:
    """Its severity, place, rule, what is wrong and the beginning of its mend."""
    place = f"{finding.where} " if finding.where else ""
    mend, *more = finding.mend.splitlines() or [""]
    if mend.endswith(":"):
        mend = f"{mend} {', '.join(more)}"
    said = f"{finding.severity.value} {place}{finding.rule}: {finding.what}"
    return escape(f"{said} → {mend}" if mend else said, _TEXT)


def _table_lines(report: CheckReport) -> Iterator[str]:
    """The beginning of each table, as wide as its names are."""
    for table in report.tables if report.tables_shown else ():
        yield escape(f"{table.title}:", _WIDTH)
        rows = table.rows[:_ROWS]
        wide = min(max(len(row.name) for row in rows), _NAME) if rows else 0
        for row in rows:
            size = "" if row.size_bytes is None else megabytes(row.size_bytes)
            name = truncate(escape(row.name, _TEXT), _NAME)
            yield truncate(f"  {size:>9}  {name:<{wide}}  {escape(row.note, _TEXT)}", 120).rstrip()
        if len(table.rows) > _ROWS:
            yield f"  … and {len(table.rows) - _ROWS:,} more"


def _note_lines(report: CheckReport) -> list[str]:
    lines = [f"note: {escape(note, 300)}" for note in report.notes[:_NOTES]]
    more = len(report.notes) - _NOTES
    return [*lines, *([f"… and {more:,} more notes"] if more > 0 else [])]
