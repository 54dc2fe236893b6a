"""Values as text, for messages and differences."""

from __future__ import annotations

from typing import Final

import numpy as np

from pytest_mlcontainer.wording import truncate

_LONGEST: Final = 200
_BEFORE: Final = 60


def value_texts(actual: object, expected: object) -> tuple[str, str]:
    """Both values; of long texts that begin alike the place where they part, behind a mark."""
    if isinstance(actual, str) and isinstance(expected, str):
        pairs = enumerate(zip(actual, expected, strict=False))
        shorter = min(len(actual), len(expected))
        start = next((at for at, (left, right) in pairs if left != right), shorter) - _BEFORE
        if start > 0 and max(len(actual), len(expected)) > _LONGEST:
            return truncate(f"…{actual[start:]}"), truncate(f"…{expected[start:]}")
    return value_text(actual), value_text(expected)


def value_text(value: object) -> str:
    """The value with all its digits: the shortest text that reads back as the same."""
    if isinstance(value, np.void):
        return truncate("0x" + value.tobytes().hex())
    if isinstance(value, bytes):
        return truncate(repr(bytes(value)))
    return truncate(str(value))
