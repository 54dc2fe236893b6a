"""What is said of clocks and ids that runs of one and the same differ in."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.judging.apart import NOUNS, Exclusions
from pytest_mlcontainer.judging.unsteady import as_nondeterministic
from pytest_mlcontainer.model import Outcome, SearchFinding

APART = "apart"
_SHOWN = 5


def apart_findings(apart: Exclusions) -> tuple[SearchFinding, ...]:
    """What was set apart, and what leaves it out; nothing where nothing was."""
    if not apart:
        return ()
    nouns = listed([NOUNS[noun] for noun in apart.nouns])
    places = listed(_cut(list(dict.fromkeys(part.where for part in apart.parts))))
    text = (
        f"{nouns} differ between runs with nothing changed ({places}), and were judged apart from "
        "all else"
    )
    lines = _cut(list(dict.fromkeys(part.line for part in apart.parts)))
    return (SearchFinding(APART, apart.nouns, text, "; ".join(lines)),)


def as_apart(outcome: Outcome) -> Outcome:
    """Two runs of one and the same, which a clock or an id makes differ: no drift."""
    return replace(as_nondeterministic(outcome), against="other repeats")


def listed(texts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def _cut(texts: list[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return texts if more <= 0 else [*texts[:_SHOWN], f"{more} more"]
