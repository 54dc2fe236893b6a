"""Pairs of variations of which one can hide the other's effect; they are never made in one run.

A variation hides another where it has no effect of its own and suppresses that of the other: both
together pass although one of them alone would drift. Each pair was observed, or follows from the
knobs that the two set.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Mask(NamedTuple):
    """Two families by name, and how one keeps the other from showing, in a sentence."""

    one: str
    other: str
    why: str


MASKS: Final[tuple[Mask, ...]] = (
    Mask("locale", "encoding", "both turn LC_ALL, so that the later one undoes the earlier"),
    Mask(
        "env",
        "user",
        "a variable USER or LOGNAME names a user whose number has no name (getpass.getuser)",
    ),
    Mask(
        "home",
        "user",
        "another user's home is / unless HOME says otherwise: a program that falls back where its "
        "home is missing never writes to the one that it may not write to",
    ),
    Mask(
        "env",
        "home",
        "variables of a machine (XDG_CACHE_HOME, HF_HOME, USERPROFILE) take the place of the home",
    ),
    Mask(
        "read-only",
        "user",
        "a file system that cannot be written to says so before a folder's owner is looked at: "
        "a program that expects the one refusal may fail at the other",
    ),
    Mask(
        "cpus",
        "threads",
        "a number of threads that is set takes the place of the number of processors",
    ),
    Mask("clock", "timezone", "both move the hour of the day, and one may move it back"),
    Mask("network", "hostname", "without a network a host's own name may not be looked up"),
    Mask(
        "precision",
        "simd",
        "with few vector instructions there are no products in bfloat16 to be asked for",
    ),
)


def masking(names: frozenset[str]) -> frozenset[frozenset[str]]:
    """The pairs of which one at least is among these names."""
    pairs = (frozenset((each.one, each.other)) for each in MASKS)
    return frozenset(pair for pair in pairs if pair & names)
