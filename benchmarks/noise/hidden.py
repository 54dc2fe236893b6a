"""Real drift beside what could hide it: pairs of arrays, each of which a judge should refuse.

In each case something large stands in the array: a mask, a sentinel, a total, another unit. One
element (or all elements of one unit) drifts by 1e-3 to 50 % of itself, in half precision by a
multiple of its rounding. The rest is equal, or noisy by a few last places, or by what sums differ.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

HALVES = ("float16", "bfloat16")
DTYPES = ("float16", "bfloat16", "float32", "float64")
SHAPES = ((12,), (1000,), (64, 64), (8, 16, 32))


@dataclass(frozen=True)
class Hidden:
    """One case.

    Args:
        kind: what hides the drift; `name` says all about it.
        drifted: the smallest relative error of what drifted, to be told from noise.
    """

    kind: str
    name: str
    actual: Values
    expected: Values
    drifted: float


class _Writer:
    """Makes the cases of one dtype, size of drift and noise."""

    def __init__(self, dtype: str, drift: float, noise: str) -> None:
        self.dtype = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
        self.name, self.drift, self.noise = dtype, drift, noise
        self.limits = ml_dtypes.finfo(self.dtype)
        self.wide = dtype != "float16"  # holds more than 65504

    def rng(self, *words: object) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(repr((self.name, *words)).encode()))

    def round(self, values: Values) -> Values:
        with np.errstate(over="ignore"):
            return values.astype(self.dtype).astype(np.float64)

    def noisy(self, values: Values, rng: np.random.Generator) -> Values:
        eps, half = float(self.limits.eps), self.name in HALVES
        if self.noise == "places":
            places = rng.integers(-1 if half else -3, 2 if half else 4, values.shape)
            return np.asarray(values * (1 + eps * places))
        if self.noise == "sums":
            size = eps * (0.5 if half else 2) * np.median(np.abs(values))
            return np.asarray(values + size * rng.standard_normal(values.shape))
        return np.array(values)

    def drifting(
        self, actual: Values, expected: Values, where: Values, rng: np.random.Generator, every: bool
    ) -> Values:
        """One of the larger elements of `where` off, or all of these."""
        found, wanted = actual.reshape(-1).copy(), expected.reshape(-1)
        places = np.flatnonzero(where.reshape(-1))
        size = np.abs(wanted[places])
        places = places[size >= np.median(size) / 2]
        picked = places if every else rng.choice(places, 1)
        found[picked] = wanted[picked] * (1 + self.drift)
        return np.reshape(found, expected.shape)

    def case(self, kind: str, detail: str, actual: Values, expected: Values) -> Hidden:
        name = f"{kind} {detail}, {self.noise}, {self.drift:g}, {self.name}"
        with np.errstate(over="ignore"):
            sides = actual.astype(self.dtype), expected.astype(self.dtype)
        return Hidden(kind, name, *sides, drifted=self.drift / 2)


def cases() -> Iterator[Hidden]:
    """All of them, the same ones every time."""
    for dtype in DTYPES:
        drifts = {"float16": (0.05, 0.5), "bfloat16": (0.5,)}.get(dtype, (1e-3, 1e-2, 0.5))
        for drift in drifts:
            for noise in ("none", "places", "sums"):
                writer = _Writer(dtype, drift, noise)
                makers = [_masks, _sentinels, _padding]
                if noise != "sums":
                    makers += [_units, _channels, _totals, _clusters, _massive, _one_hot, _extremes]
                if dtype in ("float32", "float64") and noise != "sums":
                    makers += [_counts, _lists]
                for maker in makers:
                    yield from maker(writer)


def _masks(w: _Writer) -> Iterator[Hidden]:
    fills = (-1e9 if w.wide else -1e4, float(w.limits.min), -np.inf)
    for shape in SHAPES:
        for fill in fills:
            for share in (0.01, 0.1, 0.6):
                rng = w.rng("mask", shape, fill, share)
                expected = w.round(rng.standard_normal(shape))
                mask = rng.random(shape) < share
                mask.reshape(-1)[0] = True
                actual = w.drifting(w.noisy(expected, rng), expected, ~mask, rng, False)
                sides = (np.where(mask, fill, side) for side in (actual, expected))
                yield w.case("mask", f"{share:.0%} {fill:g} {shape}", *sides)


def _sentinels(w: _Writer) -> Iterator[Hidden]:
    for shape in SHAPES:
        for value in (-9999.0, 1e20 if w.wide else 6e4):
            rng = w.rng("sentinel", shape, value)
            expected = w.round(np.exp(rng.standard_normal(shape) / 2))
            free = np.arange(expected.size).reshape(shape) > 0
            actual = w.drifting(w.noisy(expected, rng), expected, free, rng, False)
            sides = (np.where(free, side, value) for side in (actual, expected))
            yield w.case("sentinel", f"{value:g} {shape}", *sides)


def _padding(w: _Writer) -> Iterator[Hidden]:
    for shape in SHAPES:
        rng = w.rng("padding", shape)
        expected = w.round(rng.uniform(0.1, 1, shape))
        expected.reshape(-1)[expected.size // 3 :] = 0
        actual = w.drifting(w.noisy(expected, rng), expected, expected > 0, rng, False)
        yield w.case("padding", f"{shape}", actual, expected)


def _units(w: _Writer) -> Iterator[Hidden]:
    """Columns (or rows) as tables have them: a rate, an income, a probability, pixels, an id."""
    factors = np.array([1, 1e5, 1e-4, 640, 1e9, 1e-2] if w.wide else [1, 1e3, 1e-2, 64, 1e4, 0.1])
    for rows in (5, 200):
        for column in (0, 2, 3, 5):
            for every in (False, True):
                rng = w.rng("units", rows, column, every)
                expected = w.round(rng.uniform(0.1, 1, (rows, 6)) * factors)
                where = np.zeros(expected.shape, bool)
                where[:, column] = True
                actual = w.drifting(w.noisy(expected, rng), expected, where, rng, every)
                what = f"{rows} rows, {'all of' if every else 'one in'} column {column}"
                yield w.case("units", what, actual, expected)
                yield w.case("units", f"{what}, transposed", actual.T.copy(), expected.T.copy())


def _channels(w: _Writer) -> Iterator[Hidden]:
    factors = np.array([1, 1e5, 1e-4, 640, 1e8, 1e-2] if w.wide else [1, 1e3, 1e-2, 64, 2e3, 0.1])
    for every in (False, True):
        rng = w.rng("channels", every)
        expected = w.round(rng.uniform(0.1, 1, (3, 6, 8, 8)) * factors[:, None, None])
        where = np.zeros(expected.shape, bool)
        where[:, 0] = True
        actual = w.drifting(w.noisy(expected, rng), expected, where, rng, every)
        yield w.case("channels", "all of one" if every else "one value", actual, expected)


def _totals(w: _Writer) -> Iterator[Hidden]:
    for count in (3, 6, 12, 50, 1000):
        for total in (1e4, 1e6) if w.wide else (1e3, 2e4):
            for every in (False, True):
                rng = w.rng("total", count, total, every)
                expected = rng.uniform(0.1, 1, count)
                expected[-1] *= total
                expected = w.round(expected)
                shares = np.arange(count) < count - 1
                actual = w.drifting(w.noisy(expected, rng), expected, shares, rng, every)
                what = f"{total:g} beside {count - 1} shares, {'all' if every else 'one'}"
                yield w.case("total", what, actual, expected)


def _clusters(w: _Writer) -> Iterator[Hidden]:
    """Large values at random places among small ones."""
    for count in (200, 20_000):
        for large in (1e3, 1e6) if w.wide else (1e3, 2e4):
            for share in (0.1, 0.5, 0.8):
                for every in (False, True):
                    rng = w.rng("clusters", count, large, share, every)
                    expected = rng.uniform(0.1, 1, count)
                    among = rng.random(count) < share
                    expected[among] *= large
                    expected = w.round(expected)
                    actual = w.drifting(w.noisy(expected, rng), expected, ~among, rng, every)
                    # All small values off, by about the noise of the large ones, cannot be told
                    # from noise by anyone who sees the two arrays alone: counted by themselves.
                    kind = "clusters, all small ones" if every else "clusters"
                    yield w.case(kind, f"{share:.0%} of {count} × {large:g}", actual, expected)


def _massive(w: _Writer) -> Iterator[Hidden]:
    """Embeddings of which two dimensions are larger by far, as those of language models are."""
    rng = w.rng("massive")
    expected = rng.standard_normal((32, 256))
    where = np.ones(expected.shape, bool)
    for dimension, factor in ((7, 300), (100, 100)):
        expected[:, dimension] *= factor
        where[:, dimension] = False
    expected = w.round(expected)
    actual = w.drifting(w.noisy(expected, rng), expected, where, rng, False)
    yield w.case("massive activations", "", actual, expected)


def _one_hot(w: _Writer) -> Iterator[Hidden]:
    rng = w.rng("one-hot")
    chosen = np.eye(10)[rng.integers(0, 10, 50)]
    expected = w.round(np.concatenate([chosen, rng.dirichlet(np.ones(10), 50) + 1e-3], axis=1))
    where = np.zeros(expected.shape, bool)
    where[:, 10:] = True
    noisy = np.where(where, w.noisy(expected, rng), expected)
    yield w.case("one-hot", "", w.drifting(noisy, expected, where, rng, False), expected)


def _counts(w: _Writer) -> Iterator[Hidden]:
    rng = w.rng("counts")
    expected = np.round(10 ** rng.uniform(0, 7, 300))
    actual = expected.copy()
    actual[np.flatnonzero(expected < 50)[0]] += 1
    yield w.case("counts", "one more", actual, expected)


def _extremes(w: _Writer) -> Iterator[Hidden]:
    for what, size in (
        ("largest", float(w.limits.max) / 4),
        ("smallest", float(w.limits.tiny) * 64),
    ):
        rng = w.rng(what)
        expected = w.round(rng.uniform(0.1, 1, 200) * size)
        actual = w.drifting(w.noisy(expected, rng), expected, np.ones(200, bool), rng, False)
        yield w.case("extremes", what, actual, expected)


def _lists(w: _Writer) -> Iterator[Hidden]:
    """What a history or a configuration holds: a time in ms, a rate, a loss, steps."""
    for count in (4, 8):
        expected = np.array([1.7e12, 1e-3, 0.6931, 10000.0, 0.91, 64.0, 3.2e5, 0.002][:count])
        actual = expected.copy()
        actual[0] += 0 if w.noise == "none" else 5321
        actual[2] *= 1 + w.drift
        yield w.case("list", f"of {count}", actual, expected)


def as_float64(values: Values) -> Values:
    """For other judges: bfloat16 has no ufuncs of its own everywhere."""
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
