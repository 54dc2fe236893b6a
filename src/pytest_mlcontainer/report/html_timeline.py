"""What a session did, and when, as a table with a bar for each task."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.model import TimelineSpan
from pytest_mlcontainer.report.html_text import head_html, t
from pytest_mlcontainer.report.session import longest

_ROWS = 100
_WIDTH = 1000.0
_LEAST = 2.0


def timeline_html(timeline: tuple[TimelineSpan, ...], duration_s: float) -> Iterator[str]:
    """Nothing for a session of which no times are known.

    Args:
        duration_s: of the session; bars reach further where a task did.
    """
    if not timeline:
        return
    whole = max([duration_s, *(span.start_s + span.duration_s for span in timeline)]) or 1.0
    with_workers = any(span.worker for span in timeline)
    heads = ("task", *(["worker"] if with_workers else []), "from", "took", "when")
    is_open = " open" if len(timeline) <= _ROWS // 4 else ""
    yield f"<section>\n<details{is_open}>\n<summary><h2>Timeline</h2></summary>"
    yield f'<div class="wide">\n<table class="timeline">\n{head_html(heads)}\n<tbody>'
    for span in longest(timeline, _ROWS):
        yield _row(span, whole, with_workers)
    yield "</tbody>\n</table>\n</div>"
    if len(timeline) > _ROWS:
        yield f"<p>The longest {_ROWS} of {len(timeline):,} tasks; report.json has more.</p>"
    yield "</details>\n</section>"


def _row(span: TimelineSpan, whole: float, with_workers: bool) -> str:
    at = _WIDTH * min(1.0, max(0.0, span.start_s / whole))
    wide = max(_LEAST, min(_WIDTH - at, _WIDTH * span.duration_s / whole))
    failed = "" if span.worked else ", did not work or was cut off"
    what = f"<code>{t(span.title, 80)}</code> {t(span.activity, 40)}{failed}"
    kind = "worked" if span.worked else "broken"
    bar = (
        f'<svg aria-hidden="true" viewBox="0 0 {_WIDTH:g} 10" preserveAspectRatio="none">'
        f'<rect class="{kind}" x="{min(at, _WIDTH - _LEAST):.1f}" y="0" width="{wide:.1f}" '
        'height="10"></rect></svg>'
    )
    worker = f"<td>{t(span.worker, 40)}</td>" if with_workers else ""
    times = f"<td>{span.start_s:,.1f} s</td><td>{span.duration_s:,.1f} s</td>"
    return f'<tr><th scope="row">{what}</th>{worker}{times}<td class="bar">{bar}</td></tr>'
