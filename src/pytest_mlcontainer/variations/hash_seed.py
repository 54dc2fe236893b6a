"""`hash-seed`: the order of sets, and of what is keyed by the hash of a string.

Python draws the seed anew in each process unless `PYTHONHASHSEED` gives it (Python, "Command line
and environment").
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import (
    Choice,
    Family,
    Knobs,
    NotExercised,
    Situation,
    Variation,
)
from pytest_mlcontainer.variations.choosing import kept, no_python

_VARIABLE: Final = "PYTHONHASHSEED"


def _variation(seed: str, witness: tuple[str, ...]) -> Variation:
    return Variation("hash-seed", seed, Knobs(env=((_VARIABLE, seed),)), witness)


SETTINGS: Final = (
    _variation("0", ("python.hash_randomization", "python.hash_seed=0")),
    _variation("1", ("python.hash_seed=1",)),
)


def choose(situation: Situation) -> Choice:
    """No randomness, or a fixed seed where there is none now."""
    if _VARIABLE in situation.pinned:
        return kept(situation, [_VARIABLE])
    missing = no_python(situation)
    if missing is not None:
        return missing
    return SETTINGS[1] if situation.facts.get("python.hash_randomization") is False else SETTINGS[0]


def pin(situation: Situation) -> Choice:
    """No randomness."""
    if situation.facts.get("python.hash_randomization") is False:
        return NotExercised("hashes are not randomised anyway")
    return choose(situation)


FAMILY: Final = Family(
    "hash-seed",
    "the order of sets and of hashes of strings",
    choose,
    hints=(
        # Sorted or only counted, the order is lost.
        r"(?<![.\w])(?<!sorted\()(?<!len\()(?<!min\()(?<!max\()(?:frozen)?set\(",
        r"(?<![.\w])hash\(",
        r"(?<!sorted\()(?<!len\()\{[^{}:\n]+\bfor\b[^{}\n]+\bin\b[^{}\n]*\}",
        r"\.(?:symmetric_difference|difference|intersection|union)\(",
        r"\bPYTHONHASHSEED\b",
    ),
    weight=3.0,
    natural=True,
    pin=pin,
)
