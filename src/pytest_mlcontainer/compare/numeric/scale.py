"""How much of a difference may be rounding: the scale of an element, from what stands around it.

The rounding error of a sum is proportional to the magnitudes that were summed, not to the result.
What was summed is not known, so the results beside an element have to vouch for it. The largest
value of the array is no such witness: a mask, a sentinel, a total or an id would excuse a drift of
50 % in everything beside it. Here an element's magnitude S is estimated so that it cannot:

1. **Only elements that differ vouch.** What is equal to the last bit summed nothing in another
   order: masks, padding, sentinels.
2. **Units are taken out.** log |expected| is laid out as a sum of one effect for each index of each
   axis (means, twice around); u is a magnitude and v an error after these effects. Columns, rows or
   channels in other units have scales of their own.
3. **An element vouches only for errors like its own.** j vouches for i when v_j ≤ 4 v_i (and
   likewise before units are taken out): if i had been summed with terms like j, i would have an
   error like j's.
4. **No element vouches for more than 32 times the median u.**
5. **Errors are compared with their neighbours'.** Noise does not depend on the result's size, so an
   error may be at most `spread` times the geometric mean of the errors of elements with about the
   same magnitude, where there are 16 or more.
6. **An element vouches for itself.**
7. **Zeros are zeros up to rounding.** Where elements of float64 are below a few eps of the smallest
   of all others, on both sides, and a quarter of those that differ has another sign there or is 0,
   they are what is left where everything cancelled: an eigenvalue of a matrix without full rank,
   what is beside the diagonal of QᵀQ. What keeps its sign may be data, a p-value or a probability,
   but at the end of a spectrum: three or more in order of size, the largest above 1.

An element passes when its error is at most max(rtol × |expected|, k × eps × S). The constants are
the outcome of `python -m benchmarks.noise`, which holds them against noise of real computations and
against drift hidden beside large values. The start was a median polish (Tukey, Exploratory Data
Analysis, 1977, chapter 11); means do as well here, at a tenth of the price, since only elements up
to the largest differing magnitude enter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_CAP = 32.0  # × the median magnitude
_REACH = 4.0  # × the error of the element that is vouched for
_SAMPLE = 1 << 14
_NEIGHBOURS = 64
_LEAST_COMPARED = 16
_SWEEPS = 2
_GOLDEN = (math.sqrt(5) - 1) / 2
_SHARES = np.sort(np.arange(_SAMPLE) * _GOLDEN % 1)
_SHIFT = 49  # leaves of a float64 its exponent and three bits
_FEW = 4096
_EPS = 16 * 2.0**-52  # of float64, for zeros
_LEAST_ZERO = 2.0**-62  # of the least beside them: what is smaller still did not come of rounding
_MOST_ZERO = 1e-9  # beside a mask of 1e9 more than this would be data


@dataclass(frozen=True)
class Noise:
    """How large rounding errors may be for one floating-point format.

    Args:
        multiple: k, how many machine epsilons of S an element may be off.
        eps: the machine epsilon; `tiny` the smallest normal number.
        spread: how much larger an error may be than its neighbours'.
    """

    multiple: float
    eps: float
    tiny: float
    spread: float

    @property
    def unit(self) -> float:
        """What S is multiplied by."""
        return self.multiple * self.eps


@dataclass(frozen=True)
class Tile:
    """A part of an array that is judged as one.

    Args:
        shape: its axes, in memory order.
        magnitude: |expected| of all its elements, flat.
        error: |actual - expected| of all its elements, flat; 0 or infinite for those that have no
            say.
    """

    shape: tuple[int, ...]
    magnitude: NDArray[Any]
    error: NDArray[Any]


class TileNoise:
    """The rounding noise that the elements of one tile let each other have."""

    def __init__(self, tile: Tile, noise: Noise) -> None:
        self._tile, self._noise = tile, noise
        with np.errstate(all="ignore"):
            self._witnesses = _draw(np.flatnonzero((tile.error > 0) & np.isfinite(tile.error)))
            self._units = _units(tile)
            self._plain, self._bare = self._vouching()

    @property
    def typical(self) -> float:
        """The median magnitude of the elements that differ."""
        with np.errstate(all="ignore"):
            return float(np.median(self._tile.magnitude[self._witnesses]))

    def allowed(self, suspects: Places, without_largest: bool = False) -> Floats:
        """For each suspect the error that may be noise.

        Args:
            suspects: places in the tile.
            without_largest: what it would be without the largest element that vouches.
        """
        tile, noise, plain, bare = self._tile, self._noise, self._plain, self._bare
        own = np.maximum(tile.magnitude[suspects].astype(np.float64), noise.tiny)
        if plain is None:
            return noise.unit * own
        with np.errstate(all="ignore"):
            off = tile.error[suspects].astype(np.float64)
            scale, around = plain.vouch(off, without_largest), plain.errors_near(own)
            if bare is not None and self._units is not None:
                here = self._units[suspects].astype(np.float64)
                most = np.minimum(bare.vouch(off / here, without_largest), bare.cap)
                scale = np.minimum(scale, here * most)
                around = np.maximum(around, here * bare.errors_near(own / here))
            else:
                scale = np.minimum(scale, plain.cap)
            found = noise.unit * np.maximum(scale, own)
            if len(self._witnesses) >= _LEAST_COMPARED:
                found = np.minimum(found, np.maximum(noise.spread * around, noise.unit * own))
        return np.asarray(found)

    def _vouching(self) -> tuple[_Witnesses | None, _Witnesses | None]:
        """The witnesses as they are, and with units taken out."""
        tile, witnesses = self._tile, self._witnesses
        if not len(witnesses):
            return None, None
        size, error = (part[witnesses].astype(np.float64) for part in (tile.magnitude, tile.error))
        np.maximum(size, self._noise.tiny, out=size)
        if self._units is None:
            return _Witnesses(size, error), None
        at = self._units[witnesses].astype(np.float64)
        return _Witnesses(size, error), _Witnesses(size / at, error / at)


def zeros(tile: Tile, actual: Floats, expected: Floats) -> NDArray[np.bool_]:
    """Which elements that differ are zero on both sides, up to the rounding of all others.

    Args:
        tile: of float64.
        actual, expected: the values of those elements.
    """
    size = np.maximum(np.abs(actual), np.abs(expected))
    largest = np.max(tile.magnitude, where=np.isfinite(tile.magnitude), initial=0)
    others = tile.magnitude[tile.magnitude > _EPS * largest]
    least = float(np.min(others, initial=np.inf)) if len(others) else 0.0
    found = np.asarray(size <= min(_EPS * least, _MOST_ZERO))
    crossing = (np.signbit(actual) != np.signbit(expected)) | (actual == 0) | (expected == 0)
    if 4 * np.count_nonzero(crossing & found) >= np.count_nonzero(found):
        return found
    return found & (_is_spectrum(tile.magnitude) & (size >= _LEAST_ZERO * least))


def _is_spectrum(magnitude: NDArray[Any]) -> bool:
    """Whether singular values or eigenvalues may have these sizes, and no probabilities."""
    if not 3 <= len(magnitude) <= _FEW or not max(magnitude[0], magnitude[-1]) > 1:
        return False
    ordered = magnitude if magnitude[0] < magnitude[-1] else magnitude[::-1]
    return bool((ordered[1:] >= ordered[:-1]).all())


def typical_noise(magnitude: Floats, noise: Noise) -> float:
    """The most that may be noise anywhere among finite magnitudes, where errors are not known."""
    there = magnitude[magnitude > 0]
    if not len(there):
        return noise.unit * noise.tiny
    with np.errstate(over="ignore"):  # the mean of the middle two may be beyond the largest float
        most = min(float(there.max()), _CAP * float(np.median(there)))
    return noise.unit * max(most, noise.tiny)


class _Witnesses:
    """Elements that differ, by their errors and by their magnitudes.

    They are looked up by the leading bits of a number, its exponent and three more: a look-up costs
    no more than an index, and a limit is right to one part in eight.
    """

    def __init__(self, size: Floats, error: Floats) -> None:
        self.cap = _CAP * float(np.median(size))
        by_error = np.argsort(error)
        self._errors, self._by_error = error[by_error], size[by_error]
        # Equal sizes stay in one order on all machines, as the sums below depend on it.
        by_size = np.argsort(size, kind="stable")
        self._sizes = size[by_size]
        logs = np.log(np.maximum(error[by_size], np.finfo(np.float64).tiny))
        self._sums = np.concatenate([[0.0], np.cumsum(logs)])

    def vouch(self, error: Floats, without_largest: bool) -> Floats:
        """The largest magnitude among elements with errors up to `_REACH` times as large."""
        ordered = self._by_error
        if without_largest:
            ordered = ordered.copy()
            ordered[int(np.argmax(ordered))] = 0
        largest = np.concatenate([[0.0], np.maximum.accumulate(ordered)])

        def limit(edges: Floats) -> Floats:
            last = np.searchsorted(self._errors, _REACH * edges, "right")
            return np.asarray(largest[last])

        return _by_bits(error, limit)

    def errors_near(self, size: Floats) -> Floats:
        """The geometric mean of the errors of elements with about this magnitude."""
        count = len(self._sizes)
        width = min(count, max(8, min(_NEIGHBOURS, count // 4)))

        def mean(edges: Floats) -> Floats:
            first = np.searchsorted(self._sizes, edges) - width // 2
            first = np.clip(first, 0, count - width)
            return np.asarray(np.exp((self._sums[first + width] - self._sums[first]) / width))

        return _by_bits(size, mean)


def _by_bits(values: Floats, function: Callable[[Floats], Floats]) -> Floats:
    """A function of positive numbers, taken for each group of the same leading bits."""
    bits = np.ascontiguousarray(values).view(np.int64) >> _SHIFT
    if len(values) <= _FEW:
        return function(values)
    low, high = int(bits.min()), int(bits.max())
    edges = (np.arange(low, high + 1, dtype=np.int64) << _SHIFT).view(np.float64)
    return np.asarray(function(edges)[bits - low])


def _draw(places: Places) -> Places:
    """At most `_SAMPLE` of the places, evenly spread, in step with no axis."""
    count = len(places)
    if count <= _SAMPLE:
        return places
    drawn = (_SHARES * count).astype(np.intp)
    return places[drawn[np.diff(drawn, prepend=-1) > 0]]


def _units(tile: Tile) -> NDArray[np.float32] | None:
    """The product of the effects of all axes for each element; None where there is one axis."""
    shape = tuple(length for length in tile.shape if length > 1)
    if len(shape) < 2:
        return None
    differs = (tile.error > 0) & np.isfinite(tile.error)
    top = np.max(tile.magnitude, where=differs, initial=0)
    counted = ((tile.magnitude > 0) & (tile.magnitude <= top)).reshape(shape)
    there = counted.astype(np.float32)
    # In its own dtype first, which holds what float32 does not.
    logs = np.log(tile.magnitude).astype(np.float32).reshape(shape)
    rest = np.where(counted, logs, np.float32(0))
    rest -= np.float32(rest.sum(dtype=np.float64) / max(1, int(np.count_nonzero(counted)))) * there
    total = np.zeros(shape, np.float32)
    axes = range(len(shape))
    counts = [_sum_of_others(there, axis) for axis in axes]
    for _ in range(_SWEEPS):
        for axis in axes:
            effect = _sum_of_others(rest, axis) / np.maximum(counts[axis], 1)
            rest -= effect * there
            total += effect
    return np.asarray(np.exp(total.reshape(-1)))


def _sum_of_others(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    others = tuple(other for other in range(values.ndim) if other != axis)
    return np.asarray(values.sum(axis=others, keepdims=True))
