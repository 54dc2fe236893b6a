"""Plots of one item as SVG that takes its colours from the page, so that dark and print work too.

No plotting library: these are a few plain marks, which cost a tenth of the bytes so, and no import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_mlcontainer.model import (
    Confusion,
    Difference,
    PlotGrid,
    Plots,
    PlottedSeries,
)
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.html_lines import lines_html
from pytest_mlcontainer.report.html_text import t

_CELL = 4
_WIDTH, _HEIGHT = 320.0, 120.0
_LEVELS = "123456789"


def plots_html(difference: Difference, plots: Plots, sides: tuple[str, str]) -> Iterator[str]:
    """All that there is to draw of an item.

    Args:
        sides: names of the actual and the expected side.
    """
    yield '<div class="plots">'
    if plots.density is not None:
        yield from _density(plots.density, sides)
    if plots.places is not None:
        yield from _places(plots.places)
    if plots.series is not None:
        yield from _series(plots.series, sides)
    if plots.confusion is not None:
        yield from _confusion(plots.confusion, sides)
    yield "</div>"
    if plots.text is not None:
        yield from lines_html(plots.text, sides)
    if plots.looked_at < difference.differing and difference.unit == "elements":
        yield (
            f'<p class="quiet">Drawn from {plots.looked_at:,} of the {difference.differing:,} '
            "elements that differ; numbers and worst values are of all.</p>"
        )


def _density(grid: PlotGrid, sides: tuple[str, str]) -> Iterator[str]:
    low, high = (words.short(end) for end in grid.across)
    title = f"{sides[0]} (up) against {sides[1]} (across), both from {low} to {high}"
    size = len(grid.rows)
    line = f'<line x1="0" y1="{size}" x2="{size}" y2="0"></line>'
    yield from _grid(grid, title, line)
    yield (
        f"<figcaption>{t(title)}; the line is agreement, stronger is more elements, of those that "
        "differ</figcaption>\n</figure>"
    )


def _places(grid: PlotGrid) -> Iterator[str]:
    (left, right), (top, bottom) = grid.across, grid.down
    rows = f"rows {top:,.0f} to {bottom:,.0f} (down), " if bottom > top else ""
    what = "largest errors" if grid.low != grid.high else "differences"
    title = f"{what} by place: {rows}last axis {left:,.0f} to {right:,.0f} (across)"
    yield from _grid(grid, title, "")
    low, high = words.short(grid.low), words.short(grid.high)
    scale = f"; {low} to {high}, stronger is larger, on a log scale" if low != high else ""
    yield f"<figcaption>{t(title)}{t(scale)}</figcaption>\n</figure>"


def _grid(grid: PlotGrid, title: str, more: str) -> Iterator[str]:
    """An open figure with the cells, each level a path of runs of cells."""
    width, height = len(grid.rows[0]), len(grid.rows)
    tall = height * _CELL if height > 1 else 4 * _CELL
    yield '<figure class="grid">'
    yield f'<svg role="img" aria-label="{t(title)}" viewBox="0 0 {width} {height}"'
    yield f' width="{width * _CELL}" height="{tall}" preserveAspectRatio="none">'
    for level in _LEVELS:
        path = "".join(_path(line, row, level) for row, line in enumerate(grid.rows))
        if path:
            yield f'<path class="g{level}" d="{path}"></path>'
    yield f"{more}</svg>"


def _path(line: str, row: int, level: str) -> str:
    """The cells of one row at this level; moves are relative, which is short."""
    parts: list[str] = []
    end = 0
    for found in re.finditer(f"{level}+", line):
        start, length = found.start(), len(found[0])
        parts.append(f"m{start - end} 0h{length}" if parts else f"M{start} {row}.5h{length}")
        end = start + length
    return "".join(parts)


def _series(series: PlottedSeries, sides: tuple[str, str]) -> Iterator[str]:
    values = [
        each for side in (series.actual, series.expected) for each in side if each is not None
    ]
    if not values:
        return
    low, high = min(values), max(values)
    title = f"{sides[0]} over {sides[1]}, {series.length:,} places from left to right"
    yield '<figure class="series">'
    yield f'<svg role="img" aria-label="{t(title)}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}"'
    yield f' width="{_WIDTH:g}" height="{_HEIGHT:g}">'
    for name, side in (("expected", series.expected), ("actual", series.actual)):
        yield f'<path class="{name}" d="{_line(series, side, low, high)}"></path>'
    yield "</svg>"
    thinned = ""
    if len(series.places) < series.length:
        thinned = f"; {len(series.places):,} of them drawn, with ends and extremes"
    yield (
        f'<figcaption><span class="actual">{t(sides[0])}</span> over '
        f'<span class="expected">{t(sides[1])}</span> (dashed), {words.short(low)} to '
        f"{words.short(high)}, {series.length:,} places{thinned}</figcaption>\n</figure>"
    )


def _line(series: PlottedSeries, side: tuple[float | None, ...], low: float, high: float) -> str:
    across = _WIDTH / max(1, series.length - 1)
    # Halves, because the range of doubles is wider than the largest of them.
    length = high / 2 - low / 2 or 1.0
    parts, pen = [], "M"
    for place, value in zip(series.places, side, strict=True):
        if value is None:
            pen = "M"
            continue
        share = (value / 2 - low / 2) / length
        parts.append(f"{pen}{place * across:.1f} {2 + (_HEIGHT - 4) * (1 - share):.1f}")
        pen = "L"
    return "".join(parts)


def _confusion(table: Confusion, sides: tuple[str, str]) -> Iterator[str]:
    said = "" if table.agreeing else "; what agrees is not counted"
    caption = f"{sides[1]} (rows) and {sides[0]} (columns), in elements{said}"
    heads = "".join(f'<th scope="col">{t(label, 20)}</th>' for label in table.labels)
    yield f'<div class="wide">\n<table class="confusion">\n<caption>{t(caption)}</caption>'
    yield f'<thead><tr><th scope="col">expected</th>{heads}</tr></thead>\n<tbody>'
    for number, (label, row) in enumerate(zip(table.labels, table.counts, strict=True)):
        cells = "".join(
            f'<td class="{_shade(count, number == at)}">{count:,}</td>'
            for at, count in enumerate(row)
        )
        yield f'<tr><th scope="row">{t(label, 20)}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"


def _shade(count: int, agrees: bool) -> str:
    if not count:
        return "none"
    return "same" if agrees else "other"
