"""Which part of the environment has to be pinned for repeats to agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, lgamma

from pytest_mlcontainer.explain.search_book import (
    CONTROL,
    Asking,
    BudgetEndsError,
    Names,
    TrialBook,
    listed,
)
from pytest_mlcontainer.explain.search_crashes import WithoutCrashes, clear_crashes
from pytest_mlcontainer.explain.search_sets import (
    ContradictionError,
    MonotonePredicate,
    Prior,
    minimal,
    narrow,
    suspicion,
)
from pytest_mlcontainer.explain.trials import Findings, SearchOutcome
from pytest_mlcontainer.model import Cause

PREFIX = "pin:"
RANDOMNESS = "randomness"

# Runs under a pin that have to agree before it is named.
CONFIRMED = 3
CONTROLS = 4
# A pin is named when what was seen is so much less likely were it without effect; for a pin that is
# one of several, so much less again as it is less suspected than all together.
LUCK = 0.02
# Rounds of further runs, each of one with the pin and one without, before that is left open.
ROUNDS = 12
# Runs that agree before the search believes that a set of pins is enough: where no two runs with
# nothing pinned had the same result; where some had; and at most, after luck misled it.
REPEATS = 2
REPEATS_WHEN_ALIKE = 4
MOST_REPEATS = 6


@dataclass
class SteadyPredicate(MonotonePredicate):
    """Whether repeats agree while these variations are pinned.

    Two repeats may agree by chance; they cannot disagree where everything that matters is pinned.
    So only a disagreement says something about other sets: all smaller ones disagree as well.
    """

    least: int = REPEATS

    def seen(self, names: Names) -> bool | None:
        worked = self.book.worked(names)
        if not self.book.repeatable(names):
            return False
        return True if len(worked) >= self.least else None

    def known(self, names: Names) -> bool | None:
        if any(other >= names and self.seen(other) is False for other in self.book.sets):
            return False
        return self.seen(names)

    def ask(self, names: Names) -> Asking[bool]:
        known = self.known(names)
        for runs in range(2, self.least + 2, 2):
            if known is None:
                yield from self.book.repeat(names, min(runs, self.least))
                known = self.seen(names)
        return known is True

    def recheck(self, names: Names) -> Asking[None]:
        yield from self.book.repeat(names, self.least + 1)
        if not self.book.repeatable(names):
            raise ContradictionError(
                names, f"with {bare(names)} pinned, two runs agree and a third not"
            )


@dataclass
class Pinning:
    """The search for the smallest set to pin: its input, and its results so far."""

    book: TrialBook
    pinned: Names
    prior: Prior
    causes: list[Cause] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    suspects: Names = frozenset()

    def findings(self) -> Findings:
        return Findings(
            SearchOutcome.NONDETERMINISTIC,
            causes=tuple(self.causes),
            flaky=self.book.flaky,
            chance_failures=tuple(sorted(self.book.chance_failures)),
            runs=self.book.runs,
            open=tuple(self.open),
            suspects=tuple(sorted(plain(self.suspects))),
        )

    def run(self) -> Asking[None]:
        """Find the smallest pin; what came of it is in `causes`, `open` and `suspects`."""
        try:
            yield from self._run()
        except BudgetEndsError:
            self._cut_short()

    def _run(self) -> Asking[None]:
        cleared = WithoutCrashes(self.pinned)
        if self.pinned:
            yield from self.book.ask([self.pinned] * 2)
        yield from clear_crashes(self.book, self.prior, None, cleared)
        self.pinned = cleared.works
        self.open += [
            f"{bare(frozenset(crash.names))} could not be pinned: {crash.failure}"
            for crash in cleared.crashes
        ]
        if not self.pinned:
            self._name_randomness("the same run gives different results, and nothing can be pinned")
            return
        question = SteadyPredicate(self.book, REPEATS_WHEN_ALIKE if self._alike() else REPEATS)
        while question.least <= MOST_REPEATS:
            yield from self.book.repeat(self.pinned, question.least)
            if not self.book.repeatable(self.pinned):
                times = len(self.book.worked(self.pinned))
                self._name_randomness(
                    f"with {bare(self.pinned)} pinned all at once, {times} runs still disagree"
                )
                return
            if (yield from self._attempt(question)):
                return
            question.least += 1
        self._leave_open(self.pinned, "what has to be pinned is not known: repeats contradict")

    def _alike(self) -> bool:
        """Whether runs that nothing pins give the same now and then: repeats then agree by luck."""
        free = [names for names in self.book.sets if not names & self.pinned]
        groups = Counter(seen.group for names in free for seen in self.book.worked(names))
        return max(groups.values(), default=0) > 1

    def _attempt(self, question: SteadyPredicate) -> Asking[bool]:
        """Search once. False where the set found turns out not to be enough."""
        try:
            found = yield from narrow(question, self.prior, self.pinned, CONTROL)
            found = yield from minimal(question, found)
        except ContradictionError:
            return False
        return (yield from self._confirm(found))

    def _confirm(self, found: Names) -> Asking[bool]:
        """Repeat until luck is no explanation. False where two runs under the pins disagree."""
        book = self.book
        others = self.pinned - found
        yield from book.ask(
            [
                *[found] * max(0, CONFIRMED - len(book.worked(found))),
                *[others] * (max(0, 2 - len(book.of(others))) if others else 0),
                *[CONTROL] * max(0, CONTROLS - len(book.worked(CONTROL))),
            ]
        )
        yield from book.repeat(found, CONFIRMED)
        for _ in range(ROUNDS):
            if not book.repeatable(found):
                return False
            if self._luck(found) <= LUCK * self.prior.share(found):
                self._name(found)
                return True
            yield from book.ask([found, CONTROL])
        if not book.repeatable(found):
            return False
        self._leave_open(
            found,
            f"repeats disagree too rarely to tell whether pinning {bare(found)} is what helps",
        )
        return True

    def _luck(self, found: Names) -> float:
        """How much less likely what was seen is, were pinning `found` without effect.

        Of the runs that could have disagreed with an earlier one of the same kind, so many did,
        all of them without the pins. Either all runs disagree as often as each other, or those
        with the pins never do; how often is unknown, and evenly likely from never to always. (The
        ratio of two beta-binomial likelihoods.) One control that disagrees does not count: had
        none, nobody would be looking for pins.
        """
        with_pins = without = disagreed = 0
        for names in self.book.sets:
            if names and not names <= self.pinned:
                continue
            groups = Counter(seen.group for seen in self.book.worked(names))
            runs = sum(groups.values())
            if found <= names:
                with_pins += max(0, runs - 1)
            elif runs:
                without += runs - 1
                disagreed += runs - max(groups.values())
        agreed = max(0, without - disagreed)
        disagreed = max(0, disagreed - 1)
        return exp(
            lgamma(agreed + with_pins + 1)
            - lgamma(agreed + with_pins + disagreed + 2)
            - lgamma(agreed + 1)
            + lgamma(agreed + disagreed + 2)
        )

    def _name(self, found: Names) -> None:
        book = self.book
        others = self.pinned - found
        text = f"with it pinned, {len(book.worked(found))} of {len(book.worked(found))} runs agree"
        if len(found) > 1:
            text = text.replace("with it ", "with them ")
        if others and not book.repeatable(others):
            text += ", with all others pinned they disagree"
        elif others:
            text += f"; pinning {bare(others)} instead may be enough, too"
        self._add(tuple(sorted(plain(found))), text)

    def _name_randomness(self, text: str) -> None:
        self._add((RANDOMNESS,), text)

    def _add(self, names: tuple[str, ...], text: str) -> None:
        self.suspects = frozenset()
        self.causes.append(Cause(names, self.book.runs, text))

    def _leave_open(self, suspects: Names, text: str) -> None:
        self.suspects = suspects
        self.open.append(text)

    def _cut_short(self) -> None:
        question = SteadyPredicate(self.book)
        enough = [n for n in self.book.sets if n and n <= self.pinned and question.seen(n)]
        suspects = min(enough, key=len, default=self.pinned)
        known = (
            f"pinning {bare(suspects)} made repeats agree"
            if enough
            else "whether pinning helps was not tried"
        )
        self._leave_open(
            suspects,
            f"the same run gives different results; {known}, and the budget of runs ended before"
            " the smallest pin was found and confirmed",
        )


def prefixed(names: Sequence[str]) -> Names:
    """Names of pins as trials have them, so that none is taken for a change."""
    return frozenset(PREFIX + name for name in names)


def plain(pins: Names) -> Names:
    return frozenset(name.removeprefix(PREFIX) for name in pins)


def bare(pins: Names) -> str:
    """Pins in a sentence."""
    return listed(plain(pins))


def pinning(book: TrialBook, names: Sequence[str], weights: Mapping[str, float]) -> Pinning:
    """A search for pins that goes on with what a book has seen."""
    pinned = prefixed(names)
    prior = suspicion(pinned, {PREFIX + name: weight for name, weight in weights.items()})
    return Pinning(book, pinned, prior, suspects=pinned)
