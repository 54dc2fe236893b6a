"""Lists and long texts, cut to what a sentence can hold."""

from __future__ import annotations

from collections.abc import Sequence


def truncate(text: str, limit: int = 200) -> str:
    """At most so many characters of it, with a mark at the end where some are left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_of(texts: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first of them, with a mark where there are more: `a, b, …`."""
    return separator.join([*texts[:most], *(["…"] if len(texts) > most else [])])


def first_and_count(texts: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are: `a, b and 3 more`."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")
