"""Tiles of two arrays → numbers, one tile after another. What each tile adds is final.

A tile is judged as it passes by: by the bound that each element has for itself, and what is beyond
that by what stands around it in the tile (`scale`). So no array is read twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.dense import Block, Workspace, top_places
from pytest_mlcontainer.compare.numeric.gaps import (
    Dtype,
    Floats,
    Gaps,
    Values,
    largest_magnitude,
    magnitudes,
    measure_gaps,
)
from pytest_mlcontainer.compare.numeric.sample import DifferingSample
from pytest_mlcontainer.compare.numeric.scale import Tile, TileNoise, zeros
from pytest_mlcontainer.compare.numeric.shown import value_texts
from pytest_mlcontainer.compare.numeric.spread import ErrorDistribution
from pytest_mlcontainer.compare.numeric.tolerance import FLOAT64, Bound, Precision

ELEMENTS_KEPT = 20
_GLANCE = 4096
_FEW = 1024


@dataclass(frozen=True)
class Worst:
    """An element among the worst; they are ordered by these fields.

    Args:
        score: the excess for elements beyond the bound, else the error.
        position: in block order.
        excess: error ÷ what is allowed there; infinite where nothing is.
    """

    beyond: bool
    score: float
    error: float
    position: int
    actual: str
    expected: str
    excess: float

    @property
    def rank(self) -> tuple[bool, float, float, int]:
        return self.beyond, self.score, self.error, -self.position


@dataclass(frozen=True)
class Measured:
    """The numbers of a `model.Difference`, with places as positions in block order.

    Args:
        largest: the largest finite |expected|.
        typical: where something is beyond the default: the median |expected| of what differs, in
            the tile where that is smallest; 0 elsewhere.
        beside_one: elements that pass as rounding noise beside a single larger element, and would
            not without it.
        sample: elements that differ, for what is drawn of them.
    """

    differing: int
    beyond: int
    max_abs: float
    max_rel: float
    max_ulp: int
    mismatched: int
    worst: tuple[Worst, ...]
    quantiles: tuple[tuple[float, float], ...]
    histogram: tuple[tuple[float, float, int], ...]
    largest: float = 0.0
    typical: float = 0.0
    beside_one: int = 0
    sample: DifferingSample | None = field(default=None, compare=False)


class Meter:
    """Sums up tiles, each in the way that suits it."""

    def __init__(
        self, dtype: Dtype, bound: Bound, judged_as: Precision | None, equal_nan: bool
    ) -> None:
        self._bound, self._judged_as, self._equal_nan = bound, judged_as, equal_nan
        self._workspace = _workspace(dtype, bound, judged_as)
        self._differing = self._beyond = self._mismatched = self._max_ulp = self._beside_one = 0
        self._max_abs = self._max_rel = self._largest = 0.0
        self._typical = math.inf
        self._worst: list[Worst] = []
        self._spread = ErrorDistribution()
        self._sample = DifferingSample()

    def add(self, start: int, shape: tuple[int, ...], left: Values, right: Values) -> None:
        """Two tiles that begin at the position `start`.

        Args:
            shape: axes of the tile, in memory order.
            left, right: flat.
        """
        if self._equal_nan and _same_bytes(left, right):
            self._largest = max(self._largest, largest_magnitude(right))
            return
        self._sample.see_tile(start, left, right)
        block = None if self._workspace is None else self._workspace.measure(left, right)
        if block is None:
            self._largest = max(self._largest, largest_magnitude(right))
            self._add_gaps(start, shape, left, right)
        else:
            self._largest = max(self._largest, block.largest)
            self._add_block(start, shape, block, left, right)

    def result(self) -> Measured:
        return Measured(
            differing=self._differing,
            beyond=self._beyond,
            max_abs=self._max_abs,
            max_rel=self._max_rel,
            max_ulp=self._max_ulp,
            mismatched=self._mismatched,
            worst=tuple(self._worst),
            # A bin's middle may lie above all that is in it.
            quantiles=tuple(
                (share, min(error, self._max_abs)) for share, error in self._spread.quantiles()
            ),
            histogram=self._spread.histogram(self._max_abs),
            largest=self._largest,
            typical=self._typical if self._beyond and math.isfinite(self._typical) else 0.0,
            beside_one=self._beside_one,
            sample=self._sample,
        )

    def _add_block(
        self, start: int, shape: tuple[int, ...], block: Block, left: Values, right: Values
    ) -> None:
        """A tile of which only the sums are known; the worst of it are looked at once more."""
        self._differing += block.differing
        self._max_rel = max(self._max_rel, block.max_rel)
        self._max_ulp = max(self._max_ulp, block.max_ulp)
        self._spread.add_block(block.errors, block.differing)
        self._sample.add_dense(start, block.errors, left, right)
        if len(block.suspects):
            self._judge(start, shape, block, left, right)
        if block.top_error > self._max_abs or self._may_be_worst(False, block.top_error):
            places = self._top_places(block)
            gaps = self._gaps(left[places], right[places])
            self._max_abs = max(self._max_abs, float(gaps.error.max(initial=0)))
            elements = _Elements(start + places, left[places], right[places])
            # None is beyond here: those that may be were judged above, and are known by that.
            self._rank(elements, gaps, np.minimum(_excess(gaps, self._bound), 1.0))

    def _top_places(self, block: Block) -> NDArray[np.intp]:
        """Places of the elements that may be among the worst; of the largest in any case."""
        least = block.top_error
        if not self._may_be_worst(False, least):
            return np.flatnonzero(block.errors >= least)[:ELEMENTS_KEPT]
        if len(self._worst) == ELEMENTS_KEPT and not self._worst[-1].beyond:
            found = np.flatnonzero(block.errors >= self._worst[-1].score)
            if len(found) <= _FEW:
                return found[top_places(block.errors[found], ELEMENTS_KEPT)]
        return top_places(block.errors, ELEMENTS_KEPT)

    def _add_gaps(self, start: int, shape: tuple[int, ...], left: Values, right: Values) -> None:
        """A tile whose elements are picked one by one."""
        gaps = self._gaps(left, right)
        if not len(gaps.index):
            return
        self._differing += len(gaps.index)
        self._mismatched += int(np.count_nonzero(np.isinf(gaps.error)))
        self._max_abs = max(self._max_abs, float(gaps.error.max()))
        self._max_rel = max(self._max_rel, _largest_relative(gaps))
        self._max_ulp = max(self._max_ulp, int(gaps.ulp.max()))
        self._spread.add(gaps.error)
        self._sample.add(start, gaps.index, gaps.error, left, right)
        excess = self._excess(gaps, shape, left, right)
        self._beyond += int(np.count_nonzero(excess > 1))
        self._rank(_Elements(np.arange(start, start + len(left)), left, right), gaps, excess)

    def _judge(
        self, start: int, shape: tuple[int, ...], block: Block, left: Values, right: Values
    ) -> None:
        """Elements of a dense tile that are beyond their own bound, or nearly."""
        places = block.suspects
        gaps = self._gaps(left[places], right[places])
        excess = _excess(gaps, self._bound)
        tile = Tile(shape, magnitudes(right), block.errors)
        self._excuse(tile, places, gaps, excess)
        self._excuse_zeros(tile, places, left, right, excess)
        self._beyond += int(np.count_nonzero(excess > 1))
        self._rank(_Elements(start + places, left[places], right[places]), gaps, excess)

    def _excess(self, gaps: Gaps, shape: tuple[int, ...], left: Values, right: Values) -> Floats:
        """Error ÷ what is allowed, with what may be rounding noise in this tile."""
        excess = _excess(gaps, self._bound)
        if self._bound.noise is not None and (excess > 1).any():
            error = np.zeros(len(right))
            error[gaps.index] = gaps.error
            tile = Tile(shape, magnitudes(right), error)
            self._excuse(tile, gaps.index, gaps, excess)
            self._excuse_zeros(tile, gaps.index, left, right, excess)
        return excess

    def _excuse(self, tile: Tile, places: Values, gaps: Gaps, excess: Floats) -> None:
        """Lower the excess of what may be rounding noise; `places` are those of the gaps."""
        noise = self._bound.noise
        suspects = np.flatnonzero((excess > 1) & np.isfinite(gaps.error))
        if noise is None or not len(suspects):
            return
        error = gaps.error[suspects] - self._bound.atol
        surrounding = TileNoise(tile, noise)
        self._typical = min(self._typical, surrounding.typical)
        allowed = surrounding.allowed(places[suspects])
        with np.errstate(all="ignore"):
            better = np.minimum(excess[suspects], _quotient(error, allowed))
        excess[suspects] = better
        excused = np.flatnonzero(better <= 1)
        if len(excused):
            alone = surrounding.allowed(places[suspects[excused]], without_largest=True)
            self._beside_one += int(np.count_nonzero(error[excused] > alone))

    def _excuse_zeros(
        self, tile: Tile, places: Values, left: Values, right: Values, excess: Floats
    ) -> None:
        """The same of what is zero up to the rounding of all else."""
        noise, suspects = self._bound.noise, np.flatnonzero(excess > 1)
        if noise is None or self._judged_as is not FLOAT64 or not len(suspects):
            return
        if left.dtype.kind != "f":
            return
        at = places[suspects]
        found = zeros(tile, *(side[at].astype(np.float64) for side in (left, right)))
        excess[suspects[found]] = 1.0

    def _gaps(self, left: Values, right: Values) -> Gaps:
        return measure_gaps(
            left,
            right,
            judged_as=self._judged_as,
            signed_zero=self._bound.exact,
            equal_nan=self._equal_nan,
        )

    def _rank(self, elements: _Elements, gaps: Gaps, excess: Floats) -> None:
        """Keep the worst few of those there are and these; `gaps` are between the elements."""
        if not len(excess):
            return
        beyond = bool((excess > 1).any())
        score = np.where(excess > 1, excess, -1.0) if beyond else gaps.error
        if not self._may_be_worst(beyond, float(score.max())):
            return
        found = []
        for place in _first_places(score, gaps.error):
            off = float(excess[place]) > 1
            error = float(gaps.error[place])
            ranked_by = float(excess[place]) if off else error
            rank = off, ranked_by, error
            found.append(elements.worst(int(gaps.index[place]), rank, float(excess[place])))
        self._keep_worst(found)

    def _keep_worst(self, more: list[Worst]) -> None:
        found: dict[int, Worst] = {}
        for worst in (*self._worst, *more):
            known = found.get(worst.position)
            if known is None or worst.rank > known.rank:
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

    def worst(self, index: int, rank: tuple[bool, float, float], excess: float) -> Worst:
        """The element at a place; the first three of a `Worst` are its rank."""
        return Worst(
            *rank,
            int(self.positions[index]),
            *value_texts(self.actual[index], self.expected[index]),
            excess,
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
    same_beginning = mine[:_GLANCE].tobytes() == theirs[:_GLANCE].tobytes()
    return same_beginning and np.array_equal(mine, theirs)


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
            flushed = (gaps.magnitude == 0) | (error == gaps.magnitude)
            allowed[flushed & (error < bound.flushed_below())] = np.inf
        excess = _quotient(error, allowed)
    excess[np.isinf(gaps.error)] = np.inf
    return excess


def _quotient(error: Floats, allowed: Floats) -> Floats:
    """Error ÷ allowed, above 1 for just those errors that are larger than what is allowed."""
    # A quotient rounds: the decision is made without one.
    quotient = np.where(allowed > 0, error / allowed, np.inf)
    passes = error <= allowed
    return np.asarray(
        np.where(
            passes,
            np.minimum(quotient, 1.0, where=error > 0, out=np.zeros(len(error))),
            np.maximum(quotient, np.nextafter(1.0, 2.0)),
        )
    )


def _largest_relative(gaps: Gaps) -> float:
    there = gaps.magnitude > 0
    with np.errstate(all="ignore"):
        relative = np.where(np.isinf(gaps.error), np.inf, gaps.error / gaps.magnitude)
    return float(np.max(relative, initial=0.0, where=there))
