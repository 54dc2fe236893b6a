"""`threads`: into how many parts sums are cut."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.variations.variation import Variation

_COUNTS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def _threads(count: str) -> Variation:
    return Variation("threads", count, tuple((name, count) for name in _COUNTS))


# Whatever number of cores there is, at least one of them is another than the usual.
SETTINGS: Final = (_threads("1"), _threads("2"))
