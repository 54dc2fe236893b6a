"""What a search says of a cause, and of where its budget ended."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from pytest_mlcontainer.explain.search_book import Names, TrialBook, listed
from pytest_mlcontainer.model import Cause


class LeftOutChanges(enum.Enum):
    """What has to be left out of all changes for the rest to agree with the control."""

    UNKNOWN = "not known"
    CAUSE = "this cause alone"
    CAUSES = "all causes that were found"


def evidence_of(
    names: Names, book: TrialBook, left_out: LeftOutChanges, controls: int = 0
) -> Cause:
    """A cause that is confirmed, with the runs that show it.

    Args:
        controls: of changes in which any two runs differ by themselves, how many runs with nothing
            changed agree all the same; 0 for others.
    """
    times = len(book.worked(names))
    it = "it" if len(names) == 1 else "them"
    text = f"drifts with {it} alone ({times} of {times} runs)"
    if left_out is LeftOutChanges.CAUSE:
        text += f" and agrees with all others but {it}"
    elif left_out is LeftOutChanges.CAUSES:
        text += " and agrees with all others but the causes named"
    if controls:
        text += (
            f"; {controls} of {controls} runs with nothing changed agree, although it is another "
            "one in each of them"
        )
    return Cause(tuple(sorted(names)), book.runs, text)


def unconfirmed(names: Names, book: TrialBook) -> str:
    """Of changes that drift alone, at the end of the budget before they were run again."""
    times = len(book.worked(names))
    return (
        f"it drifts with {listed(names)} changed alone ({times} of {times} runs); the budget of"
        f" {book.budget} runs ended before that was confirmed"
    )


def beside_placebo(names: Names) -> str:
    """Of changes that drift where one does that no program can ask for."""
    return (
        f"{listed(names)} made it drift, too; each moves what lies in memory as well, so whether it"
        " does more cannot be told, nor was anything else looked for"
    )


def too_small(budget: int) -> str:
    """Of a search that its budget kept from telling drift from chance."""
    return (
        f"a budget of {budget} is too small: not even two runs with nothing changed could be held "
        "against each other"
    )


def what_is_known(drifting: Names, left: Names, agreeing: Sequence[Names], budget: int) -> str:
    """Where the cause of a drift must be, at the end of the budget.

    Args:
        drifting: a set of changes that drifts.
        left: of these, those that no set has that agrees.
        agreeing: sets of changes that agree.
    """
    innocent = sorted({listed(names & drifting) for names in agreeing if names & drifting})
    but = f"; not with {', nor with '.join(innocent)}" if innocent else ""
    return (
        f"it drifts with {listed(drifting)} changed at once{but}; where one change alone causes"
        f" it, it is among {listed(left)}; the budget of {budget} runs ended there"
    )
