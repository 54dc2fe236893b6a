"""A library that gives any program another clock, or another order of files.

It is mounted into the container and loaded by `LD_PRELOAD`, so that it works in any image whose
programs are linked to a libc, glibc or musl; `preload.c` says what it does and which variables
steer it. The libraries beside it are made of it by `scripts/preload.py`.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = [
    "CLOCK_FIXED",
    "CLOCK_OFFSET",
    "FILE_ORDER",
    "FOLDER",
    "NAME",
    "library",
    "preload_env",
]

FOLDER = "/mlcontainer-preload"
NAME = "libmlcontainer.so"

CLOCK_OFFSET = "MLCONTAINER_CLOCK_OFFSET_S"
"""Variable: seconds that the wall clock is ahead, a whole number with or without a sign."""
CLOCK_FIXED = "MLCONTAINER_CLOCK_FIXED_S"
"""Variable: Unix time at which the wall clock of each process starts; it then only counts."""
FILE_ORDER = "MLCONTAINER_FILE_ORDER"
"""Variable: `reverse` gives the names of each folder in the reverse of their order."""

_ARCHITECTURES = ("amd64", "arm64")


def library(architecture: str) -> bytes | None:
    """The library for an architecture, as OCI names it; None where there is none for it."""
    if architecture not in _ARCHITECTURES:
        return None
    return (files(__name__) / f"{architecture}.so").read_bytes()


def preload_env(existing: str | None) -> tuple[str, str]:
    """The variable that loads the library, before what the image loads already.

    Args:
        existing: the value of LD_PRELOAD in the image or the configuration, if there is one; its
            parts are separated by colons or spaces.
    """
    ours = f"{FOLDER}/{NAME}"
    others = (existing or "").replace(":", " ").split()
    return "LD_PRELOAD", ":".join((ours, *(other for other in others if other != ours)))
