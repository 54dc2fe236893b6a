"""`hash-seed`: the order of sets, and of what is keyed by the hash of a string."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.variations.variation import Variation

SETTINGS: Final = tuple(
    Variation("hash-seed", seed, (("PYTHONHASHSEED", seed),)) for seed in ("0", "1")
)
