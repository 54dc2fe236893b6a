"""`libm`: which of its variants glibc takes for exp, sin, pow and the like.

glibc picks variants with FMA and AVX2 where the processor has them; the tunable
`glibc.cpu.hwcaps` hides both (glibc manual, "Hardware capability tunables"). Up to 2.32 the names
ended with `_Usable`; names that a version does not know change nothing.
"""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import architecture, kept, where

_VARIABLE: Final = "GLIBC_TUNABLES"
_TUNABLE: Final = "glibc.cpu.hwcaps"
_LESS: Final = f"{_TUNABLE}=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"
_OLDEST: Final = (2, 26)  # the first with tunables


def choose(situation: Situation) -> Choice:
    """The variants that every amd64 processor has."""
    libc = str(situation.facts.get("libc") or "")
    if not libc.startswith("glibc"):
        return NotExercised(f"no glibc {where(situation)}")
    if architecture(situation) != "amd64":
        return NotExercised("glibc has such variants on amd64 only")
    version = re.search(r"(\d+)\.(\d+)", libc)
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST:
        return NotExercised(f"{libc} is too old for it")
    flags = situation.facts.get("cpu.flags")
    if isinstance(flags, str) and not {"fma", "avx2"} & set(flags.split()):
        return NotExercised("the processor has neither FMA nor AVX2 that could be left out")
    if _TUNABLE in situation.pinned.get(_VARIABLE, ""):
        return kept(situation, [_VARIABLE])
    present = ":".join(
        each
        for each in situation.present.get(_VARIABLE, "").split(":")
        if each and _TUNABLE not in each
    )
    value = f"{present}:{_LESS}" if present else _LESS
    return Variation("libm", "least", Knobs(env=((_VARIABLE, value),)), ("canary.libm",))


FAMILY: Final = Family(
    "libm",
    "which variant of its mathematical functions the C library takes",
    choose,
    hints=(
        r"\bmath\.(?:exp|expm1|log|log1p|log2|log10|sin|cos|tan|asin|acos|atan2?|sinh|cosh|tanh"
        r"|pow|erf|gamma|lgamma)\b",
        r"\bcmath\.\w+\(",
        r"\bfrom math import\b",
        r"\bhaversine",
        r"\b(?:np|numpy)\.(?:sin|cos|tan|power|arctan2|arcsin|arccos|cbrt|sinh|cosh)\(",
        r"\b(?:scipy\.)?special\.\w+\(",
        r"\bscipy\.(?:integrate|optimize|stats|signal)\b",
        r"\brandom\.(?:gauss|normalvariate|expovariate|lognormvariate|betavariate|gammavariate)\(",
        r"\w \*\* (?:-?\d*\.\d|[a-z(])",
    ),
    weight=1.5,
    numeric=True,
)
