"""What fixtures give that several folders' tests ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import pytest

from pytest_mlcontainer.compare.formats.unpacking import UNPACKING_LIMITS, UnpackingLimits
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.compare.rules.study import ALONE, Study
from pytest_mlcontainer.model import Comparator, Difference, Rule, Tolerance

Compared = tuple[tuple[Difference, ...], tuple[str, ...]]
Found = TypeVar("Found", covariant=True)
FailureOf = Callable[[pytest.RunResult, str], str]


class Comparing(Protocol[Found]):
    """Two files of this name, written with these values, are compared; see the fixtures.

    Args:
        values: the actual one and the expected one, then the tolerance, where there is one.
    """

    def __call__(
        self,
        name: str,
        *values: Any,
        tolerance: Tolerance | None = None,
        item: str | None = None,
        rules: Iterable[Rule] = (),
        comparators: tuple[Comparator, ...] = (),
        names: tuple[tuple[str, str], ...] = (),
        study: Study = ALONE,
        pool: Pool | None = None,
    ) -> Found: ...


Compare = Comparing[Compared]
Only = Comparing[Difference]  # for what gives exactly one


class CompareHere(Protocol):
    """As `Compare`, in this very process, unpacking archives within these limits."""

    def __call__(
        self, name: str, *values: Any, limits: UnpackingLimits = UNPACKING_LIMITS
    ) -> Compared: ...


class OnlyHere(Protocol):
    """As `Only`, in this very process."""

    def __call__(self, name: str, *values: Any) -> Difference: ...
