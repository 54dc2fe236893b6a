"""Judges of two arrays: ours, the old rule of this project, NumPy's and PyTorch's defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.noise.hidden import Values, as_float64
from pytest_mlcontainer.compare.numeric.measure import array_of, measure
from pytest_mlcontainer.compare.numeric.tolerance import Precision, make_bound, precision_of
from pytest_mlcontainer.model import Tolerance

Judge = Callable[[Values, Values], bool]
"""Whether the arrays pass."""


def _precision(values: Values) -> Precision:
    found = precision_of(values.dtype.name)
    assert found is not None
    return found


def ours(factor: float = 1.0) -> Judge:
    """The default tolerance, with k × `factor`."""

    def judge(actual: Values, expected: Values) -> bool:
        precision = _precision(expected)
        precision = replace(precision, scale=precision.scale * factor)
        bound = make_bound(Tolerance(), precision)
        return not measure(array_of(actual), array_of(expected), bound, precision, True).beyond

    return judge


def largest_value(factor: float = 1.0) -> Judge:
    """What the default was: k × eps of the largest value of the array."""

    def judge(actual: Values, expected: Values) -> bool:
        precision = _precision(expected)
        k = factor * (2 if precision.name in ("float16", "bfloat16") else 16)
        error, size = _errors(actual, expected)
        largest = size[np.isfinite(size)].max(initial=precision.tiny)
        return bool((error <= np.maximum(precision.rtol * size, k * precision.eps * largest)).all())

    return judge


def elementwise(rtol: float | None, atol: Callable[[Precision], float]) -> Judge:
    """|error| ≤ atol + rtol × |expected|; rtol None for PyTorch's, by dtype."""

    def judge(actual: Values, expected: Values) -> bool:
        precision = _precision(expected)
        error, size = _errors(actual, expected)
        relative = precision.rtol if rtol is None else rtol
        return bool((error <= atol(precision) + relative * size).all())

    return judge


def numpy(factor: float = 1.0) -> Judge:
    """`numpy.allclose`."""
    return elementwise(1e-5 * factor, lambda _precision: 1e-8 * factor)


def torch(factor: float = 1.0) -> Judge:
    """`torch.testing.assert_close`."""

    def atol(precision: Precision) -> float:
        return factor * (1e-7 if precision.name == "float64" else 1e-5)

    return elementwise(None, atol)


def _errors(actual: Values, expected: Values) -> tuple[Values, Values]:
    left, right = as_float64(actual), as_float64(expected)
    with np.errstate(all="ignore"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        return np.where(same, 0.0, np.abs(left - right)), np.where(
            np.isfinite(right), np.abs(right), 0.0
        )
