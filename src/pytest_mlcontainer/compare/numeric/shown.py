"""Values as text, for messages and differences."""

from __future__ import annotations

import numpy as np

_LONGEST = 200


def truncate(text: str, limit: int = _LONGEST) -> str:
    """At most so many characters of it, with a mark at the end where some are left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def value_text(value: object) -> str:
    """The value with all its digits: the shortest text that reads back as the same."""
    if isinstance(value, np.void):
        return truncate("0x" + value.tobytes().hex())
    if isinstance(value, bytes):
        return truncate(repr(bytes(value)))
    return truncate(str(value))
