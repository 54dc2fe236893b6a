"""What a book of rules answers: the tolerance for an item, and which rules were used."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mlcontainer.compare.numeric.tolerance import Calibration, is_default
from pytest_mlcontainer.model import Rule, Tolerance


@dataclass(frozen=True)
class AppliedTolerance:
    """The tolerance for one item, and the rule that it comes from; None is the default.

    Args:
        calibration: for a tolerance that is calibrated; None where there are no runs for that.
    """

    tolerance: Tolerance
    rule: Rule | None = None
    calibration: Calibration | None = None

    @property
    def is_default(self) -> bool:
        """Whether how close is close enough was left to this package."""
        return self.calibration is None and is_default(self.tolerance)

    def origin(self, dtype: str) -> str:
        """Where the tolerance comes from: "rule outputs/*.npz", or "float32 default"."""
        return f"rule {self.rule}" if self.rule else f"{dtype} default"


@dataclass(frozen=True)
class RuleUse:
    """What a book of rules matched in one output, for another book of the same rules.

    Args:
        used: numbers of rules, with how often each won.
        shadowed: numbers of rules, each with that of a rule that comes first and matched too.
        items: names of items that were compared, as many as a hint needs.
        unread: whether the output could not be read.
        met_by_order: notes on names that were matched by their sorted order.
    """

    used: tuple[tuple[int, int], ...] = ()
    shadowed: tuple[tuple[int, int], ...] = ()
    items: tuple[str, ...] = ()
    unread: bool = False
    met_by_order: tuple[str, ...] = ()
