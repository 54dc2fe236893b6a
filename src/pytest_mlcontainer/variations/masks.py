"""Pairs of variations of which one can hide the other's effect; they are never made in one run.

A variation hides another where it has no effect of its own and suppresses that of the other: both
together pass although one of them alone would drift. Each pair was observed, or follows from the
knobs that the two set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pytest_mlcontainer.model import Variation
from pytest_mlcontainer.variations.environment import USUAL

_USUAL: Final = frozenset(name for name, _value in USUAL)
_ANY: Final = frozenset({"*"})  # where it is not known which variables there are


class Mask(NamedTuple):
    """Two families by name, and how one keeps the other from showing, in a sentence.

    Args:
        harmless: variables that hide nothing of the other family: where the first one's variation
            sets or takes away these alone, the two may be in one run.
    """

    one: str
    other: str
    why: str
    harmless: frozenset[str] = frozenset()


MASKS: Final[tuple[Mask, ...]] = (
    Mask("locale", "encoding", "both turn LC_ALL, so that the later one undoes the earlier"),
    Mask(
        "env",
        "user",
        "a variable USER or LOGNAME names a user whose number has no name (getpass.getuser)",
        _USUAL - {"USER", "LOGNAME"},
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
        _USUAL,
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


def masking(
    names: frozenset[str], chosen: Iterable[Variation] | None = None
) -> frozenset[frozenset[str]]:
    """The pairs of which one at least is among these names.

    Args:
        chosen: the variations that will be made; None where that is not known.
    """
    variables = {
        each.name: frozenset((*(name for name, _value in each.knobs.env), *each.knobs.unset))
        for each in chosen or ()
    }
    return frozenset(
        frozenset((mask.one, mask.other))
        for mask in MASKS
        if {mask.one, mask.other} & names
        and not (mask.harmless and variables.get(mask.one, _ANY) <= mask.harmless)
    )
