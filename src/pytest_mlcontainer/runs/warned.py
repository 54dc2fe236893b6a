"""What a program itself warned of, and what that means for its results elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 4 << 20
_CAST: Final = re.compile(
    r"^(?P<where>\S+?:\d+): RuntimeWarning: invalid value encountered in (?:cast|astype)",
    re.MULTILINE,
)


def invalid_cast(stderr: Path) -> str:
    """What has to be known of a program that converted numbers to integers that cannot hold them;
    "" where it did not warn of it.

    C leaves open what comes of that, and CPUs differ: of NaN, amd64 makes the smallest integer and
    arm64 makes 0.
    """
    try:
        with stderr.open("rb") as stream:
            printed = stream.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    places = dict.fromkeys(found["where"] for found in _CAST.finditer(printed))
    if not places:
        return ""
    return (
        f"warned of an invalid cast to integers at {next(iter(places))}: what NaN, an infinity or "
        "a number out of range becomes differs from CPU to CPU (amd64, arm64, an emulated one); "
        "replace such values before the cast"
    )
