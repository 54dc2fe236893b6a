"""Notes of differences: joining them, and drift that has a note in place of numbers."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.model import Difference, Verdict


def join_notes(*notes: str) -> str:
    """All that are not empty, as one text."""
    return "; ".join(note for note in notes if note)


def drift(
    output: str, item: str, note: str, book: RuleBook, above: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """A difference that no tolerance covers, unless a rule ignores it."""
    if not book.find(output, item, above).tolerance.ignore:
        yield Difference(output, item, Verdict.DRIFT, note=note)
