"""Numbers that are kept in strings, as in XGBoost's models: `"5E-1"`, `"[-2.38E-1,1E0]"`.

A rule with a bound holds for them as for numbers. Without one they are compared as numbers where
both sides are decimals; whole numbers stay text, for they may be ids, as do 3.1 and 3.10, which are
the same number and not the same version.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 1 << 16
_LONGEST_NUMBER = 300
_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,5})?", re.ASCII
)
NOTE = "numbers that are written as text"

Number = int | float


@dataclass(frozen=True)
class NumericTexts:
    """Both sides as numbers, flat, and the shape that they have."""

    actual: list[Number]
    expected: list[Number]
    shape: tuple[int, ...]


def read_numbers(
    actual: Sequence[str], expected: Sequence[str], shape: tuple[int, ...], bounded: bool
) -> NumericTexts | None:
    """The numbers in strings; None where they are to be compared as text.

    Args:
        actual, expected: as many strings as `shape` says; one alone may hold a list of numbers.
        bounded: whether a rule gives a bound for numbers.
    """
    if len(expected) == 1 and not shape:
        left, right = _listed(actual[0]), _listed(expected[0])
        if left is not None and right is not None and len(left) == len(right):
            actual, expected, shape = left, right, (len(right),)
    numbers: tuple[list[Number], list[Number]] = [], []
    for texts in zip(actual, expected, strict=True):
        found = _number(texts[0]), _number(texts[1])
        if found[0] is None or found[1] is None:
            return None
        if texts[0] != texts[1] and not bounded and not are_decimals(texts, found):
            return None
        numbers[0].append(found[0])
        numbers[1].append(found[1])
    return NumericTexts(*numbers, shape)


def read_pair(actual: str, expected: str, bounded: bool) -> tuple[Number, Number] | None:
    """Two texts that differ, as numbers; None where they are to be compared as text."""
    found = read_numbers([actual], [expected], (1,), bounded)
    return None if found is None else (found.actual[0], found.expected[0])


def are_decimals(texts: tuple[str, str], numbers: tuple[Number | None, Number | None]) -> bool:
    """Whether both are decimals that can only be meant as numbers: no version is written .5.

    Nor is one written -0.00, which rounding for print makes of a number beside zero.
    """
    if any(type(number) is not float for number in numbers):
        return False
    if numbers[0] == numbers[1] == 0:
        return texts[0].lstrip("+-") == texts[1].lstrip("+-") or _is_no_version(texts)
    return numbers[0] != numbers[1] or _is_no_version(texts)


def _is_no_version(texts: tuple[str, str]) -> bool:
    return any("e" in text.lower() or text.lstrip("+-").startswith(".") for text in texts)


def _listed(text: str) -> list[str] | None:
    """The parts of `[5E-1, 1E0]`; None for what is not written as a list."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > _LONGEST:
        return None
    inner = text[1:-1]
    return [part.strip() for part in inner.split(",")] if inner.strip() else None


def _number(text: str) -> Number | None:
    text = text.strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    number = int(text) if text.lstrip("+-").isdigit() else float(text)
    return number if math.isfinite(number) else None
