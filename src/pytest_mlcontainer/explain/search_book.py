"""The book of a search: trials asked for and their observations, within a budget of runs."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_mlcontainer.explain.trials import Observation, Observations, Plan, Reading, Trial

T = TypeVar("T")
Names = frozenset[str]
# A step of a search: yields plans, is sent what came of them, and returns its answer.
Asking = Generator[Plan, Observations, T]

CONTROL: Names = frozenset()

# Failures in a row that count as failing: where nothing failed at random so far, and where
# something did or a larger set of changes works.
PATIENCE = 2
PATIENCE_WHEN_FLAKY = 5


class BudgetEndsError(Exception):
    """No run is left for what the search wants to know next."""


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, sorted."""
    return ", ".join(sorted(names))


@dataclass
class TrialBook:
    """Every trial asked for, and what came of it.

    Args:
        budget: trials that may be asked for in all.
        seen: what came of them.
        patience: failures in a row that count as failing, where nothing failed at random.
    """

    budget: int
    seen: Observations = field(default_factory=dict)
    patience: int = PATIENCE

    @property
    def runs(self) -> int:
        return len(self.seen)

    @property
    def sets(self) -> tuple[Names, ...]:
        """All sets of changes that were run, in the order in which they were first asked for."""
        return tuple(dict.fromkeys(frozenset(trial.changes) for trial in self.seen))

    def of(self, names: Names) -> tuple[Observation, ...]:
        """What came of runs under just these changes, in the order of their repeats."""
        changes = tuple(sorted(names))
        found = {
            trial.repeat: seen for trial, seen in self.seen.items() if trial.changes == changes
        }
        return tuple(found[repeat] for repeat in sorted(found))

    def worked(self, names: Names) -> tuple[Observation, ...]:
        return tuple(seen for seen in self.of(names) if seen.reading is not Reading.FAILS)

    def failures(self, names: Names) -> tuple[str, ...]:
        return tuple(seen.failure for seen in self.of(names) if seen.reading is Reading.FAILS)

    @property
    def flaky(self) -> int:
        """Runs that failed although the same had worked."""
        return sum(len(self.failures(names)) for names in self.sets if self.worked(names))

    def reading(self, names: Names) -> Reading | None:
        """How the first run under these changes that worked came out; None without any run.

        Where the very first control failed, nothing could be held against it: what agrees with
        the first control that worked is then told by groups.
        """
        worked = self.worked(names)
        if not worked:
            return Reading.FAILS if self.of(names) else None
        return self.judged(worked[0])

    def judged(self, seen: Observation) -> Reading:
        """One run that worked, held against the first control that did."""
        first = self.seen.get(Trial())
        if first is not None and first.reading is not Reading.FAILS:
            return seen.reading
        controls = self.worked(CONTROL)
        same = bool(controls) and seen.group == controls[0].group
        return Reading.AGREES if same else Reading.DRIFTS

    def repeatable(self, names: Names) -> bool:
        """Whether all runs under these changes that worked have the same result."""
        worked = self.worked(names)
        if names == CONTROL:
            return all(self.judged(seen) is Reading.AGREES for seen in worked)
        return len({seen.group for seen in worked}) <= 1

    @property
    def agreed(self) -> bool:
        """Whether any run but the control itself gave the control's result."""
        judged = [self.judged(seen) for n in self.sets for seen in self.worked(n)]
        return judged.count(Reading.AGREES) > 1

    @property
    def drifted(self) -> frozenset[int]:
        """The results, by their numbers, of all runs that drift."""
        worked = (seen for names in self.sets for seen in self.worked(names))
        return frozenset(s.group for s in worked if self.judged(s) is Reading.DRIFTS)

    @property
    def chance_failures(self) -> frozenset[str]:
        """What runs failed with although the same had worked."""
        return frozenset(
            f for names in self.sets if self.worked(names) for f in self.failures(names)
        )

    def failing(self, names: Names, least: int) -> bool:
        """Whether these changes make it fail, as far as failures in a row tell.

        A failure that is known to come by chance, or that a larger set of changes does not have,
        has to be seen more often.
        """
        failures = self.failures(names)
        by_chance = self.chance_failures
        telling = sum(failure not in by_chance for failure in failures)
        if any(names < other for other in self.sets if self.worked(other)):
            telling = 0
        enough = telling >= least or len(failures) >= PATIENCE_WHEN_FLAKY
        return enough and not self.worked(names)

    def ask(self, wanted: Iterable[Names]) -> Asking[None]:
        """One run more for each set, all in one plan; a set may be there several times.

        Raises:
            BudgetEndsError: not all of them could be run. Those that could have been.
        """
        trials: list[Trial] = []
        for names in wanted:
            changes = tuple(sorted(names))
            repeat = sum(trial.changes == changes for trial in (*self.seen, *trials))
            trials.append(Trial(changes, repeat))
        affordable = trials[: max(0, self.budget - self.runs)]
        if affordable:
            observed = yield tuple(affordable)
            self.seen.update({trial: observed[trial] for trial in affordable})
        if len(affordable) < len(trials):
            raise BudgetEndsError

    def settle(self, wanted: Collection[Names], least: int | None = None) -> Asking[None]:
        """Run each set until it worked once, or failed as often as it takes to say that it does."""
        needed = self.patience if least is None else least
        wanted = tuple(dict.fromkeys(wanted))
        missing = [names for names in wanted if not self.of(names)]
        if missing:
            yield from self.ask(missing)
        while again := [n for n in wanted if not self.worked(n) and not self.failing(n, needed)]:
            yield from self.ask(again)

    def repeat(self, names: Names, times: int) -> Asking[None]:
        """Run a set until it worked so many times, if it does not rather fail."""
        tries = 0
        while (missing := times - len(self.worked(names))) > 0 and tries < PATIENCE_WHEN_FLAKY:
            yield from self.ask([names] * missing)
            tries += 1
