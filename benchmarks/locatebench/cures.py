"""How often what stops a drift is found, and whether that is so in the project itself.

    python -m benchmarks.locatebench --cures [--set measuring] [--case NAME]

A label has `cures`: the smallest sets of settings, or of changes that can be tried from outside,
that stop a case's drift; none where there are none.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.driftbench.cases import Case
from pytest_mlcontainer.model import Cure, CureKind


@dataclass(frozen=True)
class CureAnswer:
    """What came of one case.

    Args:
        cure: None where no drift was found.
        wall_s: of all runs, those that found the drift too.
    """

    case: Case
    cure: Cure | None
    wall_s: float
    error: str = ""

    @property
    def names(self) -> frozenset[str]:
        if self.cure is None:
            return frozenset()
        settings = frozenset(each.name for each in self.cure.settings)
        return settings | frozenset(each.name for each in self.cure.changes)

    @property
    def is_curable(self) -> bool:
        return bool(self.case.cures)

    @property
    def is_right(self) -> bool:
        """The labelled cure, or that there is none."""
        known = self.case.cures or frozenset()
        return self.names in known if known else self.drifts and not self.names

    @property
    def drifts(self) -> bool:
        """Whether it does on this machine: not every kernel drifts on every processor."""
        return self.cure is not None

    @property
    def is_wrong(self) -> bool:
        """Something is said to cure what nothing does."""
        return bool(self.names) and not self.is_curable

    @property
    def line(self) -> str:
        if not self.drifts:
            return f"{'none':5} {self.case.name:24} does not drift here {self.error}".rstrip()
        mark = "right" if self.is_right else "wrong" if self.is_wrong else "other"
        cure = self.cure or Cure(CureKind.NOTHING)
        said = ", ".join(sorted(self.names)) or cure.kind.value
        why = self.error or "; ".join((*cure.notes, *(why for _names, why in cure.broken)))
        return (
            f"{mark:5} {self.case.name:24} {said} ({cure.agreeing} a side, {cure.runs} runs, "
            f"{self.wall_s:.0f} s) {'' if self.is_right else why}"
        ).rstrip()


def cure_table(answers: Sequence[CureAnswer]) -> Iterator[str]:
    """The scores, by set."""
    drifting = [each for each in answers if each.drifts]
    yield "| set | cases | curable | of these cured | none, and none said | wrong | runs, median |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in sorted({each.case.set for each in drifting}):
        own = [each for each in drifting if each.case.set == name]
        curable = [each for each in own if each.is_curable]
        others = [each for each in own if not each.is_curable]
        right, none = (sum(each.is_right for each in part) for part in (curable, others))
        runs = [each.cure.runs for each in own if each.cure is not None and each.names]
        yield (
            f"| {name} | {len(own)} | {len(curable)} | {right / max(1, len(curable)):.2f} | "
            f"{none} of {len(others)} | {sum(each.is_wrong for each in own)} | "
            f"{statistics.median(runs) if runs else 0:g} |"
        )
