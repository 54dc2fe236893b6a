"""How far apart two lines through points are: the Hausdorff distance of the lines, not the points.

Each line is walked in steps no longer than half the bound, corners included, and each step's
distance to the other line is taken; the largest, from either side, is the distance. What lies
between two steps can be off by no more than half a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Floats, Values
from pytest_mlcontainer.compare.numeric.loose import UnmatchableError

_BLOCK_SAMPLES = 256
_BLOCK_PAIRS = 1 << 20
_MOST_PAIRS = 2 * 10**9
_MOST_SHOWN = 128
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Gap:
    """Where two lines are furthest apart.

    Args:
        distance: there; infinite where one line has no points at all.
        point, nearest: the place on the first line, and the one next to it on the other.
        differing, beyond: points of the first line that are off the other one, and too far.
    """

    distance: float
    point: tuple[float, float] = (np.nan, np.nan)
    nearest: tuple[float, float] = (np.nan, np.nan)
    differing: int = 0
    beyond: int = 0


def furthest(line: Floats, other: Floats, bound: float) -> Gap:
    """The point of one line that is furthest from the other line.

    Args:
        line, other: points as rows, in the order of the line.

    Raises:
        UnmatchableError: there are too many points.
    """
    if not len(line):
        return Gap(0.0)
    if not len(other):
        x, y = line[0]
        return Gap(np.inf, (float(x), float(y)), differing=len(line), beyond=len(line))
    bound = max(bound, _ROUNDING)
    segments = _segments(_merged(other))
    corners = _near(line, segments, bound)
    steps = _steps(_merged(line), bound)
    between = _near(steps, segments, bound) if len(steps) else corners[:0]
    points, distances = line, corners
    if between.max(initial=-1.0) > corners.max():
        points, distances = steps, between
    worst = int(distances.argmax())
    distance, nearest = _nearest(points[worst], segments)
    return Gap(
        0.0 if distance <= _ROUNDING else distance,
        (float(points[worst][0]), float(points[worst][1])),
        nearest,
        int(np.count_nonzero(corners > _ROUNDING)),
        int(np.count_nonzero(corners > bound)),
    )


def _merged(line: Floats) -> Floats:
    """The same line with fewer points: repeats, and those within an upright or level stretch."""
    moves = np.ones(len(line), bool)
    moves[1:] = (np.diff(line, axis=0) != 0).any(axis=1)
    line = line[moves]
    if len(line) < 3:
        return line
    before, after = np.diff(line, axis=0)[:-1], np.diff(line, axis=0)[1:]
    level = (before == 0) & (after == 0)
    onward = before * after > 0
    within = (level[:, 0] & onward[:, 1]) | (level[:, 1] & onward[:, 0])
    kept = np.ones(len(line), bool)
    kept[1:-1] = ~within
    return line[kept]


def _segments(line: Floats) -> tuple[Floats, Floats]:
    """Where each segment begins, and the way to its end; a single point is a segment, too."""
    if len(line) == 1:
        return line, np.zeros_like(line)
    return line[:-1], np.diff(line, axis=0)


def _steps(line: Floats, bound: float) -> Floats:
    """Points within the segments, one after the other no further than half the bound."""
    starts, ways = _segments(line)
    lengths = np.hypot(ways[:, 0], ways[:, 1])
    step = max(bound / 2, float(lengths.sum()) / (4 * len(line) + 4000))
    counts = np.ceil(lengths / step).astype(np.int64) - 1
    counts = np.maximum(counts, 0)
    owner = np.repeat(np.arange(len(starts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    share = place / (counts[owner] + 1)
    points: Floats = starts[owner] + share[:, None] * ways[owner]
    return points


def _near(points: Floats, segments: tuple[Floats, Floats], bound: float) -> Floats:
    """Each point's distance to the line; where it is beyond the bound, a lower limit may do."""
    starts, ways = segments
    if (ways[:, 0] <= 0).all():
        starts, ways = starts[::-1], ways[::-1]
    ends = starts[:, 0] + ways[:, 0]
    low, high = np.minimum(starts[:, 0], ends), np.maximum(starts[:, 0], ends)
    onward = bool((np.diff(low) >= 0).all() and (np.diff(high) >= 0).all())
    found = np.full(len(points), np.inf)
    order = np.argsort(points[:, 0], kind="stable")
    work = 0
    for at in range(0, len(order), _BLOCK_SAMPLES):
        block = order[at : at + _BLOCK_SAMPLES]
        x = points[block, 0]
        close: slice | Values
        if onward:
            begin = int(np.searchsorted(high, x[0] - bound))
            close = slice(begin, int(np.searchsorted(low, x[-1] + bound, side="right")))
            work += len(block) * max(0, close.stop - close.start)
        else:
            close = np.flatnonzero((high >= x[0] - bound) & (low <= x[-1] + bound))
            work += len(block) * len(close) + len(low)
        if work > _MOST_PAIRS:
            raise UnmatchableError(
                f"curves of {len(points)} and {len(starts)} points that lie close together are too "
                "many to hold against each other: write fewer points"
            )
        found[block] = _distances(points[block], starts[close], ways[close])
    # Who found nothing near is too far anyway; how far, only a few are asked.
    far = np.flatnonzero(found > bound)
    asked = far[np.linspace(0, len(far) - 1, min(len(far), _MOST_SHOWN)).astype(np.intp)]
    found[far] = np.nextafter(bound, np.inf)
    found[asked] = _distances(points[asked], starts, ways)
    return found


def _distances(points: Floats, starts: Floats, ways: Floats) -> Floats:
    """The least distance of each point to any of the segments."""
    least = np.full(len(points), np.inf)
    width = max(1, _BLOCK_PAIRS // max(1, len(points)))
    for at in range(0, len(starts), width):
        squares, _share = _squares(points, starts[at : at + width], ways[at : at + width])
        least = np.minimum(least, squares.min(axis=1))
    return np.asarray(np.sqrt(least))


def _squares(points: Floats, starts: Floats, ways: Floats) -> tuple[Floats, Floats]:
    """Squared distances of points (rows) and segments (columns), and where along the segment."""
    lengths = (ways * ways).sum(axis=1)
    x = points[:, 0, None] - starts[:, 0]
    y = points[:, 1, None] - starts[:, 1]
    share = (x * ways[:, 0] + y * ways[:, 1]) / np.where(lengths > 0, lengths, 1.0)
    np.clip(share, 0.0, 1.0, out=share)
    x -= share * ways[:, 0]
    y -= share * ways[:, 1]
    return x * x + y * y, share


def _nearest(point: Floats, segments: tuple[Floats, Floats]) -> tuple[float, tuple[float, float]]:
    starts, ways = segments
    squares, share = _squares(point[None, :], starts, ways)
    best = int(squares[0].argmin())
    x, y = starts[best] + share[0, best] * ways[best]
    return float(np.sqrt(squares[0, best])), (float(x), float(y))
