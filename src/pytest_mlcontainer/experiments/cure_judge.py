"""Reads trials of a cure: whether all runs of one set of measures agree, and wrote something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pytest_mlcontainer.explain.trials import Observation, Reading, Trial
from pytest_mlcontainer.model import Difference, Run

_LOST = "missing in the actual run"
_NOT_NUMBERS = ("nan", "inf", "-inf", "None", "null", "")


class DifferenceFinder(Protocol):
    """What holds runs against each other, as `RunComparison` does."""

    def failing(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        """The differences that do not pass; none where both agree."""


class CureJudge:
    """Holds all runs of one set of measures against the first of them, or against what is kept.

    Runs as they are are told apart by their results: a trial's group is how many of all runs as
    they are had the one that came most often.

    Args:
        kept: the run of a baseline, which all runs have to agree with; None where there is none.
        is_absence: tells of a measure's name whether it stands for something that is not there:
            with such measures runs have to agree with the expected side as it is, too.
    """

    def __init__(
        self,
        comparison: DifferenceFinder,
        kept: Run | None = None,
        is_absence: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        self._comparison = comparison
        self._kept = kept
        self._is_absence = is_absence
        self._plain: list[list[Run]] = []
        self._first: dict[tuple[str, ...], Run] = {}
        self.hollow: dict[tuple[str, ...], str] = {}
        """Sets with which runs agree and say nothing, with why."""

    def before_changes(self) -> None:
        """Nothing: a set is held against itself."""

    def read(self, trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        """See `Judge.read`."""
        if not trial.changes:
            return self._read_plain(runs)
        absent = self._plain and any(map(self._is_absence, trial.changes))
        held = self._plain[0][0] if absent else runs[0]
        first = self._kept or self._first.setdefault(trial.changes, held)
        agree = all(run is first or self._agree(run, first) for run in runs)
        why = self._why_hollow(first) if agree and self._kept is None else ""
        if why:
            self.hollow[trial.changes] = why
        return Observation(Reading.AGREES if agree and not why else Reading.DRIFTS)

    def forget(self) -> None:
        """See `Judge.forget`."""
        self._plain, self._first = [], {}

    def is_other(self, run: Run, plain: Run) -> bool:
        """Whether a run with measures gives something else than one as it is."""
        return not self._agree(run, plain)

    def _read_plain(self, runs: tuple[Run, ...]) -> Observation:
        for run in runs:
            group = next((each for each in self._plain if self._agree(run, each[0])), None)
            if group is None:
                self._plain.append([run])
            else:
                group.append(run)
        agree = all(self._agree(run, self._kept or runs[0]) for run in runs)
        most = max(len(group) for group in self._plain)
        return Observation(Reading.AGREES if agree else Reading.DRIFTS, most)

    def _agree(self, actual: Run, expected: Run) -> bool:
        return not self._comparison.failing(actual, expected)

    def _why_hollow(self, run: Run) -> str:
        """Why a run with measures says less than one without; "" where it does not."""
        plain = self._plain[0][0] if self._plain else None
        if plain is None:
            return ""
        empty = {each.name for each in run.written if not each.size_bytes}
        full = {each.name for each in plain.written if each.size_bytes}
        lost = sorted(full - {each.name for each in run.written if each.size_bytes})
        if lost:
            what = "is empty" if lost[0] in empty else "is not written"
            return f"{lost[0]} {what} with it"
        return _lost_values(self._comparison.failing(run, plain))


def _lost_values(differences: Iterable[Difference]) -> str:
    for each in differences:
        if _LOST in each.note:
            return f"{each.where} is missing with it"
        if each.worst_actual in _NOT_NUMBERS and each.worst_expected not in _NOT_NUMBERS:
            return f"{each.where} has no value with it: {each.worst_actual or 'nothing'}"
    return ""
