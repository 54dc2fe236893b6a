"""`shm`: how large /dev/shm is, through which processes share arrays.

`docker run --shm-size`; the default of 64 MiB is what the workers of data loaders break on.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container, number, size_text

_SMALL: Final = 64 << 20
_LARGE: Final = 1 << 30


def choose(situation: Situation) -> Choice:
    """1 GiB; the default where it is that large already."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    present = situation.entry.limits.shm_size_bytes or number(situation, "memory.shm_bytes")
    size = _LARGE if present is None or present < _LARGE else _SMALL
    witness = (f"memory.shm_bytes={size}",)
    return Variation("shm", size_text(size), Knobs(shm_size_bytes=size), witness)


FAMILY: Final = Family(
    "shm",
    "how much memory processes may share",
    choose,
    hints=(
        r"/dev/shm\b",
        r"\bshared_memory\b|\bSharedMemory\(|\bshare_memory_?\(|\bsharing_strategy\b",
        r"\bnum_workers\s*=\s*(?!0\b)",
        r"\bdisk_usage\(|\bstatvfs\(",
        r"\bRawArray\(|\bmp\.Array\(|\bmultiprocessing\.Array\(",
        r"\bJOBLIB_TEMP_FOLDER\b|\bmax_nbytes\b|\bmmap_mode\b",
    ),
    weight=0.7,
    demanding=True,
)
