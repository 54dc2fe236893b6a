"""What a report draws of one item that differs: gathered where both sides are read, and small."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlotGrid:
    """Numbers on a plane, one character for each cell.

    Args:
        rows: from the top; "0" is an empty cell, "1" to "9" are steps on a logarithmic scale.
        low, high: the smallest and the largest number in a cell.
        across, down: what the columns and the rows go from and to, the ends included.
    """

    rows: tuple[str, ...]
    low: float
    high: float
    across: tuple[float, float]
    down: tuple[float, float]


@dataclass(frozen=True)
class Confusion:
    """How often one label stands where another is expected.

    Args:
        labels: the most frequent among those that differ; the last may stand for all others.
        counts: a row for each expected label, in it a number for each actual one.
        agreeing: whether the diagonal was counted, too; else it is 0.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    agreeing: bool


@dataclass(frozen=True)
class PlottedSeries:
    """Both sides of a sequence at some of its places: ends and extremes are among them.

    Args:
        places: rising; `actual` and `expected` have a value for each, None for NaN and infinities.
        length: of the whole sequence.
    """

    places: tuple[int, ...]
    actual: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    length: int


@dataclass(frozen=True)
class Pictures:
    """Both sides of an image, and where they differ, as PNGs in base64.

    Args:
        width, height: of the image itself, in pixels; the PNGs may be smaller.
    """

    actual: str
    expected: str
    difference: str
    width: int
    height: int


@dataclass(frozen=True)
class TextLine:
    """One line of one side of a text, or of both.

    Args:
        kind: `same`; `removed`, which only the expected text has; `added`, which only the actual
            one has; `gap`, for lines that are left out.
        number: from 1, in the actual text, or for what is removed in the expected one.
    """

    kind: str
    number: int
    text: str


@dataclass(frozen=True)
class TextLines:
    """Where two texts differ.

    Args:
        lines: the first changes, with a few lines around them.
        is_cut: whether there may be more of them.
    """

    lines: tuple[TextLine, ...]
    is_cut: bool


@dataclass(frozen=True)
class Plots:
    """What can be drawn of one item.

    Args:
        looked_at: elements that differ and were looked at; fewer than all of them where those are
            very many.
        relative: as `Difference.histogram`, of |actual − expected| / |expected|.
        places: the largest error in each part of the array: columns are its last axis, rows all
            others together.
        density: how many elements have about this expected (across) and actual value (down, the
            largest at the top).
    """

    looked_at: int = 0
    relative: tuple[tuple[float, float, int], ...] = ()
    places: PlotGrid | None = None
    density: PlotGrid | None = None
    series: PlottedSeries | None = None
    confusion: Confusion | None = None
    pictures: Pictures | None = None
    text: TextLines | None = None
