"""The tree of one comparison as HTML: nested `<details>`, which open without a script."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mlcontainer.model import Difference, Outcome, Verdict
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.html_choices import rule_html
from pytest_mlcontainer.report.html_elements import elements_html
from pytest_mlcontainer.report.html_pictures import pictures_html
from pytest_mlcontainer.report.html_plots import plots_html
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.sides import names_of_sides
from pytest_mlcontainer.report.tree import Bins, Node, ReportLeaf, Tree

_OPEN = 3
_HEAD = 160
_BAR, _GAP, _HEIGHT = 14, 2, 48


@dataclass(frozen=True)
class _View:
    """What is drawn of a tree: leaves by their identity."""

    outcome: Outcome
    shown: frozenset[int]
    is_open: frozenset[int]
    in_full: frozenset[int]
    pictured: frozenset[int]


def verdict_html(verdict: Verdict, said: str = "") -> str:
    """A verdict as sign, word and colour."""
    sign = f'<span aria-hidden="true">{words.SIGNS[verdict]}</span>'
    return f'<span class="verdict {verdict.value}">{sign} {said or verdict.value}</span>'


def tree_html(tree: Tree, most: int, in_full: int, pictured: frozenset[int]) -> Iterator[str]:
    """The tree with at most so many leaves, the worst ones, and plots of the worst of them.

    Args:
        in_full: of how many of them plots and more than the worst few elements are shown.
        pictured: identities of leaves whose pictures are to be shown.
    """
    with_more = [leaf for leaf in tree.leaves[:most] if leaf.has_more]
    view = _View(
        tree.outcome,
        frozenset(id(leaf) for leaf in tree.leaves[:most]),
        frozenset(id(leaf) for leaf in tree.failing[:_OPEN]),
        frozenset(id(leaf) for leaf in with_more[:in_full]),
        pictured,
    )
    yield '<div class="tree">'
    for node in tree.outputs:
        yield from _node(node, view)
    yield "</div>"
    more = sum(count for _verdict, count in tree.unlisted) + max(0, len(tree.leaves) - most)
    if more:
        yield f"<p>… and {words.items(more)} more, not drawn here.</p>"


def _node(node: Node, view: _View) -> Iterator[str]:
    inside = [leaf for leaf in _leaves(node) if id(leaf) in view.shown]
    if not inside:
        return
    if not node.children and len(node.leaves) == 1:
        yield from _leaf(node.label, node.leaves[0], view)
        return
    opens = any(id(leaf) in view.is_open for leaf in inside)
    counts = t(words.counts_text(node.counts))
    yield f"<details{' open' if opens else ''}>"
    yield f"<summary>{_label(node.label)} {verdict_html(node.verdict)} "
    yield f'<span class="quiet">{counts}</span></summary>\n<div class="below">'
    for leaf in node.leaves:
        if id(leaf) in view.shown:
            yield from _leaf("", leaf, view)
    for child in node.children:
        yield from _node(child, view)
    yield "</div>\n</details>"


def _leaves(node: Node) -> Iterator[ReportLeaf]:
    yield from node.leaves
    for child in node.children:
        yield from _leaves(child)


def _label(label: str) -> str:
    return f"<code>{t(label.lstrip('./') or label)}</code>"


def _leaf(label: str, leaf: ReportLeaf, view: _View) -> Iterator[str]:
    difference = leaf.difference
    said = words.brief(difference) or difference.note
    head = f"{_label(label)} " if label else ""
    head += verdict_html(difference.verdict)
    head += f' <span class="quiet">{t(said, _HEAD)}</span>' if said else ""
    body = list(_details(leaf, view))
    if not body:
        yield f'<div class="leaf">{head}</div>'
        return
    is_open = " open" if id(leaf) in view.is_open else ""
    yield f'<details class="leaf"{is_open}>\n<summary>{head}</summary>'
    yield '<div class="below">'
    yield from body
    yield "</div>\n</details>"


def _details(leaf: ReportLeaf, view: _View) -> Iterator[str]:
    difference = leaf.difference
    if difference.verdict is Verdict.IDENTICAL and not difference.differing:
        return
    found = words.numbers(difference)
    if found:
        cells = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in found)
        yield f'<dl class="numbers">{cells}</dl>'
    said = (words.how_many(difference), words.noise_text(difference), difference.note)
    headed = words.brief(difference)[:_HEAD]
    yield from (f"<p>{t(line, 1000)}</p>" for line in said if line and line != headed)
    yield from _spread(difference)
    in_full = id(leaf) in view.in_full
    has_lines = in_full and difference.plots is not None and difference.plots.text is not None
    if leaf.elements and not has_lines:  # which are the same, with what is around them
        yield from elements_html(leaf, view.outcome, in_full=in_full)
    yield from rule_html(difference)
    yield from _pictures(leaf, view)
    if in_full and difference.plots is not None:
        yield from plots_html(difference, difference.plots, names_of_sides(view.outcome))
    elif leaf.has_more and not in_full:
        why = "Plots, and more than the worst few values, are shown of the worst items alone."
        yield f'<p class="quiet">{why}</p>'


def _pictures(leaf: ReportLeaf, view: _View) -> Iterator[str]:
    plots = leaf.difference.plots
    if plots is None or plots.pictures is None:
        return
    if id(leaf) in view.pictured:
        yield from pictures_html(plots.pictures, names_of_sides(view.outcome))
    else:
        yield '<p class="quiet">Its pictures are left out: this page has those of worse items.</p>'


def _spread(difference: Difference) -> Iterator[str]:
    """How errors are spread: a histogram, and quantiles below it."""
    shown, errors = words.bins(difference), words.errors_text(difference)
    if len(shown) < 2:
        if errors:
            yield f"<p>errors: {t(errors)}</p>"
        return
    most = max(count for _low, _high, count in shown)
    low, high = words.short(shown[0][0]), words.short(shown[-1][1])
    width = len(shown) * (_BAR + _GAP) - _GAP
    label = f"histogram of errors from {low} to {high}: {errors}"
    yield '<figure class="spread">\n<div class="chart">'
    yield f'<svg role="img" aria-label="{t(label, 400)}" viewBox="0 0 {width} {_HEIGHT}"'
    yield f' width="{width}" height="{_HEIGHT}">'
    for number, (start, end, count) in enumerate(shown):
        height = max(1.5, _HEIGHT * count / most) if count else 0
        title = f"{words.short(start)} to {words.short(end)}: {count:,}"
        yield (
            f'<rect x="{number * (_BAR + _GAP)}" y="{_HEIGHT - height:.1f}" width="{_BAR}" '
            f'height="{height:.1f}"><title>{title}</title></rect>'
        )
    yield from _noise(difference, shown, width)
    yield "</svg>"
    yield f'<div class="axis"><span>{low}</span><span>{high}</span></div>\n</div>'
    yield f"<figcaption>errors: {t(errors)}</figcaption>\n</figure>"


def _noise(difference: Difference, bins: Bins, width: int) -> Iterator[str]:
    """A line at the noise between repeats, where it is among the errors."""
    noise = difference.noise
    low, high = bins[0][0], bins[-1][1]
    if not noise or not 0 < low <= noise <= high < math.inf:
        return
    at = width * math.log(noise / low) / math.log(high / low)
    said = f"noise between repeats: {words.short(noise)}"
    yield f'<line class="noise" x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{_HEIGHT}">'
    yield f"<title>{said}</title></line>"
