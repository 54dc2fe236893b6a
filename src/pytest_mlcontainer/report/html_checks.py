"""Checks of the image in `report.html`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.model import CheckReport, CheckTable, ImageFinding, Severity
from pytest_mlcontainer.report.checks import cost, megabytes, severity_counts
from pytest_mlcontainer.report.html_text import head_html, t

_MOST: Final = 200
_MEASURED: Final = ("what", "size", "of it")
_HEADS: Final = ("severity", "rule", "place", "what", "mend")
# Of the colours that verdicts have.
_COLOURS: Final = {
    Severity.ERROR: "failed",
    Severity.WARNING: "nondeterministic",
    Severity.INFO: "equivalent",
}


def checks_html(checks: tuple[CheckReport, ...]) -> Iterator[str]:
    """A section with a table for each check; nothing where there was none."""
    if not checks:
        return
    yield '<section id="checks">\n<h2>Checks of the image</h2>'
    for report in checks:
        yield f"<h3><code>{t(report.name)}</code>: {t(severity_counts(report.findings))}</h3>"
        yield f"<p>{t(report.headline, 1000)}</p>" if report.headline else ""
        yield from _findings(report)
        for table in report.tables:
            yield from _table(table)
        if report.notes:
            yield "<ul>"
            yield from (f"<li>{t(note, 1000)}</li>" for note in report.notes[:_MOST])
            yield "</ul>"
    yield "</section>"


def _findings(report: CheckReport) -> Iterator[str]:
    if not report.findings:
        return
    yield f'<div class="wide">\n<table class="facts stacked">\n{head_html(_HEADS)}\n<tbody>'
    yield from map(_row, report.findings[:_MOST])
    yield "</tbody>\n</table>\n</div>"
    if len(report.findings) > _MOST:
        yield f"<p>… and {len(report.findings) - _MOST:,} more; report.json has them.</p>"


def _table(table: CheckTable) -> Iterator[str]:
    yield f"<details><summary>{t(table.title)}</summary>"
    yield f'<div class="wide">\n<table class="facts">\n{head_html(_MEASURED)}\n<tbody>'
    for row in table.rows[:_MOST]:
        size = "" if row.size_bytes is None else megabytes(row.size_bytes)
        cells = (f"<code>{t(row.name, 300)}</code>", t(size), t(row.note, 500))
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</tbody>\n</table>\n</div></details>"


def _row(finding: ImageFinding) -> str:
    label = finding.severity.value
    # A browser follows links to pages alone.
    is_page = finding.link.startswith(("https://", "http://"))
    rule = f"<code>{t(finding.rule)}</code>"
    why = (t(line, 1000) for line in finding.why.splitlines())
    costs = [t(f"costs {cost(finding)}")] if cost(finding) else []
    said = "<br>".join((t(finding.what, 1000), *why, *costs))
    cells = (
        f'<span class="verdict {_COLOURS[finding.severity]}">{label}</span>',
        f'<a href="{t(finding.link, 500)}">{rule}</a>' if is_page else rule,
        f"<code>{t(finding.where, 200)}</code>" if finding.where else "",
        said,
        "<br>".join(t(line, 1000) for line in finding.mend.splitlines()),
    )
    # On a narrow page its head stands before each cell.
    named = (
        f'<td data-head="{head}">{cell}</td>' for head, cell in zip(_HEADS, cells, strict=True)
    )
    return f"<tr>{''.join(named)}</tr>"
