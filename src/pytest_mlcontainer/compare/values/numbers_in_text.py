"""Numbers inside text: the same text around them, and each within the tolerance."""

from __future__ import annotations

import math
import re

from pytest_mlcontainer.compare.text.numeric_text import are_decimals
from pytest_mlcontainer.compare.values import few
from pytest_mlcontainer.model import Tolerance

BY_NUMBERS = "text that differs in nothing but numbers, within the tolerance"
_LONGEST_INTEGER = 300
_LONGEST = 1 << 16
# Every repeat is bounded, so that a line of any length takes time in proportion.
_TOKEN = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"|\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
    r"|\d{1,9}(?:\.\d{1,9}){2,}"
    r"|(?<![\w.])(?P<number>[-+]?(?:(?:0|[1-9]\d{0,400})(?:\.\d{0,400})?|\.\d{1,400})"
    r"(?:[eE][-+]?\d{1,5})?)(?![.\w]{0,40}\d)"
    r"|(?<![\w.])(?P<nan>[-+]?(?:nan|NaN|NAN))(?![\w.(])",
    re.ASCII,
)


def tolerates_numbers(tolerance: Tolerance) -> bool:
    """Whether a rule gives a bound for numbers inside text."""
    bounds = tolerance.rtol, tolerance.atol, tolerance.scale, tolerance.ulp, tolerance.margin
    return not tolerance.exact and any(bound is not None for bound in bounds)


def compare_numbers(actual: str, expected: str, tolerance: Tolerance) -> tuple[bool, float]:
    """Whether the texts differ only in numbers, each within the tolerance; and the largest error.

    The error is 0 where something else differs too.
    """
    left, right = _split(actual), _split(expected)
    if left[0] != right[0] and not _same_but_padding(left, right):
        return False, 0.0
    bounded = tolerates_numbers(tolerance)
    within, largest = True, 0.0
    for mine, theirs in zip(left[1], right[1], strict=True):
        if mine != theirs and not (_is_nan(mine) and _is_nan(theirs)):
            if _is_nan(mine) or _is_nan(theirs):
                return False, 0.0
            numbers = _number(mine), _number(theirs)
            # Past the largest double both would be infinite, and the same.
            finite = math.isfinite(numbers[0]) and math.isfinite(numbers[1])
            meant = bounded or are_decimals((mine, theirs), numbers)
            within = within and meant and finite and few.passes(*numbers, tolerance)
            error = abs(numbers[0] - numbers[1])
            largest = max(largest, float(error) if math.isfinite(error) else math.inf)
    return within, largest


def agree_by_numbers(actual: str, expected: str, tolerance: Tolerance) -> bool:
    """Whether texts that differ do so in numbers alone, each within the tolerance."""
    return len(expected) <= _LONGEST and compare_numbers(actual, expected, tolerance)[0]


def _split(text: str) -> tuple[list[str], list[str]]:
    """What is between the numbers, and the numbers, NaN among them."""
    rest, numbers = [], []
    end = 0
    for found in _TOKEN.finditer(text):
        number = found["number"] or found["nan"]
        if number is not None:
            rest.append(text[end : found.start()])
            numbers.append(number)
            end = found.end()
    return [*rest, text[end:]], numbers


def _same_but_padding(
    left: tuple[list[str], list[str]], right: tuple[list[str], list[str]]
) -> bool:
    """Whether texts around numbers differ in blanks alone, beside numbers of other widths."""
    widths = [[len(number) for number in side[1]] for side in (left, right)]
    if len(widths[0]) != len(widths[1]) or widths[0] == widths[1]:
        return False
    return [part.strip(" ") for part in left[0]] == [part.strip(" ") for part in right[0]]


def _is_nan(text: str) -> bool:
    """C prints the sign of a NaN, which means nothing: on amd64 0/0 is -nan, on arm64 nan."""
    return text[-1] in "nN"


def _number(text: str) -> int | float:
    """Whole numbers stay whole, as far as they also have a double near them."""
    return (
        int(text) if len(text) < _LONGEST_INTEGER and text.lstrip("+-").isdigit() else float(text)
    )
