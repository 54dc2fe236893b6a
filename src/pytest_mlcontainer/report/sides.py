"""What the two sides of a comparison are called, in columns and in what is said of either."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.model import Outcome
from pytest_mlcontainer.report.answer import UNVARIED, is_varied

_THIS = "this run"
_IN_ACTUAL = "in the actual run"  # as comparing says it, which knows no more of the run


def names_of_sides(outcome: Outcome) -> tuple[str, str]:
    """What the two columns of values are called."""
    if is_varied(outcome) and outcome.against == UNVARIED:
        return "varied", UNVARIED
    target, reference = str(outcome.target.platform), str(outcome.reference.platform)
    other = outcome.against or f"{reference} (reference)"
    return (_THIS if target == reference else target), other


def name_the_run(outcome: Outcome) -> Outcome:
    """The outcome whose notes call the run that is judged by its name: "missing on linux/arm64"."""
    name = names_of_sides(outcome)[0]
    here = {"varied": "in the varied run", _THIS: "in this run"}.get(name, f"on {name}")
    named = tuple(
        replace(each, note=each.note.replace(_IN_ACTUAL, here)) if _IN_ACTUAL in each.note else each
        for each in outcome.differences
    )
    return replace(outcome, differences=named)
