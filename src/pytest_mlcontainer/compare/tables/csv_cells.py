"""A column of a CSV file while it is read: cells of text, turned into numbers block by block.

Text is kept only where numbers would lose something, so that a large file needs about 8 bytes for
each number. Whether a column holds numbers is known at its end; one that held numbers at first and
text later has to be read again, as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.numbers import NOT_WHOLE, integers, wholes_of
from pytest_mlcontainer.compare.tables.columns import Column, column_of, objects

_WHOLE_TEXT = r"[-+]?(?:0|[1-9][0-9]*)"
_EXPONENT = r"(?:[eE][-+]?[0-9]+)?"
_NUMBER_TEXT = rf"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+){_EXPONENT}"
_COMMA_TEXT = rf"[-+]?(?:(?:0|[1-9][0-9]*)(?:,[0-9]*)?|,[0-9]+){_EXPONENT}"
# Thousands apart by points, as in German, or by one of the blanks that are used in French.
_BLANKS = " \u00a0\u2009\u202f"
_GROUPED_TEXT = rf"[-+]?[1-9][0-9]{{0,2}}(?:(?:\.[0-9]{{3}})+|(?:[{_BLANKS}][0-9]{{3}})+),[0-9]+"
_UNGROUPED = str.maketrans({",": ".", **dict.fromkeys(f".{_BLANKS}", "")})
_WORD_TEXT = r"[-+]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
_NUMBER = re.compile(_NUMBER_TEXT)
_COMMA = re.compile(rf"{_GROUPED_TEXT}|{_COMMA_TEXT}")
_WHOLES = re.compile(rf"(?:{_WHOLE_TEXT}\n)*")
_NUMBERS = re.compile(rf"(?:(?:{_NUMBER_TEXT}|{_WORD_TEXT})\n)*")
_COMMAS = re.compile(rf"(?:(?:{_GROUPED_TEXT}|{_COMMA_TEXT}|{_WORD_TEXT})\n)*")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,40})")
_ANY_WHOLE = re.compile(rf"^{_WHOLE_TEXT}$", re.MULTILINE)
_DOUBLE_HOLDS = 2**53
_FLOAT32_HOLDS = 2**24
_SURELY_WHOLE = 2**40
_LONGEST_INTEGER = 50


def is_number(cell: str, commas: bool = False) -> bool:
    """Whether a cell alone is a number; `commas` allows a decimal comma."""
    cell = cell.strip()
    return bool(_NUMBER.fullmatch(cell) or (commas and _COMMA.fullmatch(cell)))


class Cells:
    """One column.

    Args:
        as_text: do not even try to read numbers.
        commas: whether a decimal comma is a possibility.
    """

    def __init__(self, as_text: bool, commas: bool) -> None:
        self._is_text = as_text
        self._may_have_commas = commas
        self._blocks: list[Values | int] = []
        self._wholes: dict[int, Values] = {}
        self._known: dict[str, str] = {}
        self._large = self._huge = self._blank = self._fractions = self._points = False
        self.has_commas: bool = False
        self.lost_text: bool = False

    def add(self, cells: Sequence[str]) -> None:
        """The next rows' cells."""
        if not self._is_text:
            found = self._numbers(cells)
            if found is not None:
                self._blocks.append(found)
                return
            # Numbers that came before cannot be shown as they were written.
            self._is_text = True
            self.lost_text = any(not isinstance(block, int) for block in self._blocks)
        keep = self._known.setdefault
        self._blocks.append(objects([keep(cell, cell) for cell in cells]))

    def column(self) -> Column | None:
        """The whole column; None if it has to be read again, as text."""
        if self.lost_text:
            return None
        numbers = [block for block in self._blocks if not isinstance(block, int)]
        if self._is_text or (self._blocks and not numbers):
            return column_of(self._joined(np.dtype(object), ""))
        if self._huge and not self._fractions:
            return None
        if self._fractions or self._blank:
            if self._large and not self._fractions:
                return None
            values = self._joined(np.dtype(np.float64), np.nan)
            return column_of(values, wholes=self._joined_wholes(values))
        if not numbers:
            return column_of(np.empty(0, np.int64))
        if {block.dtype for block in numbers} == {np.dtype(np.int64)}:
            return column_of(np.concatenate(numbers))
        low = min((int(block.min()) for block in numbers), default=0)
        return None if low < 0 else column_of(self._joined(np.dtype(np.uint64), 0))

    def _joined(self, dtype: np.dtype[np.generic], blank: object) -> Values:
        parts = [
            np.full(block, blank, dtype) if isinstance(block, int) else block.astype(dtype)
            for block in self._blocks
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype)

    def _joined_wholes(self, values: Values) -> Values | None:
        """Which of the column's numbers are whole, block after block; None where none is."""
        found = np.full(len(values), NOT_WHOLE, np.int64)
        start = 0
        for number, block in enumerate(self._blocks):
            length = block if isinstance(block, int) else len(block)
            if not isinstance(block, int) and block.dtype.kind in "iu":
                found[start : start + length] = block.astype(np.int64)
            elif number in self._wholes:
                found[start : start + length] = self._wholes[number]
            start += length
        if (found != NOT_WHOLE).any():
            return found
        return _whole_beside_gaps(values)

    def _note_wholes(self, cells: Sequence[str]) -> None:
        """Of the block that comes next: which of its cells are whole numbers."""
        if _ANY_WHOLE.search("\n".join(cells)):
            numbers = [int(cell) if _WHOLE.fullmatch(cell) else None for cell in cells]
            found = wholes_of(numbers)
            if found is not None:
                self._wholes[len(self._blocks)] = found

    def _numbers(self, cells: Sequence[str]) -> Values | int | None:
        """The cells as numbers; how many they are if none says anything; None for text."""
        text = "\n".join(cells) + "\n"
        if text.count("\n") == len(cells) and not self.has_commas:
            if _WHOLES.fullmatch(text):
                return self._integers(cells, cells, False)
            if _NUMBERS.fullmatch(text):
                self._fractions = True
                self._points = self._points or "." in text
                self._note_wholes(cells)
                return np.fromiter(map(float, cells), np.float64, len(cells))
        return self._odd_numbers(cells)

    def _odd_numbers(self, cells: Sequence[str]) -> Values | int | None:
        """The same for cells with blanks in or between them, or with commas."""
        stripped = [cell.strip() for cell in cells]
        present = [cell for cell in stripped if cell]
        if not present:
            self._blank = True
            return len(cells) if not any(cells) else None
        text = "\n".join(present) + "\n"
        if text.count("\n") != len(present):
            return None
        blank = len(present) < len(cells)
        if _WHOLES.fullmatch(text):
            return self._integers(stripped, present, blank)
        if not _NUMBERS.fullmatch(text):
            if not self._may_have_commas or self._points or not _COMMAS.fullmatch(text):
                return None
            self.has_commas = True
            stripped = [cell.translate(_UNGROUPED) for cell in stripped]
        elif "." in text:
            if self.has_commas:
                return None
            self._points = True
        self._fractions = True
        self._blank = self._blank or blank
        self._note_wholes(stripped)
        return np.array([float(cell) if cell else np.nan for cell in stripped], np.float64)

    def _integers(self, stripped: Sequence[str], present: Sequence[str], blank: bool) -> Values:
        # What Python refuses to convert for its length is beyond 64 bits anyway.
        if max(map(len, present)) < _LONGEST_INTEGER:
            whole = list(map(int, present))
        else:
            whole = [int(cell) if len(cell) < _LONGEST_INTEGER else 2**100 for cell in present]
        large = max(whole) > _DOUBLE_HOLDS or min(whole) < -_DOUBLE_HOLDS
        self._large = self._large or large
        self._blank = self._blank or blank
        if blank:
            self._note_wholes(stripped)
            values = [float(cell) if cell else np.nan for cell in stripped]
            return np.array(values, np.float64)
        found = integers(whole)
        if found is None:
            self._huge = True
            return np.array([float(cell) for cell in stripped], np.float64)
        return found


def _whole_beside_gaps(values: Values) -> Values | None:
    """Whole numbers that a gap in their column made floats: `223456790.0`, as pandas writes ids.

    They are whole by their looks alone, so nothing else may be in the column, no number may be so
    large that a double's steps are near 1, and float32 must not be why all of them are whole.
    """
    finite = values[np.isfinite(values)]
    if not finite.size or len(finite) == len(values) or (finite != np.rint(finite)).any():
        return None
    largest = float(np.abs(finite).max())
    with np.errstate(over="ignore"):
        rounded = (finite.astype(np.float32) == finite).all()
    if largest >= _SURELY_WHOLE or (largest > _FLOAT32_HOLDS and rounded):
        return None
    return np.where(np.isfinite(values), np.nan_to_num(values), NOT_WHOLE).astype(np.int64)
