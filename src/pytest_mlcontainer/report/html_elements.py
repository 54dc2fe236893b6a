"""The elements of an item that differ most, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape as escape_html

from pytest_mlcontainer.model import Difference, Element, Outcome
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.html_lines import parts_html
from pytest_mlcontainer.report.html_text import head_html, t
from pytest_mlcontainer.report.sides import names_of_sides
from pytest_mlcontainer.report.tree import FEW_ELEMENTS, ReportLeaf
from pytest_mlcontainer.word_diff import word_diff

_CHARACTERS, _FEWER_CHARACTERS = 200, 80


def elements_html(leaf: ReportLeaf, outcome: Outcome, *, in_full: bool) -> Iterator[str]:
    """The worst few, and where all are asked for, the others folded below them."""
    difference = leaf.difference
    if len(leaf.elements) <= FEW_ELEMENTS + 1:
        yield from _table(difference, leaf.elements, outcome, _CHARACTERS)
        return
    yield from _table(difference, leaf.elements[:FEW_ELEMENTS], outcome, _CHARACTERS)
    if in_full:
        more = leaf.elements[FEW_ELEMENTS:]
        yield f"<details>\n<summary>{len(more)} more of the worst</summary>"
        yield from _table(difference, more, outcome, _FEWER_CHARACTERS)
        if difference.unit == "elements" and difference.differing > len(leaf.elements):
            which = f"{len(leaf.elements)} of the {difference.differing:,} that differ"
            yield f'<p class="quiet">These are the worst {which}.</p>'
        yield "</details>"


def _table(
    difference: Difference, shown: Sequence[Element], outcome: Outcome, most: int
) -> Iterator[str]:
    placed = any(each.index for each in shown)
    measured = any(each.error is not None for each in shown)
    bounded = any(each.excess is not None for each in shown)
    heads = [*(["worst at"] if placed else []), *names_of_sides(outcome)]
    heads += ["off by"] if measured else []
    heads += ["of what is allowed"] if bounded else []
    yield f'<div class="wide">\n<table class="elements">\n{head_html(heads)}\n<tbody>'
    for each in shown:
        where = t(words.place(difference, each.index))
        sides = escape(each.actual, most), escape(each.expected, most)
        shown_sides = _words(*sides) if " " in each.expected else _from_first_difference(*sides)
        row = f'<th scope="row">{where}</th>' if placed else ""
        row += "".join(f"<td>{side}</td>" for side in shown_sides)
        row += f"<td>{words.error_of(each)}</td>" if measured else ""
        row += f"<td>{words.excess_of(each)}</td>" if bounded else ""
        yield f"<tr>{row}</tr>"
    yield "</tbody>\n</table>\n</div>"


def _words(left: str, right: str) -> tuple[str, str]:
    """Both texts as HTML, with the words that differ marked."""
    actual, expected = word_diff(left, right)
    return parts_html(actual), parts_html(expected)


def _from_first_difference(left: str, right: str) -> tuple[str, str]:
    """Both as HTML; what they begin with stands back, so that the eye finds the difference."""
    pairs = zip(left, right, strict=False)
    first = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    same = f'<span class="same">{escape_html(left[:first])}</span>'
    return same + escape_html(left[first:]), same + escape_html(right[first:])
