"""The differences that a failure shows with values: numbers in one table, others in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mlcontainer.model import Difference, Outcome, Verdict
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.escape import cut_inside, escape
from pytest_mlcontainer.report.sides import names_of_sides
from pytest_mlcontainer.report.tree import ReportLeaf

_ELEMENTS = 3
_ELEMENT_WIDTH = 32
_WIDTH = 100


def in_full(leaves: Sequence[ReportLeaf], outcome: Outcome, *, brief: bool) -> list[str]:
    """Each difference with its values, and an empty line after each.

    Args:
        brief: show single numbers as rows of one table, no histogram, and of several others two
            elements each and not how their errors are spread.
    """
    table = _table([leaf for leaf in leaves if brief and _is_number(leaf)], outcome)
    numbers = [leaf for leaf in leaves if table and _is_number(leaf)]
    lines: list[str] = []
    for leaf in leaves:
        if leaf not in numbers:
            lines += [*_block(leaf, outcome, brief=brief, alone=len(leaves) == 1), ""]
        elif leaf is numbers[0]:
            lines += [*table, ""]
    if any(leaf.difference.scale_error is not None for leaf in leaves if leaf not in numbers):
        lines[-1:] = [words.LEGEND, ""]
    return lines


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _is_number(leaf: ReportLeaf) -> bool:
    """Whether it is one number on each side, of which no more is known than how far it is off."""
    each = leaf.difference
    is_lone = each.size == 1 and not each.note and len(leaf.elements) == 1
    return is_lone and each.max_abs is not None and not words.noise_text(each)


def _table(leaves: Sequence[ReportLeaf], outcome: Outcome) -> list[str]:
    """Single numbers, a row each; empty where it would be wider than a screen."""
    if not leaves:
        return []
    rows: list[tuple[str, ...]] = [("", *names_of_sides(outcome), *words.NUMBERS[:2])]
    for leaf in leaves:
        far, element = dict(words.numbers(leaf.difference)), leaf.elements[0]
        values = escape(element.actual), escape(element.expected)
        rows.append(
            (_head(leaf, outcome), *values, *(far.get(name, "") for name in words.NUMBERS[:2]))
        )
    lines = columns(rows)
    if max(map(len, lines)) > _WIDTH:
        return []
    bounds = [leaf.difference for leaf in leaves if words.is_bound(leaf.difference)]
    rules = dict.fromkeys(escape(words.how_many(each), 300) for each in bounds)
    return [*lines, *(f"    {rule}" for rule in rules if rule)]


def _head(leaf: ReportLeaf, outcome: Outcome) -> str:
    """Its name, and its verdict where that is no drift, and not said by the headline."""
    difference = leaf.difference
    head = escape(cut_inside(difference.where, 200))
    said = {Verdict.DRIFT} | {outcome.verdict} & {Verdict.NONDETERMINISTIC}
    return head if difference.verdict in said else f"{head}  [{difference.verdict.value}]"


def _block(leaf: ReportLeaf, outcome: Outcome, *, brief: bool, alone: bool) -> list[str]:
    difference, few = leaf.difference, brief and not alone
    said = [
        "   ".join(f"{name} {text}" for name, text in words.numbers(difference)),
        escape(words.how_many(difference), 300),
        *(() if few else _spread(difference, brief=brief)),
        words.noise_text(difference),
        escape(difference.note, 600),
    ]
    lines = (f"    {line}" for line in said if line)
    return [_head(leaf, outcome), *lines, *_elements(leaf, outcome, _ELEMENTS - few)]


def _spread(difference: Difference, *, brief: bool) -> Iterator[str]:
    """How the errors are spread: quantiles, and a histogram in one line."""
    errors, shown = words.errors_text(difference), words.bins(difference)
    if errors:
        yield f"errors: {errors}"
    if len(shown) > 1 and not (brief and errors):
        low, high = words.short(shown[0][0]), words.short(shown[-1][1])
        yield f"{low} │{words.bars(shown)}│ {high}"


def _elements(leaf: ReportLeaf, outcome: Outcome, most: int) -> list[str]:
    """The worst few side by side; where they are long, the worst alone, in full."""
    difference, names = leaf.difference, names_of_sides(outcome)
    rows = [
        (
            words.place(difference, each.index),
            escape(each.actual),
            escape(each.expected),
            words.error_of(each),
        )
        for each in leaf.elements[:most]
    ]
    if not rows:
        return []
    if len(rows) > 1 and max(len(cell) for row in rows for cell in row) <= _ELEMENT_WIDTH:
        below = [(f"  {where}", *cells) for where, *cells in rows]
        last = "off by" if any(row[-1] for row in rows) else ""
        return [f"    {line}" for line in columns([("worst at", *names, last), *below])]
    width = max(len(name) for name in names)
    where, actual, expected, _error = rows[0]
    head = "" if not where else f"worst at {where}:" if where.startswith("[") else f"{where}:"
    lines = [f"    {head}"] if head else []
    sides = zip(names, (actual, expected), strict=True)
    return lines + [f"      {name:<{width}}  {value}".rstrip() for name, value in sides]
