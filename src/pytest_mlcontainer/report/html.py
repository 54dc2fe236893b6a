"""`report.html`: one file that needs nothing else, for people.

Every text goes through `t`, which leaves nothing in it for a browser to act on; besides, the page
forbids scripts, and loading anything, in its own head.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from pytest_mlcontainer.model import Outcome, Scalar, Verdict
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.answer import Statement, answer, in_brief, rest, why
from pytest_mlcontainer.report.escape import cut_inside
from pytest_mlcontainer.report.html_checks import checks_html
from pytest_mlcontainer.report.html_matrix import matrix_html
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.html_tree import head_html, tree_html, verdict_html
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import Comparison, Session

_SECTIONS = 60
_LEAVES = 300
_FEWEST_LEAVES = 5
_ROWS = 500
_FACTS = 60
_FAILURES = 30
_LOG_LINES = 200
_NOTES = 50
_SAID = 2000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADS = ("entrypoint", "run", "reference", "verdict", "items", "cause", "worst difference")
_TERMS = (
    ("max abs", "the largest |actual − expected|"),
    ("max rel", "the largest |actual − expected| / |expected|"),
    ("max ULP", "the largest distance in units in the last place"),
    ("scale error", "max abs / the largest finite |expected| of the array"),
    ("beyond", "how many of the elements that differ are further off than the rule allows"),
)


def report_html(session: Session) -> str:
    """The page; a few megabytes at most, whatever was compared."""
    title = words.session_headline(session.counts, len(session.failures), session.checks)
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{t(_POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{t(title)} – pytest-mlcontainer</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            *_header(session, title),
            "<main>",
            *_body(session),
            "</main>",
            *_footer(),
            "</body>\n</html>\n",
        )
    )


def _header(session: Session, title: str) -> Iterator[str]:
    yield f"<header>\n<h1>{t(title)}</h1>"
    if session.counts:
        yield '<ul class="verdicts">'
        for verdict, count in session.counts:
            yield f"<li>{verdict_html(verdict, f'{count:,} {verdict.value}')}</li>"
        yield "</ul>"
    runs = words.session_runs(session.runs, session.more_runs)
    yield f'<p class="quiet">{runs}, {session.duration_s:.1f} s</p>\n</header>'


def _body(session: Session) -> Iterator[str]:
    numbered = list(enumerate(session.comparisons, 1))
    if len(numbered) > _SECTIONS:
        numbered.sort(key=lambda each: -each[1].tree.outcome.verdict.severity)
    sections = numbered[:_SECTIONS]
    yield from _overview(session, numbered, {number for number, _each in sections})
    yield from _failures(session.failures)
    yield from checks_html(session.checks)
    leaves = max(_FEWEST_LEAVES, _LEAVES // max(1, len(sections)))
    for number, comparison in sections:
        yield from _comparison(number, comparison, leaves)
    if session.remarks or session.notes:
        yield "<section>\n<h2>Remarks</h2>"
        yield from _notes((*session.remarks, *session.notes))
        yield "</section>"


def _overview(
    session: Session, numbered: list[tuple[int, Comparison]], linked: set[int]
) -> Iterator[str]:
    if not session.comparisons:
        return
    yield "<section>\n<h2>Comparisons</h2>"
    yield from matrix_html(numbered, linked)
    yield '<div class="wide">'
    with_causes = any(in_brief(each.tree.outcome) for _number, each in numbered[:_ROWS])
    heads = head_html(_heads(with_causes))
    yield f'<table class="overview" role="table">\n{heads}'
    yield "<tbody>"
    for number, comparison in numbered[:_ROWS]:
        yield _row(number, comparison, number in linked, with_causes)
    yield "</tbody>\n</table>\n</div>"
    if len(numbered) > len(linked):
        shown = f"{len(linked):,} of {len(numbered):,} comparisons"
        yield f"<p>Only {shown}, the worst, are drawn below; report.json has all of them.</p>"
    yield "</section>"


def _heads(with_causes: bool) -> tuple[str, ...]:
    return _HEADS if with_causes else tuple(head for head in _HEADS if head != "cause")


def _row(number: int, comparison: Comparison, linked: bool, with_causes: bool) -> str:
    tree, outcome = comparison.tree, comparison.tree.outcome
    name, worst = f"<code>{t(outcome.entrypoint, 60)}</code>", ""
    if tree.leaves and words.brief(tree.leaves[0].difference):
        difference = tree.leaves[0].difference
        where = t(cut_inside(difference.where, 80), 80)
        worst = f"<code>{where}</code>: {t(words.brief(difference), 160)}"
    cells = (
        f'<a href="#c{number}">{name}</a>' if linked else name,
        t(words.name_of_target(outcome.target)),
        t(words.name_of_reference(outcome)),
        verdict_html(outcome.verdict),
        t(words.counts_text(tree.counts)),
        t(in_brief(outcome), 100),
        worst,
    )
    first, *others = cells if with_causes else (*cells[:-2], cells[-1])
    # On a phone a row is a block: the roles keep it a row for screen readers.
    rest = "".join(
        f'<td role="cell" data-head="{head}">{cell}</td>'
        for head, cell in zip(_heads(with_causes)[1:], others, strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{first}</th>{rest}</tr>'


def _failures(runs: tuple[RunResult, ...]) -> Iterator[str]:
    if not runs:
        return
    yield "<section>\n<h2>Runs that failed</h2>"
    for run in runs[:_FAILURES]:
        assert run.failure is not None
        name = f"<code>{t(run.entrypoint, 60)}</code> on {t(words.name_of_target(run.target))}"
        code = "" if run.exit_code is None else f", exit code {run.exit_code}"
        yield f"<article>\n<h3>{name}{code}</h3>"
        yield f"<p>{verdict_html(Verdict.FAILED)} {t(run.failure.what, 1000)}</p>"
        if run.failure.value:
            yield f'<pre tabindex="0">{_log(run.failure.value)}</pre>'
        if run.failure.remedy:
            yield f"<p>→ {t(run.failure.remedy, 2000)}</p>"
        yield "</article>"
    if len(runs) > _FAILURES:
        yield f"<p>… and {len(runs) - _FAILURES:,} more; report.json has them.</p>"
    yield "</section>"


def _log(said: str) -> str:
    """The last lines, where errors stand."""
    lines = said.splitlines()
    more = len(lines) - _LOG_LINES
    head = [f"… ({more:,} lines before)"] if more > 0 else []
    return "\n".join([*head, *(t(line, 1000) for line in lines[-_LOG_LINES:])])


def _comparison(number: int, comparison: Comparison, leaves: int) -> Iterator[str]:
    tree, outcome = comparison.tree, comparison.tree.outcome
    is_open = "" if outcome.verdict.passes else " open"
    yield f'<section id="c{number}">\n<details class="comparison"{is_open}>'
    title = (
        f"<code>{t(outcome.entrypoint, 60)}</code>: {t(words.name_of_target(outcome.target))} "
        f"against {t(words.name_of_reference(outcome))}"
    )
    yield f"<summary><h2>{title}</h2> {verdict_html(outcome.verdict)}</summary>"
    if why(outcome):
        yield f"<p><strong>{t(words.headline(outcome, tree.failing_count), 300)}</strong></p>"
    yield from _statements(answer(outcome), "answer")
    yield f"<p>Items compared: {t(words.counts_text(tree.counts))}.</p>"
    yield from tree_html(tree, leaves)
    others = rest(outcome)
    if others:
        yield "<h3>What else was found</h3>"
        yield from _statements(others, "rest")
    yield from _facts(outcome)
    if outcome.notes:
        yield "<h3>Notes</h3>"
        yield from _notes(outcome.notes)
    if comparison.repeat:
        yield "<h3>Repeat just this</h3>"
        yield f'<pre tabindex="0"><code>{t(comparison.repeat, 2000)}</code></pre>'
    yield "</details>\n</section>"


def _statements(statements: tuple[Statement, ...], kind: str) -> Iterator[str]:
    if not statements:
        return
    yield f'<dl class="{kind}">'
    for each in statements[:_NOTES]:
        names = ", ".join(f"<code>{t(name)}</code>" for name in each.names[:_NOTES])
        said = " ".join(part for part in (names, t(each.text, _SAID)) if part)
        yield f"<div><dt>{t(each.label, 100)}</dt><dd>{said}"
        for label, text in each.below:
            head = f'<span class="quiet">{t(label)}:</span>'
            yield f'<div class="below">{head} {t(text, _SAID)}</div>'
        yield "</dd></div>"
    yield "</dl>"


def _facts(outcome: Outcome) -> Iterator[str]:
    if not outcome.facts:
        return
    yield "<h3>The environments differ</h3>"
    yield '<div class="wide">\n<table class="facts">'
    yield head_html(("fact", *words.names_of_sides(outcome)))
    yield "<tbody>"
    for name, expected, actual in outcome.facts[:_FACTS]:
        cells = f"<td>{_fact(actual)}</td><td>{_fact(expected)}</td>"
        yield f'<tr><th scope="row"><code>{t(name)}</code></th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"
    if len(outcome.facts) > _FACTS:
        yield f"<p>… and {len(outcome.facts) - _FACTS:,} more; report.json has them.</p>"


def _fact(value: Scalar) -> str:
    return "–" if value is None else t(str(value), 300)


def _notes(notes: tuple[str, ...]) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{t(note, 1000)}</li>" for note in notes[:_NOTES])
    if len(notes) > _NOTES:
        yield f"<li>… and {len(notes) - _NOTES:,} more</li>"
    yield "</ul>"


def _footer() -> Iterator[str]:
    yield "<footer>\n<h2>Words</h2>\n<dl>"
    yield from (f"<div><dt>{term}</dt><dd>{said}</dd></div>" for term, said in _TERMS)
    yield "</dl>\n<p>Written by pytest-mlcontainer.</p>\n</footer>"
