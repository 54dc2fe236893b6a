"""The facts in which two environments differ, the most suspicious first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pytest_mlcontainer.model import Facts, Scalar

# What explains differing numbers comes first; what differs on every machine comes last.
_SUSPICION = (
    "machine",
    "canary.",
    "blas.",
    "mkl.",
    "openmp.",
    "numpy.",
    "torch.",
    "cuda.",
    "package.numpy",
    "package.scipy",
    "package.scikit-learn",
    "package.torch",
    "package.",
    "cpu.flags",
    "libc",
    "python.version",
    "python.hash",
    "env.",
    "cpu.usable",
    "cpu.count",
    "cpu.model",
    "locale.collation",
    "locale.decimal",
    "locale.encoding",
    "timezone.offset",
    "files.",
    "memory.limit",
    "memory.shm",
    "distribution",
    "timezone.",
    "locale.",
    "python.",
    "user.",
    "network.",
    "process.",
    "host.",
    "environment.",
    "memory.",
    "program.",
)
# True of any two runs, or no cause of anything.
_BORING = ("folder", "kernel", "user.id", "python.platform", "unread.", "clock.date")
LISTING: Final = "files.listing"
_LISTED = re.compile(r"(.+ …) \([0-9a-f]{8}\)", re.DOTALL)
# What a baseline must not keep: who ran it, and where.
_PERSONAL = ("host.name", "environment.names", "user.home", "memory.total_bytes")
# A name that an engine gave: the beginning of the container's id, or a Job's pod's.
_GIVEN_NAME = re.compile(r"[0-9a-f]{12}|mlcontainer-[0-9a-f]{20}-[a-z0-9]{5}")
# Where these are not told, there is nothing of the kind; of any other, nothing is known: another
# version of the probe, one that looked less deep, or that did not come to its end.
_TOLD_IF_THERE = ("package.", "env.", "blas.", "mkl.", "openmp.", "torch.version", "cuda.")


def differing(actual: Facts, expected: Facts) -> tuple[tuple[str, Scalar, Scalar], ...]:
    """What differs: name, the expected side's value, the actual side's, most suspicious first.

    Of names of variables only those are given that the other side does not have.
    """
    left, right = dict(expected.values), dict(actual.values)
    if not left or not right:
        return ()
    names = [name for name in sorted(left.keys() | right.keys()) if _differs(name, left, right)]
    names.sort(key=lambda name: (_one_sided(name, left, right), _rank(name)))
    return tuple((name, *_shown(name, left.get(name), right.get(name))) for name in names)


def telling(facts: Facts) -> Facts:
    """Without what is true of any two runs, such as the folder they ran in, or of one person."""
    dull = (*_BORING, *_PERSONAL)
    return Facts(tuple(pair for pair in facts.values if not pair[0].startswith(dull)))


def _differs(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    if name.startswith(_BORING):
        return False
    if not (name in left and name in right) and not _told_if_there(name, left, right):
        return False
    one, other = _shown(name, left.get(name), right.get(name))
    if name == "host.name" and any(_GIVEN_NAME.fullmatch(str(value)) for value in (one, other)):
        return False
    return one != other


def _told_if_there(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    if not name.startswith(_TOLD_IF_THERE):
        return False
    # Where its library crashed the probe, it is there all the same.
    stage = name.partition(".")[0].replace("package", "packages")
    return f"unread.{stage}" not in (right if name in left else left)


def first_names(one: Scalar, other: Scalar) -> tuple[str, str]:
    """What comes first in two listings of folders, `zstd, zmore, znew …`; both the same where only
    what comes later stands in another order, or one is no more than a digest, as older probes say.
    """
    found = [_LISTED.fullmatch(str(each)) for each in (one, other)]
    first, then = (each[1] if each else "" for each in found)
    return (first, then) if first and then else ("", "")


def _shown(name: str, one: Scalar, other: Scalar) -> tuple[Scalar, Scalar]:
    if name == LISTING and one != other:
        first, then = first_names(one, other)
        return (first, then) if first != then else ("one order", "another order")
    if name.startswith("canary.") and one != other:  # digests, which say nothing to a reader
        return (None if one is None else "one result", None if other is None else "another result")
    if name != "environment.names":
        return one, other
    left, right = set(str(one or "").split()), set(str(other or "").split())
    return " ".join(sorted(left - right)) or None, " ".join(sorted(right - left)) or None


def _one_sided(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    """Whether only one side has this package: two environments have many of those, and what a
    program uses is mostly in both."""
    package = name.removesuffix(".origin")
    return name.startswith("package.") and (left.get(package) is None or right.get(package) is None)


def _rank(name: str) -> int:
    ranks = [rank for rank, prefix in enumerate(_SUSPICION) if name.startswith(prefix)]
    return min(ranks, default=len(_SUSPICION))
