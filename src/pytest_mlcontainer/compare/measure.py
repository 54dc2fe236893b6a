"""Two arrays of one dtype and shape → numbers, read in blocks so that size costs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_mlcontainer.compare.dense import BLOCK_BYTES, Block, Workspace, top_places
from pytest_mlcontainer.compare.gaps import (
    Dtype,
    Floats,
    Gaps,
    Values,
    largest_magnitude,
    measure_gaps,
)
from pytest_mlcontainer.compare.spread import Spread
from pytest_mlcontainer.compare.tolerance import Bound, Precision

Order = Literal["C", "F"]

ELEMENTS_KEPT = 5
_TEXT_LIMIT = 200
_GLANCE = 4096
_MOST_ASIDE = 1 << 16


@dataclass(frozen=True)
class Array:
    """An array that is read in blocks, as often as asked.

    Args:
        blocks: given a number of elements, the values as flat blocks of that many, in `order`, of
            the dtype in this machine's byte order.
        order: "C" (last index fastest) or "F".
    """

    dtype: Dtype
    shape: tuple[int, ...]
    blocks: Callable[[int], Iterator[Values]]
    order: Order = "C"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    def values(self) -> Values:
        """All of it in memory."""
        parts = list(self.blocks(max(1, BLOCK_BYTES // max(1, self.dtype.itemsize))))
        flat = np.concatenate(parts) if parts else np.empty(self.size, self.dtype)
        return flat.reshape(self.shape, order=self.order)


def array_of(values: Values) -> Array:
    """An array that is in memory already."""
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    flat = np.ascontiguousarray(native).reshape(-1)

    def blocks(length: int) -> Iterator[Values]:
        for start in range(0, len(flat), length):
            yield flat[start : start + length]

    return Array(native.dtype, values.shape, blocks)


@dataclass(frozen=True)
class Worst:
    """An element among the worst; they are ordered by these fields.

    Args:
        score: the excess for elements beyond the bound, else the error.
        position: in block order.
    """

    beyond: bool
    score: float
    error: float
    position: int
    actual: str
    expected: str

    @property
    def rank(self) -> tuple[bool, float, float, int]:
        return self.beyond, self.score, self.error, -self.position


@dataclass(frozen=True)
class Measured:
    """What `model.Difference` says about two arrays, with places as positions in block order."""

    differing: int
    beyond: int
    max_abs: float
    max_rel: float
    max_ulp: int
    mismatched: int
    worst: tuple[Worst, ...]
    quantiles: tuple[tuple[float, float], ...]
    histogram: tuple[tuple[float, float, int], ...]


def find_scale(array: Array) -> float:
    """The largest finite magnitude."""
    length = max(1, BLOCK_BYTES // max(1, array.dtype.itemsize))
    return max((largest_magnitude(block) for block in array.blocks(length)), default=0.0)


def measure(
    actual: Array, expected: Array, bound: Bound, judged_as: Precision | None, equal_nan: bool
) -> Measured:
    """Compare all elements.

    Args:
        actual, expected: same dtype (text may differ in width), shape and order.
        judged_as: the format whose units in the last place count.
    """
    meter = _Meter(actual.dtype, bound, judged_as, equal_nan)
    width = max(1, actual.dtype.itemsize, expected.dtype.itemsize)
    length = max(1, BLOCK_BYTES // width)
    start = 0
    for left, right in zip(actual.blocks(length), expected.blocks(length), strict=True):
        meter.add(start, left, right)
        start += len(left)
    return meter.result()


def judge(
    actual: Array,
    expected: Array,
    bound_at: Callable[[float], Bound],
    judged_as: Precision | None,
    equal_nan: bool,
) -> tuple[Measured, Bound, float]:
    """The same with a bound that depends on the scale of `expected`, in one pass where possible.

    The largest magnitude seen so far is a lower limit of the scale, and a bound only grows with it.
    So what passes in the course of reading passes in the end; what does not is set aside and judged
    when the scale is known. Only where much is set aside are the arrays read again.

    Returns:
        What was measured, by which bound, and the scale.
    """
    width = max(1, actual.dtype.itemsize, expected.dtype.itemsize)
    length = max(1, BLOCK_BYTES // width)
    if expected.size > length:
        meter = _Meter(actual.dtype, bound_at(0.0), judged_as, equal_nan, sets_aside=True)
        scale, start = 0.0, 0
        for left, right in zip(actual.blocks(length), expected.blocks(length), strict=True):
            top = largest_magnitude(right)
            if top > scale:
                scale = top
                meter.bound = bound_at(scale)
            meter.add(start, left, right)
            start += len(left)
            if meter.has_much_aside:
                break
        else:
            return meter.result(), meter.bound, scale
    scale = find_scale(expected)
    bound = bound_at(scale)
    return measure(actual, expected, bound, judged_as, equal_nan), bound, scale


class _Meter:
    """Sums up the blocks, each in the way that suits it.

    Args:
        sets_aside: what is beyond the bound is only judged by `result`, with the bound of then.
    """

    def __init__(
        self,
        dtype: Dtype,
        bound: Bound,
        judged_as: Precision | None,
        equal_nan: bool,
        sets_aside: bool = False,
    ) -> None:
        self._dtype, self._judged_as, self._equal_nan = dtype, judged_as, equal_nan
        self._sets_aside = sets_aside
        self._aside: list[_Elements] = []
        self._aside_count = 0
        self._differing = self._beyond = self._mismatched = self._max_ulp = 0
        self._max_abs = self._max_rel = 0.0
        self._worst: list[Worst] = []
        self._spread = Spread()
        self.bound = bound

    @property
    def bound(self) -> Bound:
        return self._bound

    @bound.setter
    def bound(self, bound: Bound) -> None:
        self._bound = bound
        self._workspace = _workspace(self._dtype, bound, self._judged_as)

    @property
    def has_much_aside(self) -> bool:
        return self._aside_count > _MOST_ASIDE

    def add(self, start: int, left: Values, right: Values) -> None:
        """Two blocks that begin at the position `start`."""
        if self._equal_nan and _same_bytes(left, right):
            return
        if self._workspace is None:
            self._add_gaps(start, left, right)
            return
        block = self._workspace.measure(left, right)
        if block is None:
            self._add_gaps(start, left, right)
        else:
            self._add_block(start, block, left, right)

    def result(self) -> Measured:
        self._judge_aside()
        return Measured(
            differing=self._differing,
            beyond=self._beyond,
            max_abs=self._max_abs,
            max_rel=self._max_rel,
            max_ulp=self._max_ulp,
            mismatched=self._mismatched,
            worst=tuple(self._worst),
            quantiles=self._spread.quantiles(),
            histogram=self._spread.histogram(),
        )

    def _add_block(self, start: int, block: Block, left: Values, right: Values) -> None:
        """A block of which only the sums are known; the worst of it are looked at once more."""
        self._differing += block.differing
        self._max_rel = max(self._max_rel, block.max_rel)
        self._max_ulp = max(self._max_ulp, block.max_ulp)
        self._spread.add_block(block.errors, block.differing)
        beyond = block.top_excess > 1
        if self._sets_aside:
            if len(block.suspects):
                self._set_aside(start, block.suspects, left, right)
            beyond = False
        self._beyond += 0 if self._sets_aside else block.beyond
        if block.top_error > self._max_abs or self._may_be_worst(
            beyond, block.top_excess if beyond else block.top_error
        ):
            ranked = (block.excess, block.errors) if beyond else (block.errors,)
            places = np.unique(np.concatenate([top_places(each, ELEMENTS_KEPT) for each in ranked]))
            gaps = self._gaps(left[places], right[places])
            self._max_abs = max(self._max_abs, float(gaps.error.max(initial=0)))
            self._rank(_Elements(start + places, left[places], right[places]), gaps)

    def _add_gaps(self, start: int, left: Values, right: Values) -> None:
        """A block whose elements are picked one by one."""
        gaps = self._gaps(left, right)
        if not len(gaps.index):
            return
        self._differing += len(gaps.index)
        self._mismatched += int(np.count_nonzero(np.isinf(gaps.error)))
        self._max_abs = max(self._max_abs, float(gaps.error.max()))
        self._max_rel = max(self._max_rel, _largest_relative(gaps))
        self._max_ulp = max(self._max_ulp, int(gaps.ulp.max()))
        self._spread.add(gaps.error)
        suspects = np.flatnonzero(_excess(gaps, self._bound) > 1)
        if self._sets_aside:
            self._set_aside(start, gaps.index[suspects], left, right)
        else:
            self._beyond += len(suspects)
        self._rank(_Elements(np.arange(start, start + len(left)), left, right), gaps)

    def _gaps(self, left: Values, right: Values) -> Gaps:
        return measure_gaps(
            left,
            right,
            judged_as=self._judged_as,
            signed_zero=self._bound.exact,
            equal_nan=self._equal_nan,
        )

    def _set_aside(self, start: int, places: Values, left: Values, right: Values) -> None:
        self._aside_count += len(places)
        if not self.has_much_aside:
            self._aside.append(_Elements(start + places, left[places], right[places]))

    def _judge_aside(self) -> None:
        self._sets_aside = False
        for elements in self._aside:
            gaps = self._gaps(elements.actual, elements.expected)
            self._beyond += int(np.count_nonzero(_excess(gaps, self._bound) > 1))
            self._rank(elements, gaps)
        self._aside = []

    def _rank(self, elements: _Elements, gaps: Gaps) -> None:
        """Keep the worst few of those there are and these; `gaps` are between the elements."""
        excess = _excess(gaps, self._bound)
        if self._sets_aside:
            excess = np.zeros_like(excess)
        if not len(excess):
            return
        beyond = bool((excess > 1).any())
        score = np.where(excess > 1, excess, -1.0) if beyond else gaps.error
        if not self._may_be_worst(beyond, float(score.max())):
            return
        found = {worst.position: worst for worst in self._worst}
        for place in _first_places(score, gaps.error):
            off = float(excess[place]) > 1
            worst = elements.worst(
                int(gaps.index[place]),
                off,
                float(excess[place] if off else gaps.error[place]),
                float(gaps.error[place]),
            )
            found[worst.position] = worst
        ranked = sorted(found.values(), key=lambda worst: worst.rank, reverse=True)
        self._worst = ranked[:ELEMENTS_KEPT]

    def _may_be_worst(self, beyond: bool, score: float) -> bool:
        """Whether an element with this score may be among the worst few."""
        if len(self._worst) < ELEMENTS_KEPT:
            return True
        last = self._worst[-1]
        return (beyond, score) > (last.beyond, last.score)


@dataclass(frozen=True)
class _Elements:
    """Values of both sides, and where they stand in block order."""

    positions: Values
    actual: Values
    expected: Values

    def worst(self, index: int, beyond: bool, score: float, error: float) -> Worst:
        return Worst(
            beyond,
            score,
            error,
            int(self.positions[index]),
            _text(self.actual[index]),
            _text(self.expected[index]),
        )


def _first_places(score: Floats, error: Floats) -> list[int]:
    """Places of the highest few scores; between equals the larger error, then the first."""
    if len(score) > 4 * ELEMENTS_KEPT:
        least = np.partition(score, len(score) - ELEMENTS_KEPT)[-ELEMENTS_KEPT]
        places = np.flatnonzero(score >= least)
    else:
        places = np.arange(len(score))
    order = np.lexsort((places, -error[places], -score[places]))[:ELEMENTS_KEPT]
    return [int(place) for place in places[order]]


def _workspace(dtype: Dtype, bound: Bound, judged_as: Precision | None) -> Workspace | None:
    """For float32 and float64 that are judged as what they are, by a bound that allows it."""
    if dtype.name not in ("float32", "float64") or judged_as is None:
        return None
    if judged_as.name != dtype.name:
        return None
    workspace = Workspace(dtype, bound)
    return workspace if workspace.fits() else None


def _same_bytes(left: Values, right: Values) -> bool:
    """Whether both blocks are the same bit by bit; most that are not show it in their beginning."""
    if left.dtype != right.dtype or left.dtype.hasobject or not left.dtype.itemsize:
        return False
    mine, theirs = left.view(np.uint8), right.view(np.uint8)
    return all(
        np.array_equal(mine[part], theirs[part]) for part in (slice(_GLANCE), slice(_GLANCE, None))
    )


def _excess(gaps: Gaps, bound: Bound) -> Floats:
    """Error ÷ what is allowed: above 1 is beyond the bound."""
    if bound.exact:
        return np.full(len(gaps.error), np.inf)
    with np.errstate(all="ignore"):
        if bound.ulp is not None:
            error = gaps.ulp.astype(np.float64)
            allowed = np.full(len(error), float(bound.ulp))
        else:
            error = gaps.error
            allowed = bound.atol + np.maximum(bound.rtol * gaps.magnitude, bound.floor)
        # A quotient would round: the decision is made without one.
        quotient = np.where(allowed > 0, error / allowed, np.inf)
        passes = (error <= allowed) & np.isfinite(gaps.error)
    excess: Floats = np.where(
        passes,
        np.minimum(quotient, 1.0, where=error > 0, out=np.zeros(len(error))),
        np.maximum(quotient, np.nextafter(1.0, 2.0)),
    )
    excess[np.isinf(gaps.error)] = np.inf
    return excess


def _largest_relative(gaps: Gaps) -> float:
    there = gaps.magnitude > 0
    with np.errstate(all="ignore"):
        relative = np.where(np.isinf(gaps.error), np.inf, gaps.error / gaps.magnitude)
    return float(np.max(relative, initial=0.0, where=there))


def _text(value: object) -> str:
    """The value with all its digits: the shortest text that reads back as the same."""
    if isinstance(value, np.void):
        text = "0x" + value.tobytes().hex()
    elif isinstance(value, bytes):
        text = repr(bytes(value))
    else:
        text = str(value)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
