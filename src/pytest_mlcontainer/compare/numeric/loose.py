"""Two arrays that a rule lets differ in dtype or shape → two that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import NUMBER_KINDS, Dtype, DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.tolerance import Precision, precision_of
from pytest_mlcontainer.model import MetricDirection, Tolerance
from pytest_mlcontainer.wording import truncate

LIMIT_BYTES = 1 << 29


class UnmatchableError(Exception):
    """The best pairs cannot be found; `str()` says why and what to do."""


@dataclass(frozen=True)
class RelaxedArrays:
    """Both arrays without the differences that the rule allows.

    Args:
        judged_as: the coarser precision of two.
        note: what differed.
    """

    actual: Array
    expected: Array
    judged_as: Precision | None = None
    note: str = ""


def bring_together(actual: Array, expected: Array, tolerance: Tolerance) -> RelaxedArrays | None:
    """Both sides of one dtype and shape, as far as the rule allows; None where it changes nothing.

    Values of different types are compared in the wider one and judged by the coarser precision.
    """
    met: RelaxedArrays | None = None
    if tolerance.any_dtype and not same_type(actual.dtype, expected.dtype):
        met = _of_one_dtype(actual, expected)
        if met is not None:
            actual, expected = met.actual, met.expected
    if tolerance.any_shape and actual.shape != expected.shape and actual.size == expected.size:
        note = f"shape {actual.shape}, expected {expected.shape}"
        left = _reshaped(actual, expected.shape)
        if expected.order != "C":
            expected = array_of(expected.values())
        if met is None:
            return RelaxedArrays(left, expected, note=note)
        met = replace(met, actual=left, expected=expected, note=f"{met.note}; {note}")
    return met


def same_type(left: Dtype, right: Dtype) -> bool:
    """Byte order does not count, nor how wide the longest text happens to be."""
    if left.kind == right.kind and left.kind in "SU":
        return True
    return bool(left.newbyteorder("=") == right.newbyteorder("="))


def dtype_note(actual: Dtype, expected: Dtype) -> str:
    return f"dtype {dtype_text(actual)}, expected {dtype_text(expected)}"


def dtype_text(dtype: Dtype) -> str:
    return truncate("text" if dtype.hasobject else str(dtype.newbyteorder("=")))


def loaded(array: Array) -> Values:
    """All of an array that has to be in memory to be judged.

    Raises:
        UnmatchableError: it is too large for that.
    """
    size_bytes = array.size * max(1, array.dtype.itemsize)
    if size_bytes > LIMIT_BYTES:
        raise UnmatchableError(
            f"{size_bytes} bytes are too many to look for the best order, sign or labels (at most "
            f"{LIMIT_BYTES}): let the program write a part of it, or ignore it"
        )
    return array.values()


def without_curve(tolerance: Tolerance) -> Tolerance:
    """What is left of a rule for curves where there is none: the default."""
    return Tolerance(equal_nan=tolerance.equal_nan, any_dtype=tolerance.any_dtype)


def without_gains(actual: Array, expected: Array, better: MetricDirection) -> Array:
    """The actual values, with the expected one wherever it is better than that."""

    def blocks(length: int) -> Iterator[Values]:
        for left, right in zip(actual.blocks(length), expected.blocks(length), strict=True):
            gains = left > right if better is MetricDirection.HIGHER else left < right
            if kind_of(left.dtype) is DtypeKind.FLOAT:
                gains &= np.isfinite(left)
            yield np.where(gains, right, left)

    return Array(actual.dtype, actual.shape, blocks, actual.order)


def _of_one_dtype(actual: Array, expected: Array) -> RelaxedArrays | None:
    note = dtype_note(actual.dtype, expected.dtype)
    kinds = [_kind(side.dtype) for side in (actual, expected)]
    if all(kind in NUMBER_KINDS for kind in kinds):
        dtype: Dtype
        if DtypeKind.COMPLEX in kinds:
            dtype = np.dtype(np.complex128)
        elif DtypeKind.FLOAT in kinds:
            dtype = np.dtype(np.float64)
        else:
            dtype = np.result_type(actual.dtype, expected.dtype)
        precisions = [precision_of(side.dtype.name) for side in (actual, expected)]
        there = [each for each in precisions if each is not None]
        coarser = max(there, key=lambda each: each.eps, default=None)
        left, right = (
            _cast(side, dtype, lambda block: block.astype(dtype)) for side in (actual, expected)
        )
        return RelaxedArrays(left, right, coarser, note)
    if all(side.dtype.kind in "SUO" for side in (actual, expected)):
        left, right = (_cast(side, np.dtype(object), _texts) for side in (actual, expected))
        return RelaxedArrays(left, right, note=note)
    if kinds[0] is kinds[1] is DtypeKind.TIME and actual.dtype.kind == expected.dtype.kind:
        dtype = np.result_type(actual.dtype, expected.dtype)
        left, right = (
            _cast(side, dtype, lambda block: block.astype(dtype)) for side in (actual, expected)
        )
        return RelaxedArrays(left, right, note=note)
    return None


def _kind(dtype: Dtype) -> DtypeKind:
    return DtypeKind.INTEGER if dtype.kind == "b" else kind_of(dtype)


def _cast(array: Array, dtype: Dtype, convert: Callable[[Values], Values]) -> Array:
    def blocks(length: int) -> Iterator[Values]:
        for block in array.blocks(length):
            yield convert(block)

    return Array(dtype, array.shape, blocks, array.order)


def _texts(block: Values) -> Values:
    texts = np.empty(len(block), object)
    texts[:] = [
        value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        for value in block.tolist()
    ]
    return texts


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    if array.order == "C":
        return replace(array, shape=shape)
    return array_of(array.values().reshape(shape))
