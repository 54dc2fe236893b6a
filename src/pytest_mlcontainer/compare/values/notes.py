"""Notes of differences: joining them, and drift that has a note in place of numbers."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind
from pytest_mlcontainer.compare.numeric.meter import Measured
from pytest_mlcontainer.compare.numeric.tolerance import Bound
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


def note_on(measured: Measured, kind: DtypeKind, bound: Bound) -> str:
    """What the numbers of a measurement cannot say."""
    count = measured.mismatched
    if count and kind is not DtypeKind.TIME:
        return f"{elements_are(count)} NaN or infinite on one side, or not the same infinity"
    if count:
        return f"{elements_are(count)} a missing time (NaT) on one side"
    if (
        bound.exact
        and measured.beyond
        and not measured.max_abs
        and kind in (DtypeKind.FLOAT, DtypeKind.COMPLEX)
    ):
        return "only the sign of zero differs"
    if measured.beside_one:
        what = elements_are(measured.beside_one)
        return f"{what} equivalent as rounding noise beside a single larger one, and only so"
    return ""


def elements_are(count: int) -> str:
    """The beginning of a sentence."""
    return "1 element is" if count == 1 else f"{count} elements are"
