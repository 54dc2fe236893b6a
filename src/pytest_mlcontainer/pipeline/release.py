"""Whether what a session has tested may be published: all of it, and all of it passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.wording import first_and_count

FAILED: Final = "failed"
SKIPPED: Final = "skipped"
EXPECTED: Final = "expected to fail"
_SHOWN: Final = 3


@dataclass(frozen=True)
class SessionTests:
    """What came of the tests with containers.

    Args:
        wanted: those that the whole plan has, by their node ids.
        passed: those that passed, or had nothing to look at.
        others: those that ran and did not pass: `FAILED`, `SKIPPED` or `EXPECTED`.
        left_out: those that were collected and deselected.
        is_whole: whether the session passed and came to its end, other tests included.
    """

    wanted: tuple[str, ...]
    passed: frozenset[str]
    others: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    is_whole: bool = True


def why_held_back(tests: SessionTests) -> str:
    """Why nothing may be published; "" where it may."""
    for what in (FAILED, SKIPPED, EXPECTED):
        found = sorted(test for test, became in tests.others.items() if became == what)
        if found:
            return f"{_count(found)} {what}: {first_and_count(found, _SHOWN)}"
    missing = [test for test in tests.wanted if test not in tests.passed]
    missing = missing or [test for test in tests.left_out if test not in tests.passed]
    if missing:
        were = "was" if len(missing) == 1 else "were"
        shown = first_and_count(missing, _SHOWN)
        return f"{_count(missing)} {were} not run, so that not all is tested: {shown}"
    if not tests.is_whole:
        return "the session did not pass, or did not come to its end"
    return ""


def _count(tests: list[str]) -> str:
    return "1 test" if len(tests) == 1 else f"{len(tests):,} tests"
