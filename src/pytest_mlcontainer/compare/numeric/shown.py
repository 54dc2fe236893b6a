"""Values as text, for messages and differences."""

from __future__ import annotations

import numpy as np

from pytest_mlcontainer.wording import truncate


def value_text(value: object) -> str:
    """The value with all its digits: the shortest text that reads back as the same."""
    if isinstance(value, np.void):
        return truncate("0x" + value.tobytes().hex())
    if isinstance(value, bytes):
        return truncate(repr(bytes(value)))
    return truncate(str(value))
