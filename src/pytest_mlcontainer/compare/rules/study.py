"""A comparison as part of a larger one: bounds from other runs, and metrics judged over seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.numeric.tolerance import Calibration
from pytest_mlcontainer.model import Difference, Rule

Item = tuple[str, str]
"""An output's name and an item in it."""


@dataclass(frozen=True)
class Metric:
    """An item of both runs whose rule asks for equivalence over seeds.

    Args:
        margin: how far the means may be apart.
        rule: where that comes from, as text.
        is_stand_in: whether the arrays only tell of others, read elsewhere, whether they hold more
            than one value: they are numbers that stand for one or two of those.
        size, repeat: of the others, how many there are, and whether one occurs twice.
    """

    item: Item
    actual: Array
    expected: Array
    margin: float
    rule: str
    is_stand_in: bool = False
    size: int = 0
    repeat: bool = False


@dataclass(frozen=True)
class Needed:
    """Rules and names that the user wrote for this comparison, so each has to match something.

    Args:
        rules: that fail the comparison where they match nothing; of others it is noted.
        names: the same for patterns of `names`.
    """

    rules: frozenset[Rule] = frozenset()
    names: frozenset[str] = frozenset()


def _pass_over(_difference: Difference) -> None:
    return None


@dataclass(frozen=True)
class Study:
    """What connects a comparison with other runs; by default nothing does.

    Args:
        calibrate: gives the bound for an item whose tolerance is calibrated; None where there
            were no runs to derive it from. It may be asked on other threads; all else is told on
            the thread that compares, in the order of the outputs.
        on_difference: is told of every item compared, those that are not listed in the end too.
        on_metric: takes items whose rule asks for equivalence; True if it took this one, for which
            there is no difference then. None takes none.
        needed: rules and names that must not be idle.
    """

    calibrate: Callable[[Item], Calibration] | None = None
    on_difference: Callable[[Difference], None] = _pass_over
    on_metric: Callable[[Metric], bool] | None = None
    needed: Needed = Needed()

    @property
    def listens(self) -> bool:
        """Whether anybody is told of every item."""
        return self.on_difference is not _pass_over


ALONE = Study()
