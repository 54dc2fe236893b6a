"""How errors are spread: counted in narrow bins while they pass by, so that size costs no memory.

A bin is as wide as 1/16 of a power of two, which its bits say without a logarithm: the exponent
and the first four bits of the mantissa. A quantile is therefore right to about 3%; as long as few
errors have come by they are all kept, and it is exact. After the first million, only every 32nd
error is counted, 32 times, because counting costs more than all the rest.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.numeric.gaps import Floats

SHARES = (0.5, 0.9, 0.99)
_MANTISSA_BITS = 4
_BINS = 2048 << _MANTISSA_BITS
_FLOAT32_BINS = 256 << _MANTISSA_BITS
# Where a float32's bins lie among those of float64: the exponents' biases are 1023 and 127.
_FLOAT32_FIRST = (1023 - 127) << _MANTISSA_BITS
_KEPT = 4096
_ALL_COUNTED = 1 << 20
_SAMPLED = 32


class ErrorDistribution:
    """The distribution of finite errors above 0, as counts in bins."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._kept: list[Floats] | None = []
        self._total = 0

    def add(self, errors: Floats) -> None:
        """Take errors in as they are."""
        errors = errors[np.isfinite(errors) & (errors > 0)]
        self._keep(errors, len(errors))
        bits = np.ascontiguousarray(errors).view(np.int64) >> (52 - _MANTISSA_BITS)
        self._counts += np.bincount(bits, minlength=_BINS)

    def add_block(self, errors: NDArray[Any], differing: int) -> None:
        """A whole block of finite float32 or float64 errors; `differing` of them are not zero."""
        self._keep(errors, differing)
        narrow = errors.dtype == np.float32
        shift = (23 if narrow else 52) - _MANTISSA_BITS
        every = _SAMPLED if self._total > _ALL_COUNTED else 1
        bits = np.right_shift(errors.view(f"i{errors.dtype.itemsize}")[::every], shift)
        counts = np.bincount(bits.astype(np.intp), minlength=_FLOAT32_BINS if narrow else _BINS)
        counts *= every
        # The first bin is that of zero, and of numbers so small that it makes no difference.
        counts[0] = max(0, counts[0] - (len(errors) - differing)) if every == 1 else 0
        first = _FLOAT32_FIRST if narrow else 0
        self._counts[first : first + len(counts)] += counts

    def _keep(self, errors: NDArray[Any], differing: int) -> None:
        self._total += differing
        if self._total > _KEPT:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(errors[errors > 0].astype(np.float64))

    def quantiles(self) -> tuple[tuple[float, float], ...]:
        """(share, error) pairs; empty for fewer errors than would make quantiles of them."""
        if self._total < 4:
            return ()
        total = self._total if self._kept is not None else int(self._counts.sum())
        ranks = [math.ceil(share * total) for share in SHARES]
        if self._kept is not None:
            errors = np.sort(np.concatenate(self._kept))
            found = [float(errors[rank - 1]) for rank in ranks]
        else:
            found = [_middle(int(bin)) for bin in np.searchsorted(np.cumsum(self._counts), ranks)]
        return tuple(zip(SHARES, found, strict=True))

    def histogram(self, largest: float = math.inf) -> tuple[tuple[float, float, int], ...]:
        """(low, high, count) for each power of ten that holds errors, and those between.

        Args:
            largest: of the errors; a bin around a power of ten may hold none that is above it.
        """
        if self._total < 4:
            return ()
        bins = np.flatnonzero(self._counts)
        powers = np.floor(np.log10([_middle(int(bin)) for bin in bins])).astype(int)
        if 0 < largest < math.inf:
            powers = np.minimum(powers, math.floor(math.log10(largest)))
        decades = range(int(powers.min()), int(powers.max()) + 1)
        counts = {power: int(self._counts[bins[powers == power]].sum()) for power in decades}
        return tuple((_ten_to(power), _ten_to(power + 1), counts[power]) for power in decades)


def _ten_to(power: int) -> float:
    return 10.0**power if power <= sys.float_info.max_10_exp else math.inf


def _middle(bin: int) -> float:
    edges = np.array([bin, bin + 1], np.int64) << (52 - _MANTISSA_BITS)
    low, high = (float(edge) for edge in edges.view(np.float64))
    return low * 0.5 + high * 0.5 if math.isfinite(high) else low
