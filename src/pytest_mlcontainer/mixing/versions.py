"""Versions of packages, and what a package requires of another: as much of PEP 440 and PEP 508 as
it takes to say which versions do not go together. What is not understood counts as no requirement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Key = tuple[tuple[int, ...], tuple[int, int], int]

_VERSION = re.compile(
    r"v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|b|rc|alpha|beta|c|pre|preview)[-_.]?(?P<pre_n>\d*))?"
    r"(?:[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?\d*)?"
    r"(?:\+[a-z0-9._-]+)?$",
    re.IGNORECASE,
)
_PRE = {"a": 1, "alpha": 1, "b": 2, "beta": 2, "c": 3, "rc": 3, "pre": 3, "preview": 3}
_DEV, _FINAL = (0, 0), (9, 0)
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(?P<rest>.*)$")
_CLAUSE = re.compile(r"(===|==|~=|!=|<=|>=|<|>)\s*([^\s,]+)$")
_MARKER = re.compile(r"python_version\s*(==|!=|<=|>=|<|>)\s*['\"]([\d.]+)['\"]$")


@dataclass(frozen=True)
class Requirement:
    """What a package requires of another.

    Args:
        name: of the other, normalised.
        clauses: operators with their versions; all have to hold.
    """

    name: str
    clauses: tuple[tuple[str, str], ...] = ()

    def accepts(self, version: str) -> bool:
        """Whether this version is good enough; true where its number is not understood."""
        return all(_holds(version, operator, bound) for operator, bound in self.clauses)

    def __str__(self) -> str:
        return self.name + ",".join(f"{operator}{bound}" for operator, bound in self.clauses)


def normalise(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str, python: str) -> Requirement | None:
    """One `Requires-Dist`; None for what holds only with an extra, on another Python, or cannot be
    read.

    Args:
        python: the version of the Python in question, `3.13.5`.
    """
    body, _semicolon, marker = text.partition(";")
    found = _REQUIREMENT.match(body.strip())
    if found is None or not _marker_holds(marker.strip(), python):
        return None
    rest = found["rest"].strip().removeprefix("(").removesuffix(")")
    clauses = []
    for part in filter(None, (part.strip() for part in rest.split(","))):
        clause = _CLAUSE.match(part)
        if clause is None:
            return None
        clauses.append((clause[1], clause[2]))
    return Requirement(normalise(found["name"]), tuple(clauses))


def jump(before: str, after: str) -> int:
    """How far apart two versions are: 0 for the same release, 1 a patch, 2 a minor, 3 a major."""
    left, right = _key(before), _key(after)
    if left is None or right is None:
        return 2
    first, second = _padded(left[0]), _padded(right[0])
    for level, (one, other) in enumerate(zip(first, second, strict=True)):
        if one != other:
            return max(1, 3 - level)
    return 0 if left == right else 1


def _marker_holds(marker: str, python: str) -> bool:
    """Whether it is known to hold: `python_version` alone is looked at, joined by `and`."""
    for part in filter(None, re.split(r"\s+and\s+", marker.strip("() "))):
        found = _MARKER.match(part.strip("() "))
        if found is None or not _holds(".".join(python.split(".")[:2]), found[1], found[2]):
            return False
    return True


def _holds(version: str, operator: str, bound: str) -> bool:
    prefix = bound.removesuffix(".*")
    mine, limit = _key(version), _key(prefix)
    if mine is None or limit is None:
        return True
    if operator == "===":
        return version == bound
    if operator in ("==", "!="):
        if bound.endswith(".*"):
            length = len(limit[0])
            same = _padded(mine[0], length)[:length] == limit[0]
        else:
            same = _normal(mine) == _normal(limit)
        return same is (operator == "==")
    if operator == "~=":
        fixed = limit[0][:-1]
        return _normal(mine) >= _normal(limit) and _padded(mine[0])[: len(fixed)] == fixed
    left, right = _normal(mine), _normal(limit)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
        operator
    ]


def _key(version: str) -> Key | None:
    """What versions are ordered by; None for what is no version."""
    found = _VERSION.match(version.strip())
    if found is None:
        return None
    release = tuple(int(part) for part in found["release"].split("."))
    pre = _FINAL
    if found["pre"]:
        pre = (_PRE[found["pre"].lower()], int(found["pre_n"] or 0))
    elif found["dev"] and not found["post"]:
        pre = _DEV
    return release, pre, int(found["post_n"] or 0) + 1 if found["post"] else 0


def _normal(key: Key) -> Key:
    """2.0 and 2.0.0 are the same."""
    return _padded(key[0], 6), key[1], key[2]


def _padded(release: tuple[int, ...], length: int = 3) -> tuple[int, ...]:
    return release + (0,) * (length - len(release))
