"""`memory`: how much memory there is, as `docker run --memory` limits it."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container, number, size_text

_MEBIBYTE: Final = 1 << 20
_MOST: Final = 1 << 30
_LEAST: Final = 64 * _MEBIBYTE  # with less, hardly an interpreter starts


def choose(situation: Situation) -> Choice:
    """1 GiB, or half of a limit that is less than twice that."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    present = situation.entry.limits.memory_bytes or number(situation, "memory.limit_bytes")
    total = number(situation, "memory.total_bytes")
    size = _MOST if present is None else min(_MOST, present // 2 // _MEBIBYTE * _MEBIBYTE)
    if total is not None and total <= size:
        return NotExercised(f"the machine has no more than {size_text(size)} anyway")
    if size < _LEAST:
        return NotExercised(f"it is limited to {size_text(present or 0)} anyway")
    witness = (f"memory.limit_bytes={size}",)
    return Variation("memory", size_text(size), Knobs(memory_bytes=size), witness)


FAMILY: Final = Family(
    "memory",
    "how much memory it may use",
    choose,
    hints=(
        r"\bvirtual_memory\(|\bswap_memory\(",
        r"\bMemoryError\b|\bOutOfMemoryError\b",
        r"\bRLIMIT_\w+|\bgetrlimit\(",
        r"\bmemory\.max\b|\blimit_in_bytes\b|/proc/meminfo|\bMemTotal\b|\bMemAvailable\b",
        r"\bSC_(?:AV)?PHYS_PAGES\b",
        r"\b(?:mem_get_info|memory_limit|max_memory|working_memory|memory_budget)\b",
    ),
    weight=2.0,
    demanding=True,
)
