"""When the runs of a search are enough to name a cause, rather than call what was seen chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

from pytest_mlcontainer.explain.search_book import CONTROL, Names, TrialBook, listed
from pytest_mlcontainer.explain.search_sets import ContradictionError
from pytest_mlcontainer.explain.trials import Reading

# Runs under just a cause before it is named. Where all that was seen is not enough to tell it from
# chance, one more of a cause that had less than this share of suspicion, and so many controls.
CONFIRMED = 2
CONFIRMED_UNSUSPECTED = 3
SUSPECTED = 0.1
CONTROLS = 2
# What was seen is enough where it is so much less likely were it chance; so much less again as the
# cause was less suspected than all together, since chance has more ways then to look like one.
LUCK = 0.02
LUCK_UNSUSPECTED = 0.005


def lacking(book: TrialBook, cause: Names, shares: Mapping[Names, float]) -> tuple[Names, ...]:
    """What has to be run once more before a cause is named: itself, or nothing changed; or nothing.

    Args:
        shares: of all causes that were found, how likely just this one was held to be before it was
            looked for, of 1.
    """
    times = len(book.worked(cause))
    if times < CONFIRMED:
        return (cause,)
    suspected = shares[cause] >= SUSPECTED
    luck = LUCK if suspected else LUCK_UNSUSPECTED
    if _luck(book, shares) <= luck * prod(shares.values()):
        return ()
    if len(book.worked(CONTROL)) < CONTROLS:
        return (CONTROL,)
    return (cause,) if times < (CONFIRMED if suspected else CONFIRMED_UNSUSPECTED) else ()


def hold_cause(book: TrialBook, cause: Names) -> None:
    """Make sure that each run under just a cause drifts.

    Raises:
        ContradictionError: one does not.
    """
    worked = book.worked(cause)
    drifted = sum(book.judged(seen) is Reading.DRIFTS for seen in worked)
    if not worked or drifted < len(worked):
        text = f"with {listed(cause)} changed, {drifted} of {len(book.of(cause))} runs drift"
        raise ContradictionError(cause, text)


def _luck(book: TrialBook, causes: Collection[Names]) -> float:
    """How likely what was seen is where runs drift by chance; were it the causes, it is certain.

    Of all chances that runs may have to drift, the one under which it is likeliest; 1 where the
    causes do not explain every run, because some changes hide others.
    """
    drifted = agreed = 0
    for names in book.sets:
        expected = any(cause <= names for cause in causes)
        for seen in book.worked(names):
            if (book.judged(seen) is Reading.DRIFTS) != expected:
                return 1.0
            drifted += expected
            agreed += not expected
    runs = drifted + agreed
    return (drifted / runs) ** drifted * (agreed / runs) ** agreed
