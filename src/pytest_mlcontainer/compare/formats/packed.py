"""Numbers that a file keeps packed, or with a number that stands for none: what a reader gets.

    value = stored * scale + offset, and NaN where `stored` is the number for "missing"

as the CF conventions say (1.11, 8.1 and 2.5.1) for `scale_factor`, `add_offset`, `_FillValue` and
`missing_value`, and NIfTI-1 for `scl_slope` and `scl_inter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.model import Difference, Verdict

PACKING: Final = ("scale_factor", "add_offset", "_FillValue", "missing_value")
_SCANNED: Final = 1 << 18
_IN_SINGLE_BYTES: Final = 2  # the integers that a float32 holds


@dataclass(frozen=True)
class Packing:
    """How stored numbers become values.

    Args:
        scale, offset: factor and summand; None where the file gives none.
        missing: stored numbers that stand for no value.
    """

    scale: Any = None
    offset: Any = None
    missing: tuple[Any, ...] = ()

    @property
    def is_scaled(self) -> bool:
        return self.scale is not None or self.offset is not None

    def dtype_of(self, stored: Dtype) -> Dtype:
        """The type of the values: that of the factor and the summand, as the CF conventions have
        it, but no float32 for integers that it does not hold."""
        given = [np.asarray(each).dtype for each in (self.scale, self.offset) if each is not None]
        floats = [each for each in given if each.kind == "f"]
        if stored.kind == "f":
            return np.result_type(stored, *floats)
        is_single = floats and all(each.itemsize <= 4 for each in floats)
        small = stored.itemsize <= _IN_SINGLE_BYTES
        return np.dtype(np.float32 if is_single and small else np.float64)

    def is_missing(self, stored: Values) -> Values:
        """Whether each number stands for none; NaN by itself is not asked."""
        found = np.zeros(stored.shape, bool)
        for number in self.missing:
            with np.errstate(all="ignore"):
                found |= stored == np.asarray(number).astype(stored.dtype)
        return found

    def values(self, stored: Values) -> Values:
        dtype = self.dtype_of(stored.dtype)
        found = stored.astype(dtype)
        with np.errstate(all="ignore"):
            if self.scale is not None:
                found *= np.asarray(self.scale).astype(dtype)
            if self.offset is not None:
                found += np.asarray(self.offset).astype(dtype)
        found[self.is_missing(stored)] = np.nan
        return found


def stored_otherwise(output: str, item: str) -> Difference:
    """What is said of values that agree and are packed in two ways."""
    note = "stored in another way (packing, or the number for missing values), read as the same"
    return Difference(output, f"{item}@packing", Verdict.EQUIVALENT, size=1, note=note)


def packing_of(attributes: Mapping[str, Any]) -> Packing:
    """What these attributes say; those that are no numbers say nothing."""
    scale, offset = (_number(attributes.get(name)) for name in PACKING[:2])
    missing: list[Any] = []
    for name in PACKING[2:]:
        held = np.asarray(attributes.get(name, ()))
        if held.dtype.kind in "iuf":
            missing += held.reshape(-1).tolist()
    return Packing(scale, offset, tuple(missing))


def _number(value: Any) -> Any:
    held = np.asarray(value)
    if value is None or held.dtype.kind not in "iuf" or held.size != 1:
        return None
    return held.reshape(())[()]


def unpacked(stored: Array, packing: Packing) -> Array:
    """The values, in blocks as they are stored."""

    def blocks(length: int) -> Iterator[Values]:
        for block in stored.blocks(length):
            yield packing.values(block)

    return replace(stored, dtype=packing.dtype_of(stored.dtype), blocks=blocks, spans=None)


def holds_both(stored: Array, packing: Packing) -> tuple[bool, bool]:
    """Whether numbers that stand for none occur, and whether NaN does, which is something else."""
    missing = nan = False
    for block in stored.blocks(_SCANNED):
        missing = missing or bool(packing.is_missing(block).any())
        nan = nan or bool(np.isnan(block).any())
        if missing and nan:
            break
    return missing, nan


def missing_places(stored: Array, packing: Packing) -> Array:
    """Where the numbers are that stand for none."""

    def blocks(length: int) -> Iterator[Values]:
        for block in stored.blocks(length):
            yield packing.is_missing(block)

    return replace(stored, dtype=np.dtype(bool), blocks=blocks, spans=None)
