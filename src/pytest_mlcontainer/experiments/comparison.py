"""How two runs of one entrypoint are compared, less what a clock or an id makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_mlcontainer.compare import unopened
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.apart import Exclusions, joined
from pytest_mlcontainer.judging.evidence import for_repeats
from pytest_mlcontainer.model import (
    Comparator,
    Difference,
    Entrypoint,
    Outcome,
    Output,
    Pairs,
    Rule,
    Run,
)

# Both runs, with those pickles opened that cannot be compared otherwise by these rules.
OpenRuns = Callable[[Run, Run, tuple[Rule, ...]], tuple[Run, Run]]


@dataclass(frozen=True)
class RunComparison:
    """Compares runs of an entrypoint.

    Args:
        entry: with the rules, the names and the outputs that count.
        comparators: formats that plugins add.
        apart: what is set apart, and judged by none of the rules.
    """

    open: OpenRuns
    entry: Entrypoint
    comparators: tuple[Comparator, ...] = ()
    apart: Exclusions = Exclusions()

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.apart.amended(self.entry.rules)

    @property
    def names(self) -> Pairs:
        return (*self.entry.names, *self.apart.names)

    def less(self, more: Exclusions) -> RunComparison:
        """The same with more set apart."""
        return replace(self, apart=joined(self.apart, more))

    def compare(self, actual: Run, expected: Run) -> Outcome:
        """One run held against the other, in full."""
        outcome = self._compared(*self.open(actual, expected, self.rules))
        return replace(outcome, notes=self.apart.notes(outcome.notes))

    def failing(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        """The differences that do not pass; none where both agree.

        A pickle takes a container to open. It is opened only where all else agrees; otherwise
        nothing is said of it.
        """
        closed = unopened(actual.written, expected.written, self.rules, self.names)
        if any(closed):
            rest = _without(actual, closed[0]), _without(expected, closed[1])
            if (rest[0].written or rest[1].written) and (found := self._failing(*rest)):
                return found
            actual, expected = self.open(actual, expected, self.rules)
        return self._failing(actual, expected)

    def seen_unopened(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        """All differences but those of pickles that nobody has opened yet."""
        closed = unopened(actual.written, expected.written, self.rules, self.names)
        return self._compared(
            _without(actual, closed[0]), _without(expected, closed[1])
        ).differences

    def _failing(self, actual: Run, expected: Run) -> tuple[Difference, ...]:
        compared = self._compared(actual, expected)
        if compared.verdict.passes:
            return ()
        return tuple(each for each in compared.differences if not each.verdict.passes)

    def _compared(self, actual: Run, expected: Run) -> Outcome:
        return compare_runs(
            actual, expected, self.rules, self.comparators, self.names, self.entry.outputs
        )


def as_repeats(entry: Entrypoint) -> Entrypoint:
    """The entrypoint with the rules by which runs of one and the same are compared."""
    return replace(entry, rules=tuple(for_repeats(rule) for rule in entry.rules))


def _without(run: Run, names: frozenset[str]) -> Run:
    outputs: tuple[Output, ...] = tuple(each for each in run.outputs if each.name not in names)
    return replace(run, outputs=outputs)
