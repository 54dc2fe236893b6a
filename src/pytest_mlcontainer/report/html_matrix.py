"""The matrix of a session: a row for each entrypoint, a column for each target, and links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.html_text import head_html, t
from pytest_mlcontainer.report.html_tree import verdict_html
from pytest_mlcontainer.report.session import Comparison

_ROWS, _COLUMNS = 100, 12
_FEWEST = 3


def matrix_html(numbered: Sequence[tuple[int, Comparison]], linked: set[int]) -> Iterator[str]:
    """Nothing for a session of one or two comparisons, which the table below shows as well.

    Args:
        linked: numbers of the comparisons that have a section of their own.
    """
    if len(numbered) < _FEWEST:
        return
    cells: dict[tuple[str, str], list[tuple[int, Comparison]]] = {}
    for number, each in numbered:
        outcome = each.tree.outcome
        target = words.name_of_target(outcome.target)
        cells.setdefault((outcome.entrypoint, target), []).append((number, each))
    names = list(dict.fromkeys(name for name, _target in cells))
    targets = list(dict.fromkeys(target for _name, target in cells))
    yield '<div class="wide">\n<table class="matrix">'
    yield f"{head_html(('entrypoint', *targets[:_COLUMNS]))}\n<tbody>"
    for name in names[:_ROWS]:
        row = "".join(
            f"<td>{_cell(cells.get((name, target), []), linked)}</td>"
            for target in targets[:_COLUMNS]
        )
        yield f'<tr><th scope="row"><code>{t(name, 60)}</code></th>{row}</tr>'
    yield "</tbody>\n</table>\n</div>"
    if len(names) > _ROWS or len(targets) > _COLUMNS:
        shown = f"{min(len(names), _ROWS):,} of {len(names):,} entrypoints"
        more = f"{min(len(targets), _COLUMNS):,} of {len(targets):,} targets"
        yield f"<p>The matrix shows {shown} and {more}; the table below goes on.</p>"


def _cell(held: Sequence[tuple[int, Comparison]], linked: set[int]) -> str:
    """The worst verdict, as a link to its comparison, and how many there are."""
    if not held:
        return '<span class="quiet">–</span>'
    number, worst = max(held, key=lambda each: each[1].tree.outcome.verdict.severity)
    more = f' <span class="quiet">of {len(held):,}</span>' if len(held) > 1 else ""
    verdict = verdict_html(worst.tree.outcome.verdict)
    return f'<a href="#c{number}">{verdict}</a>{more}' if number in linked else verdict + more
