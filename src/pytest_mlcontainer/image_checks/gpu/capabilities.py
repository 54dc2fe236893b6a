"""Whether GPU code runs on a GPU: machine code within a major version, PTX on all later ones.

As NVIDIA's CUDA C++ Programming Guide has it: a cubin for capability X.y runs on X.z for z ≥ y, and
PTX for X.y is compiled by the driver for any capability ≥ X.y. Code that is special to one
architecture (`sm_90a`, `compute_90a`) runs there alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Coverage(enum.Enum):
    """How code runs on a GPU."""

    BINARY = "machine code"
    PTX = "compiled by the driver"
    NONE = "not at all"


def coverage(capability: tuple[int, int], targets: Iterable[str]) -> Coverage:
    """The best way in which code for these targets runs on a GPU.

    Args:
        capability: of the GPU: (8, 0) for an A100.
        targets: `sm_80` for machine code, `compute_80` for PTX.
    """
    best = Coverage.NONE
    for target in targets:
        kind, _line, number = target.partition("_")
        made_for = divmod(int(number.rstrip("a")), 10)
        if number.endswith("a") and made_for != capability:
            continue
        if kind == "sm" and made_for[0] == capability[0] and made_for[1] <= capability[1]:
            return Coverage.BINARY
        if kind == "compute" and made_for <= capability:
            best = Coverage.PTX
    return best
