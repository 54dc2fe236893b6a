"""Judges that hold each run against the first with nothing changed, the control."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pytest_mlcontainer.experiments.comparison import RunComparison
from pytest_mlcontainer.experiments.driver import BeginAgainError
from pytest_mlcontainer.explain.trials import Observation, Reading, Trial
from pytest_mlcontainer.judging.apart import Exclusions, is_all_apart, joined, set_apart
from pytest_mlcontainer.model import Difference, Failure, Outcome, Run

_MOST_RESULTS = 6
_MORE_CONTROLS = 3
_MOST_BEGINNINGS = 12


class ControlJudge:
    """Reads each run against the control; runs with the same result share a number, its own is 0.

    Where no control works, the first run that does stands for it.

    Args:
        more_controls: a further run with nothing changed, by its number, from 1. Numbers are those
            that searches ask for as well, so that no run is made in vain.
    """

    def __init__(
        self, comparison: RunComparison, more_controls: Callable[[int], Run | Failure]
    ) -> None:
        self.comparison = comparison
        self.more_controls = more_controls
        self._groups: list[Run] = []

    @property
    def control(self) -> Run | None:
        """What all others are held against."""
        return self._groups[0] if self._groups else None

    @property
    def results(self) -> tuple[Run, ...]:
        """One run for each result, the control first."""
        return tuple(self._groups)

    def before_changes(self) -> None:
        """Look for a control that works, where the first one has failed."""
        for number in range(1, 1 + _MORE_CONTROLS):
            if self.control is not None:
                return
            run = self.more_controls(number)
            if isinstance(run, Run):
                self.group_of(run)

    def read(self, _trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        """See `Judge.read`."""
        group = self.group_of(runs[0])
        return Observation(Reading.AGREES if group == 0 else Reading.DRIFTS, group)

    def forget(self) -> None:
        """See `Judge.forget`."""
        self._groups = []

    def group_of(self, run: Run) -> int:
        """Which of the results so far the run's is; a new one where it is like none.

        Of a program that always gives another one, only the first few are looked at, for all others
        would be compared with all; and those of runs under the same changes, which may well repeat
        each other.
        """
        for number, other in enumerate(self._groups):
            alike = other.target.variations == run.target.variations
            near = number < _MOST_RESULTS or alike
            if near and not self.comparison.failing(run, other):
                return number
        self._groups.append(run)
        return len(self._groups) - 1

    def differences(self, run: Run) -> tuple[Difference, ...]:
        """How a run differs from the control, but for pickles that nobody has opened yet."""
        return () if self.control is None else self.comparison.seen_unopened(run, self.control)


class ClockJudge:
    """Reads as a `ControlJudge` does, and sets apart what a clock or an id makes.

    Where runs with nothing changed differ in that, the search begins again without it.
    """

    def __init__(self, judge: ControlJudge) -> None:
        self._judge = judge
        self._looked_at = 0
        self._unlike: tuple[Run, Run] | None = None
        self._beginnings = 1

    @property
    def apart(self) -> Exclusions:
        """What is set apart so far."""
        return self._judge.comparison.apart

    def before_changes(self) -> None:
        """See `ControlJudge.before_changes`."""
        self._judge.before_changes()

    def read(self, trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        """See `Judge.read`."""
        seen = self._judge.read(trial, runs)
        if seen.group and self._beginnings < _MOST_BEGINNINGS and self._is_by_clock(trial, runs[0]):
            raise BeginAgainError
        return seen

    def forget(self) -> None:
        """See `Judge.forget`."""
        self._judge.forget()
        self._beginnings += 1

    def set_apart_more(self, controls: Iterable[Run]) -> bool:
        """Set apart also what may be ids and may be something else; whether there is any.

        Args:
            controls: runs with nothing changed.
        """
        comparison, first = self._judge.comparison, self._judge.control
        found = Exclusions()
        for run in controls if first is not None else ():
            assert first is not None
            differences = comparison.failing(run, first)
            found = joined(found, set_apart(differences, comparison.rules, last_resort=True))
            if found and self._unlike is None:
                self._unlike = (run, first)
        self._judge.comparison = comparison.less(found)
        self._beginnings = 0
        return bool(found)

    def apart_outcome(self) -> Outcome | None:
        """Two runs with nothing changed that a clock or an id makes differ, by the project's own
        rules; None where there are none."""
        if self._unlike is None:
            return None
        return replace(self._judge.comparison, apart=Exclusions()).compare(*self._unlike)

    def _is_by_clock(self, trial: Trial, run: Run) -> bool:
        """Whether more is set apart now, as runs with nothing changed differ in it.

        Where a trial with changes differs in nothing but what looks like it, and the controls
        agreed, some more of these are made: a clock that is shown in seconds is often the same.
        """
        control = self._judge.control
        assert control is not None
        if not trial.changes:
            return self._note_apart(run, control)
        if is_all_apart(self._judge.comparison.failing(run, control)):
            while self._looked_at < 1 + _MORE_CONTROLS:  # the first may be there already
                self._looked_at += 1
                made = self._judge.more_controls(self._looked_at)
                if isinstance(made, Run) and self._note_apart(made, control):
                    return True
        return False

    def _note_apart(self, run: Run, control: Run) -> bool:
        comparison = self._judge.comparison
        found = set_apart(comparison.failing(run, control), comparison.rules)
        if not found:
            return False
        self._unlike = self._unlike or (run, control)
        self._judge.comparison = comparison.less(found)
        return True
