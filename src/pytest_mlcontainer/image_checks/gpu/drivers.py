"""Which driver a release of CUDA needs: NVIDIA's tables, as data.

Source: the tables "CUDA Toolkit and Corresponding Driver Versions" and "Minimum Required Driver
Version for CUDA Minor Version Compatibility" of the CUDA Toolkit Release Notes
(https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/), column Linux x86_64, as they stood at
CUDA 13.3 (June 2026). Releases after that are judged by their major version alone.
"""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, ...]

AS_OF: Final = "CUDA 13.3, June 2026"
LINK: Final = "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/#cuda-driver"
COMPATIBILITY_LINK: Final = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
)

# The oldest driver on which programs of any release of a major version run, with fewer features.
_MAJOR: Final[dict[int, Version]] = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 65, 6)}
# The driver that came with the first release of each minor version.
_MINOR: Final[dict[Version, Version]] = {
    (10, 0): (410, 48),
    (10, 1): (418, 39),
    (10, 2): (440, 33),
    (11, 0): (450, 51, 5),
    (11, 1): (455, 23),
    (11, 2): (460, 27, 3),
    (11, 3): (465, 19, 1),
    (11, 4): (470, 42, 1),
    (11, 5): (495, 29, 5),
    (11, 6): (510, 39, 1),
    (11, 7): (515, 43, 4),
    (11, 8): (520, 61, 5),
    (12, 0): (525, 60, 13),
    (12, 1): (530, 30, 2),
    (12, 2): (535, 54, 3),
    (12, 3): (545, 23, 6),
    (12, 4): (550, 54, 14),
    (12, 5): (555, 42, 2),
    (12, 6): (560, 28, 3),
    (12, 8): (570, 26),
    (12, 9): (575, 51, 3),
    (13, 0): (580, 65, 6),
    (13, 1): (590, 44, 1),
    (13, 2): (595, 45, 4),
    (13, 3): (610, 43, 2),
}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)*")


def parse_version(text: str) -> Version:
    """The numbers that a version begins with; () where there are none."""
    found = _NUMBERS.match(text.strip())
    return tuple(map(int, found[0].split("."))) if found is not None else ()


def minimum_driver(cuda: Version) -> Version | None:
    """The oldest driver that programs built with a release of CUDA run on at all.

    From CUDA 11 on that is the oldest one of its major version. None for what no table says.
    """
    if cuda[0] in _MAJOR:
        return _MAJOR[cuda[0]]
    return _MINOR.get(cuda[:2])


def own_driver(cuda: Version) -> Version | None:
    """The driver with which a release of CUDA has all its features; None where nobody says."""
    return _MINOR.get(cuda[:2])


def newest_cuda(driver: Version) -> Version | None:
    """The newest release of CUDA that a driver came with, or came before; None for older ones."""
    found = [cuda for cuda, needed in _MINOR.items() if is_enough(driver, needed)]
    return max(found, default=None)


def is_past_table(driver: Version) -> bool:
    """Whether a driver is of the newest branch that is known, or newer: its CUDA is not known."""
    return driver[0] >= max(_MINOR.values())[0]


def is_enough(driver: Version, needed: Version) -> bool:
    """Whether a driver is as new as one that is needed.

    Of what is declared as `535` alone, all releases of that branch are meant, the newest too.
    """
    return driver >= needed[: len(driver)]


def dotted(version: Version) -> str:
    """A release of CUDA as people write it: `12.6`."""
    return ".".join(map(str, version))


def shown(version: Version) -> str:
    """A driver as people write it, with two digits in its third part: `525.60.13`."""
    parts = [str(part) for part in version[:2]] + [f"{part:02}" for part in version[2:]]
    return ".".join(parts)
