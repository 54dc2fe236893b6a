"""What may be left open where two arrays drift: signs, order, labels.

A trial costs little beside what it saves: a bound that is wide enough for an eigenvector of the
other sign lets everything pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.loose import loaded
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.model import Freedom, Tolerance

_FEWEST: Final = 3
_MOST: Final = 1 << 18
_MOST_VECTORS: Final = 256
_NEAR: Final = 1e-3


def freedoms(actual: Array, expected: Array) -> Iterator[Tolerance]:
    """Tolerances that leave something open, the narrowest first; each may let the arrays pass.

    Args:
        actual, expected: of one shape and dtype.
    """
    if not _FEWEST <= expected.size <= _MOST:
        return
    kind, left, right = kind_of(expected.dtype), loaded(actual), loaded(expected)
    if left.ndim == 1 and _are_shuffled(left, right):
        yield Tolerance(unordered=True)
    if kind is DtypeKind.FLOAT:
        yield from _of_vectors(left, right)
    elif kind in (DtypeKind.INTEGER, DtypeKind.LABEL) and _are_renamed(left, right):
        yield Tolerance(free=(Freedom.LABELS,))


def may_be_free(actual: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether short lists hold much the same, but for signs, order or names: a cheap look.

    Args:
        actual, expected: numbers or texts, of one length.
    """
    if len(expected) < _FEWEST:
        return False
    if set(actual) == set(expected):
        return True
    if any(isinstance(each, str) for each in (*actual, *expected)):
        return False
    left, right = (sorted(abs(float(each)) for each in side) for side in (actual, expected))
    return all(math.isclose(*pair, rel_tol=_NEAR) for pair in zip(left, right, strict=True))


def free_text(tolerance: Tolerance) -> str:
    """The freedom as a rule has it: `free = "sign", axis = 1`."""
    if tolerance.unordered:
        return "unordered = true"
    names = [f'"{each.value}"' for each in tolerance.free]
    value = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    return f"free = {value}" + (f", axis = {tolerance.axis}" if tolerance.axis else "")


def _of_vectors(actual: Values, expected: Values) -> Iterator[Tolerance]:
    """Only where the same magnitudes are on both sides, wherever they are."""
    left, right = (np.abs(side.astype(np.float64)) for side in (actual, expected))
    axes = range(min(expected.ndim, 2))
    if _are_near(left, right):
        for axis in axes:
            yield Tolerance(free=(Freedom.SIGN,), axis=axis)
    elif expected.ndim > 1 and _are_near(*(np.sort(side, axis=None) for side in (left, right))):
        for free in ((Freedom.ORDER,), (Freedom.SIGN, Freedom.ORDER)):
            for axis in axes:
                if 1 < expected.shape[axis] <= min(_MOST_VECTORS, expected.size // 2):
                    yield Tolerance(free=free, axis=axis)


def _are_near(left: Values, right: Values) -> bool:
    finite = np.isfinite(right)
    room = _NEAR * float(right[finite].max(initial=0.0))
    return bool(np.allclose(left, right, rtol=_NEAR, atol=room, equal_nan=True))


def _are_shuffled(actual: Values, expected: Values) -> bool:
    """Whether each value, of which there is none twice, is there on the other side, elsewhere."""
    mine, theirs = set(actual.tolist()), set(expected.tolist())
    return mine == theirs and len(theirs) == expected.size


def _are_renamed(actual: Values, expected: Values) -> bool:
    """Whether each label is another one of the same few labels, throughout.

    Ids are renamed whatever they become, and what is one of two, a flag or a mask, is the opposite
    once it is turned round.
    """
    pairs = set(zip(actual.reshape(-1).tolist(), expected.reshape(-1).tolist(), strict=True))
    mine, theirs = ({pair[side] for pair in pairs} for side in (0, 1))
    few = _FEWEST <= len(theirs) <= expected.size // 2
    return few and mine == theirs and len(pairs) == len(theirs)
