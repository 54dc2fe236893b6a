"""`report.html`: one file that needs nothing else, for people.

Every text goes through `t`, which leaves nothing in it for a browser to act on; besides, the page
forbids all scripts but its own, and loading anything, in its own head. It can be read without that
script, which filters, sorts and chooses.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files

from pytest_mlcontainer.model import Outcome, Scalar, Verdict
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.answer import Statement, answer, in_brief, rest, why
from pytest_mlcontainer.report.escape import cut_inside
from pytest_mlcontainer.report.html_checks import checks_html
from pytest_mlcontainer.report.html_choices import choice_data, update_html
from pytest_mlcontainer.report.html_matrix import matrix_html
from pytest_mlcontainer.report.html_pictures import choose_pictures
from pytest_mlcontainer.report.html_search import search_html
from pytest_mlcontainer.report.html_text import head_html, t
from pytest_mlcontainer.report.html_timeline import timeline_html
from pytest_mlcontainer.report.html_tree import tree_html, verdict_html
from pytest_mlcontainer.report.html_where import where_html
from pytest_mlcontainer.report.publication import publication_html
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import Comparison, Session
from pytest_mlcontainer.report.shared_causes import shared_html
from pytest_mlcontainer.report.sides import names_of_sides

_SECTIONS = 60
_LEAVES = 300
_FEWEST_LEAVES = 5
_IN_FULL = 30
_ROWS = 500
_FACTS = 60
_FAILURES = 30
_LOG_LINES = 200
_NOTES = 50
_SAID = 2000
_POLICY = (
    "default-src 'none'; img-src data:; style-src {style}; script-src {script}; "
    "base-uri 'none'; form-action 'none'"
)
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
    style = "\n" + files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    script = "\n" + files(__package__).joinpath("report.js").read_text(encoding="utf-8")
    policy = _POLICY.format(style=_hash(style), script=_hash(script))
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{t(policy, _SAID)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{t(title)} – pytest-mlcontainer</title>",
            f"<style>{style}</style>\n</head>\n<body>",
            *_header(session, title),
            "<main>",
            *_body(session),
            "</main>",
            *_footer(),
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _hash(content: str) -> str:
    """As a Content-Security-Policy names an inline style or script that may be used."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _header(session: Session, title: str) -> Iterator[str]:
    yield f"<header>\n<h1>{t(title)}</h1>"
    if session.unfinished:
        yield f'<p class="unfinished"><strong>{t(session.unfinished, _SAID)}</strong></p>'
    if session.counts:
        yield '<ul class="verdicts">'
        for verdict, count in session.counts:
            yield f"<li>{verdict_html(verdict, f'{count:,} {verdict.value}')}</li>"
        yield "</ul>"
    runs = words.session_runs(session.runs, session.more_runs)
    checks = ' · <a href="#checks">checks of the image</a>' if session.checks else ""
    yield f'<p class="quiet">{runs}, {session.duration_s:.1f} s{checks}</p>\n</header>'


def _body(session: Session) -> Iterator[str]:
    """What fails comes before what does not: comparisons before checks of the image, unless it is
    these alone that fail."""
    numbered = list(enumerate(session.comparisons, 1))
    if len(numbered) > _SECTIONS:
        numbered.sort(key=lambda each: -each[1].tree.outcome.verdict.severity)
    sections = numbered[:_SECTIONS]
    yield from _overview(session, numbered, {number for number, _each in sections})
    yield from shared_html(session.shared, {number for number, _each in sections})
    yield from _failures(session.failures)
    drifts = any(not verdict.passes for verdict, _count in session.counts)
    checks_first = not drifts and any(each.failing for each in session.checks)
    of_images = *publication_html(session.publication), *checks_html(session.checks)
    yield from of_images if checks_first else ()
    yield from _comparisons(sections)
    yield from () if checks_first else of_images
    yield from timeline_html(session.timeline, session.duration_s)
    if session.remarks or session.notes:
        yield "<section>\n<h2>Remarks</h2>"
        yield from _notes((*session.remarks, *session.notes))
        yield "</section>"


def _comparisons(sections: list[tuple[int, Comparison]]) -> Iterator[str]:
    """A section for each; what there is room for is shown of the worst."""
    leaves = max(_FEWEST_LEAVES, _LEAVES // max(1, len(sections)))
    worst_first = sorted(sections, key=lambda each: -each[1].tree.outcome.verdict.severity)
    pictured = choose_pictures((each.tree for _number, each in worst_first), leaves)
    in_full = max(1, _IN_FULL // max(1, len(sections)))
    with_plots = {number for number, _each in worst_first[:_IN_FULL]}
    for number, comparison in sections:
        shown = leaves, in_full if number in with_plots else 0, pictured
        yield from _comparison(number, comparison, *shown)


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
    head = f'<th scope="row" role="rowheader">{first}</th>'
    return f'<tr role="row"{_data(number, outcome)}>{head}{rest}</tr>'


def _data(number: int, outcome: Outcome) -> str:
    """What the page's script filters and sorts by, as attributes."""
    name = f"{outcome.entrypoint} {words.name_of_target(outcome.target)}"
    data = {
        "number": str(number),
        "verdict": outcome.verdict.value,
        "rank": str(outcome.verdict.severity),
        "platform": str(outcome.target.platform),
        "name": f"{name} against {words.name_of_reference(outcome)}",
    }
    return "".join(f' data-{key}="{t(value)}"' for key, value in data.items())


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


def _comparison(
    number: int, comparison: Comparison, leaves: int, in_full: int, pictured: frozenset[int]
) -> Iterator[str]:
    tree, outcome = comparison.tree, comparison.tree.outcome
    is_open = "" if outcome.verdict.passes else " open"
    data = _data(number, outcome) + choice_data(comparison)
    yield f'<section id="c{number}" class="comparison"{data}>\n<details{is_open}>'
    title = (
        f"<code>{t(outcome.entrypoint, 60)}</code>: {t(words.name_of_target(outcome.target))} "
        f"against {t(words.name_of_reference(outcome))}"
    )
    yield f"<summary><h2>{title}</h2> {verdict_html(outcome.verdict)}</summary>"
    if why(outcome):
        yield f"<p><strong>{t(words.headline(outcome, tree.failing_count), 300)}</strong></p>"
    yield from _statements(answer(outcome), "answer")
    yield f"<p>Items compared: {t(words.counts_text(tree.counts))}.</p>"
    yield from tree_html(tree, leaves, in_full, pictured)
    others = rest(outcome)
    if others:
        yield "<h3>What else was found</h3>"
        yield from _statements(others, "rest")
    if outcome.explanation is not None:
        yield from search_html(outcome.explanation.trials)
    yield from where_html(outcome.location)
    yield from _facts(outcome)
    if outcome.notes:
        yield "<h3>Notes</h3>"
        yield from _notes(outcome.notes)
    yield from update_html(comparison)
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
    yield head_html(("fact", *names_of_sides(outcome)))
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
