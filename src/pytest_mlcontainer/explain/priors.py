"""Prior weights of variations, from what a drift or a failure looks like.

Weights only decide what a search tries first. A cause that it names was confirmed by intervention,
whatever its weight was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pytest_mlcontainer.item_kinds import is_bits, is_float
from pytest_mlcontainer.model import Difference, Family

_ROUNDING_OF_SCALE = 1e-3  # beyond, rounding needs an amplifier, and other causes are as likely
_FLIPPED = 0.3
_LIKELY, _RATHER, _UNLIKELY = 8.0, 2.0, 0.25
_SIGNS: Final = (
    (r"Read-only file system|Errno 30", ("read-only",)),
    (
        r"Permission denied|PermissionError|Errno 13|Operation not permitted",
        ("user", "home", "read-only", "umask"),
    ),
    (r"getpwuid|uid not found|no such user|getpwnam|I have no name|No username set", ("user",)),
    (r"/nonexistent", ("home",)),
    (
        r"UnicodeDecodeError|UnicodeEncodeError|codec can't|ascii|surrogates not allowed|mojibake",
        ("encoding",),
    ),
    (
        r"unsupported locale|locale\.Error|could not convert string|setlocale",
        ("locale", "encoding"),
    ),
    (r"MemoryError|out of memory|Cannot allocate|code 137|bad_alloc", ("memory",)),
    (r"Too many open files|Errno 24|EMFILE", ("nofile",)),
    (r"Bus error|shared memory|/dev/shm|code 135", ("shm",)),
    (r"No space left", ("shm", "read-only")),
    (r"mlcontainer-elsewhere|No such file or directory|ModuleNotFoundError", ("workdir", "home")),
    (
        r"resolution|Name or service|unreachable|Connection|getaddrinfo|gethostby",
        ("network", "hostname"),
    ),
    (r"ZoneInfo|timezone|tzlocal|utcoffset", ("timezone",)),
    (r"expired|not yet valid|CERTIFICATE|date|time", ("clock", "timezone")),
    (r"[Ii]llegal instruction|code 132|CPU dispatcher|baseline", ("simd", "blas-kernel", "libm")),
    (r"ran past its timeout", ("threads", "cpus", "blas-kernel", "simd", "clock")),
    (r"divide by zero|ZeroDivisionError|n_jobs|workers|cpu", ("cpus", "threads")),
)


def after_drift(
    differences: Iterable[Difference], families: Iterable[Family]
) -> Mapping[str, float]:
    """Factors for weights, from how outputs differ when everything is varied.

    Numbers that are off by a part of their scale, and a few labels with them, speak for arithmetic;
    other text, other lengths and other counts speak rather for what the program is told by its
    environment. Numbers that are off by more may be either: an amplifier makes much of rounding.
    """
    bad = [each for each in differences if not each.verdict.passes]
    numbers = [each for each in bad if is_float(each)]
    if not numbers or not all(_is_flipped(each) for each in bad if each not in numbers):
        # A tie or the nearest of several is decided by rounding, and shows in no number.
        numeric, other = 1.0, _LIKELY
    elif all(_is_rounding(each) for each in numbers):
        numeric, other = _LIKELY, _UNLIKELY
    else:
        numeric, other = _RATHER, 1.0
    return {family.name: numeric if family.numeric else other for family in families}


def after_failure(text: str) -> Mapping[str, float]:
    """Factors for weights, from the last words of a run that failed."""
    found: dict[str, float] = {}
    for pattern, names in _SIGNS:
        if re.search(pattern, text):
            for rank, name in enumerate(names):
                found[name] = max(found.get(name, 0.0), _LIKELY / (1 + rank))
    return found


def _is_flipped(difference: Difference) -> bool:
    """Whether a few labels are others, as rounding does where scores are close."""
    return difference.unit == "elements" and difference.differing < _FLIPPED * difference.size


def _is_rounding(difference: Difference) -> bool:
    if is_bits(difference):
        return True
    of_scale = difference.scale_error
    return is_float(difference) and of_scale is not None and of_scale < _ROUNDING_OF_SCALE
