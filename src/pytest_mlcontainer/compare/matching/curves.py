"""Curves, such as `tpr` over `fpr`: compared as lines, because their points may differ.

Where scores tie on one machine and not on another, an ROC curve gains or loses a point, and its
thresholds move by a rounding. What counts is where the line through the points goes. Both lines are
put into a square by the range that each axis has on both sides together, and their distance is the
largest way from a point of one line to the other line (Hausdorff distance), segments included.

The default bound is 2/(n − 1) of the range for the reference's n points, and never more than 1%.
An ROC curve through N negatives and P positives is a staircase of at most 2·min(N, P) + 1 steps. A
tie of one of each that comes apart puts a corner over a segment of the size 1/N by 1/P; the corner
is 1/√(N² + P²) away from it, which is less than 1/(min(N, P) + 1/2) ≤ 2/(n − 1). So one tie more or
less passes, and nothing that shows in a plot does. `atol` replaces the bound, in the same unit.

Points with an infinity or a NaN (the first threshold of scikit-learn is infinite) are not on the
line: there have to be as many on both sides, with the same infinities, at the same places.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pytest_mlcontainer.compare.matching.polylines import Gap, furthest
from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Floats, Values, kind_of
from pytest_mlcontainer.compare.numeric.loose import UnmatchableError, loaded, same_type
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.model import Difference, Verdict

MOST = 0.01
_STEPS = 2.0


@dataclass(frozen=True)
class _Curve:
    """One side: the points, and the names of the axes."""

    x: Floats
    y: Floats

    def finite(self) -> Values:
        return np.asarray(np.isfinite(self.x) & np.isfinite(self.y))


@dataclass(frozen=True)
class _Axis:
    """What makes the range of both sides 0 to 1."""

    low: float
    length: float

    def share(self, values: Floats) -> Floats:
        with np.errstate(all="ignore"):
            # Halves, because the range of doubles is wider than the largest of them.
            return np.asarray((values / 2 - self.low / 2) / (self.length / 2))

    def value(self, share: float) -> float:
        return self.low + share * self.length


def wanted(output: str, book: RuleBook) -> bool:
    """Whether any rule for the output asks for curves."""
    return any(rule.tolerance.curve is not None for rule in book.for_output(output))


def split(
    output: str,
    actual: Mapping[str, object],
    expected: Mapping[str, object],
    book: RuleBook,
    above: tuple[str, ...] = (),
) -> tuple[tuple[Difference, ...], frozenset[str]]:
    """Compare the items that a rule calls curves.

    Args:
        actual, expected: items by name; those that are no `Array` are left alone.
        above: items that hold these.

    Returns:
        Their differences, and the names of the items that need no more comparing.
    """
    if not wanted(output, book):
        return (), frozenset()
    found: list[Difference] = []
    taken: dict[str, None] = {}
    for name in expected:
        applied = book.peek(output, name, above)
        curve = applied.tolerance.curve
        if curve is None or applied.tolerance.ignore:
            continue
        axis = _abscissa(name, curve, actual, expected)
        if axis is None or not _are_curves(name, axis, actual, expected, applied):
            continue
        if axis not in taken and book.peek(output, axis, above).tolerance.curve == curve:
            taken[axis] = None
            book.find(output, axis, above)
            found.append(_say_axis(output, axis, actual[axis], expected[axis]))
        taken[name] = None
        book.find(output, name, above)
        sides = (actual[axis], actual[name]), (expected[axis], expected[name])
        found.append(_compare(output, name, axis, sides[0], sides[1], applied))
    return tuple(found), frozenset(taken)


def _abscissa(
    name: str, curve: str, actual: Mapping[str, object], expected: Mapping[str, object]
) -> str | None:
    """The item called `curve` that is nearest: beside this one, or beside what holds it."""
    ends = [place + 1 for place, char in enumerate(name) if char in "./"]
    for end in (*reversed(ends), 0):
        axis = name[:end] + curve
        if axis in actual and axis in expected:
            return axis if axis != name else None
    return None


def _are_curves(
    name: str,
    axis: str,
    actual: Mapping[str, object],
    expected: Mapping[str, object],
    applied: AppliedTolerance,
) -> bool:
    """Whether both items are lines of numbers, as many as there are places, on either side."""
    if name not in actual:
        return False
    sides = [(side[axis], side[name]) for side in (actual, expected)]
    for x, y in sides:
        if not isinstance(x, Array) or not isinstance(y, Array) or len(x.shape) != 1:
            return False
        kinds = kind_of(x.dtype), kind_of(y.dtype)
        if x.shape != y.shape or not {*kinds} <= {DtypeKind.FLOAT, DtypeKind.INTEGER}:
            return False
    return applied.tolerance.any_dtype or all(
        same_type(_array(left).dtype, _array(right).dtype)
        for left, right in zip(*sides, strict=True)
    )


def _array(item: object) -> Array:
    assert isinstance(item, Array)
    return item


def _say_axis(output: str, axis: str, actual: object, expected: object) -> Difference:
    left, right = _array(actual), _array(expected)
    note = f"the places of curves: {left.size} points, expected {right.size}"
    same = False
    with contextlib.suppress(UnmatchableError):  # the curves over it say so
        same = left.shape == right.shape and np.array_equal(loaded(left), loaded(right))
    verdict = Verdict.IDENTICAL if same else Verdict.EQUIVALENT
    return Difference(output, axis, verdict, size=right.size, unit="points", note=note)


def _compare(
    output: str,
    name: str,
    axis: str,
    actual: tuple[object, object],
    expected: tuple[object, object],
    applied: AppliedTolerance,
) -> Difference:
    size = _array(expected[1]).size
    bound = applied.tolerance.atol
    if bound is None:
        bound = min(MOST, _STEPS / max(1, size - 1))
    rule = f"{bound:.2g} of each axis' range ({applied.origin('')})"
    found = Difference(output, name, Verdict.FAILED, size=size, rule=rule, unit="points")
    try:
        left, right = (
            _Curve(*(loaded(_array(each)).astype(np.float64) for each in side))
            for side in (actual, expected)
        )
        return _judge(found, axis, left, right, bound, applied.tolerance.equal_nan)
    except UnmatchableError as error:
        return _with(found, Verdict.FAILED, str(error))


def _judge(
    found: Difference,
    axis: str,
    actual: _Curve,
    expected: _Curve,
    bound: float,
    equal_nan: bool,
) -> Difference:
    counts = f"a curve over {axis}: {len(actual.x)} points, expected {len(expected.x)}"
    axes = _range(actual.x, expected.x), _range(actual.y, expected.y)
    left, right = _scaled(actual, axes), _scaled(expected, axes)
    apart = _compare_marks(left, right, bound, equal_nan)
    if apart:
        return _with(found, Verdict.DRIFT, f"{counts}; {apart}")
    if actual.x.shape == expected.x.shape and all(
        np.array_equal(mine, theirs, equal_nan=equal_nan)
        for mine, theirs in ((actual.x, expected.x), (actual.y, expected.y))
    ):
        return _with(found, Verdict.IDENTICAL, counts)
    lines = [np.stack([side.x, side.y], axis=1)[side.finite()] for side in (left, right)]
    there, back = furthest(lines[0], lines[1], bound), furthest(lines[1], lines[0], bound)
    gap = there if there.distance >= back.distance else back
    turned = gap is back and gap is not there
    at = axes[0].value(gap.point[0])
    points = _text(gap.point, axes), _text(gap.nearest, axes)
    drifts = gap.distance > max(bound, 1e-12)
    return Difference(
        found.output,
        found.item,
        Verdict.DRIFT if drifts else Verdict.EQUIVALENT,
        scale_error=gap.distance,
        worst_actual=points[1] if turned else points[0],
        worst_expected=points[0] if turned else points[1],
        differing=max(1, there.differing + back.differing),
        beyond=max(1, there.beyond + back.beyond) if drifts else 0,
        size=found.size,
        rule=found.rule,
        unit="points",
        note=f"{counts}; {_say(gap, at, axis)}",
    )


def _say(gap: Gap, at: float, axis: str) -> str:
    if not np.isfinite(gap.distance):
        return "one of them has no points"
    return f"furthest apart by {gap.distance:.3g} of the range, at {axis} = {at:.6g}"


def _with(found: Difference, verdict: Verdict, note: str) -> Difference:
    beyond = 1 if verdict is Verdict.DRIFT else 0
    return Difference(
        found.output,
        found.item,
        verdict,
        differing=beyond,
        beyond=beyond,
        size=found.size,
        rule=found.rule,
        unit="points",
        note=note,
    )


def _range(left: Floats, right: Floats) -> _Axis:
    values = np.concatenate([left, right])
    values = values[np.isfinite(values)]
    if not values.size:
        return _Axis(0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    length = high / 2 - low / 2
    if not length:
        return _Axis(low, abs(low) or 1.0)
    return _Axis(low, min(2 * length, float(np.finfo(np.float64).max)))


def _scaled(curve: _Curve, axes: tuple[_Axis, _Axis]) -> _Curve:
    return _Curve(axes[0].share(curve.x), axes[1].share(curve.y))


def _compare_marks(left: _Curve, right: _Curve, bound: float, equal_nan: bool) -> str:
    """How the points that are not on the line differ; "" where they do not."""
    rows = [list(_marks(side)) for side in (left, right)]
    if not equal_nan and any("nan" in row[0] for side in rows for row in side):
        return "NaN among its points, which never equals NaN here"
    if len(rows[0]) != len(rows[1]):
        counts = [f"{len(side)} points" if len(side) != 1 else "1 point" for side in rows]
        return f"{counts[0]} with an infinity or NaN, expected {counts[1]}"
    for mine, theirs in zip(*rows, strict=True):
        if mine[0] != theirs[0]:
            return f"a point ({', '.join(mine[0])}), expected ({', '.join(theirs[0])})"
        if abs(mine[1] - theirs[1]) > bound:
            return f"the point ({', '.join(mine[0])}) is at another place"
    return ""


def _marks(curve: _Curve) -> Iterator[tuple[tuple[str, str], float]]:
    """Each point off the line: what its coordinates are, and the finite one of them."""
    for place in np.flatnonzero(~curve.finite()):
        point = float(curve.x[place]), float(curve.y[place])
        kinds = tuple("finite" if np.isfinite(part) else str(part) for part in point)
        yield (kinds[0], kinds[1]), sum(part for part in point if np.isfinite(part))


def _text(point: tuple[float, float], axes: tuple[_Axis, _Axis]) -> str:
    parts = (axis.value(part) for axis, part in zip(axes, point, strict=True))
    return f"({', '.join(f'{part:.6g}' for part in parts)})"
