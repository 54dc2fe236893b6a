"""Which changes of the environment cause a drift, found by intervention."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_mlcontainer.explain.pins import pinning
from pytest_mlcontainer.explain.search_aims import (
    Aims,
    ControlsDisagreeError,
    PlaceboDriftsError,
    Reweigh,
)
from pytest_mlcontainer.explain.search_book import (
    CONTROL,
    PATIENCE_WHEN_FLAKY,
    Asking,
    Book,
    BudgetEndsError,
    Names,
    listed,
)
from pytest_mlcontainer.explain.search_crashes import (
    CrashWeights,
    WithoutCrashes,
    clear_crashes,
    crashes_met,
)
from pytest_mlcontainer.explain.search_probable import narrow_probable
from pytest_mlcontainer.explain.search_rounds import plan_rounds
from pytest_mlcontainer.explain.search_sets import (
    ContradictionError,
    Drifts,
    Prior,
    minimal,
    suspicion,
)
from pytest_mlcontainer.explain.search_words import LeftOut, evidence_of, what_is_known
from pytest_mlcontainer.explain.trials import (
    Crash,
    Findings,
    Reading,
    Search,
    SearchOutcome,
)
from pytest_mlcontainer.model import Cause

# Sets of changes left out while further causes are looked for, at most.
MOST_BRANCHES = 24
# Runs under a cause that confirm it; one more where there was little reason to suspect it, that is
# where it had less than this share of suspicion: chance has more ways then to look like a cause.
CONFIRMED = 2
CONFIRMED_UNSUSPECTED = 3
SUSPECTED = 0.1
# Controls that have to agree before a drift under what differs between any two runs is called one.
CONTROLS_OF_NATURAL = 8
# So many causes are found sooner where the first control is the one that is not like others.
MANY = 4


@dataclass
class CauseSearch:
    """The search for causes: what it goes by, and what it found so far.

    Args:
        found: causes that are confirmed.
        waiting: sets that are still to be looked into.
        closed: of each set that was looked into, what was left out for the rest to agree; nothing
            where it agrees as it is.
        crashes, open, suspects: as in `Findings`.
        scope: what is being narrowed, known to drift; empty where nothing is.
    """

    aims: Aims
    book: Book
    found: list[Names] = field(default_factory=list)
    waiting: list[Names] = field(default_factory=list)
    closed: list[list[Names]] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    suspects: Names = frozenset()
    scope: Names = frozenset()

    def run(self) -> Search:
        try:
            return (yield from self._run())
        except BudgetEndsError:
            self._cut_short()
        except ControlsDisagreeError:
            return (yield from self._pin())
        except PlaceboDriftsError:
            self._name_placebo()
        return self._findings(self._kind())

    def _run(self) -> Search:
        aims = self.aims
        rounds = plan_rounds(aims.names, aims.weights, aims.apart, aims.kin)
        controls = [CONTROL] * (2 + aims.extra_controls)
        yield from self.book.ask([*controls, *rounds[:1]])
        if not (yield from self._controls_work()):
            return self._findings(SearchOutcome.FAILED)
        self._hold_controls()
        try:
            yield from self._explore_all(rounds)
        except ContradictionError as contradiction:
            yield from self._doubt(contradiction)
        return self._findings(self._kind())

    def _controls_work(self) -> Asking[bool]:
        """Get two controls that work. False where none does."""
        book = self.book
        failures = {failure for names in book.sets for failure in book.failures(names)}
        if len(failures) == 1 and not any(book.worked(names) for names in book.sets):
            return False
        tries = 0
        while len(book.worked(CONTROL)) < 2 and tries < PATIENCE_WHEN_FLAKY - 1:
            yield from book.ask([CONTROL])
            tries += 1
        works = next((names for names in book.sets if names and book.worked(names)), CONTROL)
        if works and not book.worked(CONTROL):
            self.open.append(f"it fails as it is, but works with {listed(works)} changed")
        return bool(book.worked(CONTROL))

    def _hold_controls(self) -> None:
        if not self.book.repeatable(CONTROL):
            raise ControlsDisagreeError

    def _explore_all(self, rounds: Sequence[Names]) -> Asking[None]:
        self.waiting += rounds
        if all(self.book.reading(names) is Reading.AGREES for names in rounds[:1]):
            yield from self.book.settle(rounds)
        while self.waiting:
            whole = self.waiting[0].difference(*self._failing_alone())
            known = self._one_of_each_found(whole)
            cleared = WithoutCrashes(whole - known)
            prior = suspicion(cleared.works, self.aims.weights, self.aims.natural)
            try:
                yield from clear_crashes(self.book, prior, self.aims.crash_weights, cleared)
            finally:
                self.crashes += [each for each in cleared.crashes if each not in self.crashes]
                self.open += cleared.open
            self.waiting += cleared.alone
            if cleared.works:
                yield from self._explore(cleared.works | known)
            del self.waiting[0]

    def _failing_alone(self) -> list[Names]:
        return [frozenset(crash.names) for crash in self.crashes if len(crash.names) == 1]

    def _one_of_each_found(self, whole: Names) -> Names:
        """Of each cause within `whole` one member: all of `whole` need not be run, it drifts."""
        return frozenset(min(found) for found in self.found if found <= whole)

    def _explore(self, whole: Names) -> Asking[None]:
        """Find every smallest set within `whole`, by leaving out members of those found."""
        drifts = Drifts(self.book)
        self.closed.append([])
        waiting, met = [CONTROL], {CONTROL}
        while waiting:
            without = waiting.pop(0)
            rest = whole - without
            cause = next((found for found in self.found if found <= rest), None)
            if cause is None:
                if not rest or not (yield from drifts.ask(rest)):
                    self._close(without, rest)
                    continue
                cause = yield from self._cause_within(rest)
            branches = [without | {name} for name in sorted(cause)]
            waiting += [branch for branch in branches if branch not in met]
            met.update(branches)
            if len(met) > MOST_BRANCHES:
                self.open.append("there may be further causes that share changes with those found")
                return

    def _close(self, without: Names, rest: Names) -> None:
        if not rest or self.book.reading(rest) is not Reading.FAILS:
            self.closed[-1].append(without)
        else:
            self.open.append(
                f"with {listed(rest)} changed, but not {listed(without)}, it fails; whether there"
                " are other causes among those is not known"
            )

    def _cause_within(self, rest: Names) -> Asking[Names]:
        """One smallest cause within `rest`, which drifts; confirmed."""
        self.scope = rest
        drifts = Drifts(self.book)
        prior = self._prior(rest)
        cause = yield from narrow_probable(drifts, prior, rest)
        if len(cause) > 1:
            # That larger sets agree says little of these, where some changes hide others.
            yield from self.book.settle([cause - {name} for name in sorted(cause)])
        cause = yield from minimal(drifts, cause)
        if cause <= self.aims.natural:
            # Any two runs differ in it: that those with nothing changed agree may be luck.
            yield from self.book.repeat(CONTROL, CONTROLS_OF_NATURAL)
            self._hold_controls()
        times = CONFIRMED if prior.share(cause) >= SUSPECTED else CONFIRMED_UNSUSPECTED
        yield from self._confirm(cause, rest, times)
        self.scope = frozenset()
        self.found.append(cause)
        if len(self.found) == MANY:
            yield from self.book.ask([CONTROL, CONTROL])
            self._hold_controls()
        if len(self.found) == 2 or times > CONFIRMED:
            yield from self._hold_placebo()
        return cause

    def _hold_placebo(self) -> Asking[None]:
        """See that the program agrees where nothing is changed that it could ask for.

        Raises:
            PlaceboDriftsError: it drifts all the same.
        """
        placebo = frozenset(self.aims.placebo[:1])
        if not placebo or any(set(self.aims.placebo) & found for found in self.found):
            return
        yield from self.book.repeat(placebo, 1)
        if self.book.reading(placebo) is Reading.DRIFTS:
            yield from self.book.ask([placebo, CONTROL, CONTROL])
            self._hold_controls()
            raise PlaceboDriftsError

    def _name_placebo(self) -> None:
        others = frozenset[str]().union(*self.found)
        self.open.append(
            f"{listed(others)} made it drift, too; each moves what lies in memory as well, so "
            "whether it does more cannot be told, nor was anything else looked for"
        )
        self.found, self.closed, self.scope = [frozenset(self.aims.placebo[:1])], [[]], frozenset()

    def _prior(self, rest: Names) -> Prior:
        weights = self.aims.weights
        worked = [
            (trial, seen)
            for trial, seen in self.book.seen.items()
            if frozenset(trial.changes) == rest and seen.reading is not Reading.FAILS
        ]
        if self.aims.reweigh is not None and worked:
            weights = self.aims.reweigh(*worked[0])
        known = frozenset().union(*self.found)
        factors = dict.fromkeys(weights, 1.0)
        for pair, factor in self.aims.kin.items():
            for name in pair - known if pair & known else ():
                factors[name] = max(factors.get(name, 1.0), factor)
        weights = {name: weight * factors[name] for name, weight in weights.items()}
        return suspicion(rest, weights, self.aims.natural)

    def _confirm(self, cause: Names, rest: Names, times: int) -> Asking[None]:
        """Repeat a cause, and run what is left without each of its members, all at once.

        Raises:
            ContradictionError: the cause does not drift each time.
            ControlsDisagreeError: controls asked for to settle it disagree.
        """
        book, drifts = self.book, Drifts(self.book)
        others = [
            rest - {name}
            for name in sorted(cause)
            if len(rest) > 1 and not any(found <= rest - {name} for found in self.found)
        ] or [CONTROL] * (not rest)
        untried = [names for names in others if names == CONTROL or drifts.known(names) is None]
        yield from book.ask([*[cause] * max(0, times - len(book.worked(cause))), *untried])
        yield from book.repeat(cause, times)
        yield from book.settle(untried)
        self._hold_controls()
        self._hold_cause(cause)
        if not book.repeatable(cause):
            yield from book.ask([cause, cause, CONTROL, CONTROL])
            self._hold_controls()
            self._hold_cause(cause)

    def _hold_cause(self, cause: Names) -> None:
        worked = self.book.worked(cause)
        drifted = sum(self.book.judged(seen) is Reading.DRIFTS for seen in worked)
        if len(worked) < 2 or drifted < len(worked):
            text = (
                f"with {listed(cause)} changed, {drifted} of {len(self.book.of(cause))} runs drift"
            )
            raise ContradictionError(cause, text)

    def _doubt(self, contradiction: ContradictionError) -> Asking[None]:
        """Nothing that was found can be trusted: see whether controls agree after all."""
        self.suspects = contradiction.names.union(*self.found)
        self.found, self.closed, self.scope = [], [[]], frozenset()
        self.open.append(f"{contradiction.text}, so no cause is named")
        yield from self.book.ask([CONTROL, CONTROL])
        self._hold_controls()

    def _pin(self) -> Search:
        """The program is not repeatable as it is: look for what has to be pinned."""
        state = pinning(self.book, self.aims.pins, self.aims.pin_weights)
        yield from state.run()
        return state.findings()

    def _kind(self) -> SearchOutcome:
        sets = self.book.sets
        if not self.book.repeatable(CONTROL):
            return SearchOutcome.NONDETERMINISTIC
        if not self.found and not all(self.book.repeatable(names) for names in sets):
            return SearchOutcome.NONDETERMINISTIC
        drifts = any(self.book.reading(names) is Reading.DRIFTS for names in sets)
        return SearchOutcome.DRIFT if drifts else SearchOutcome.CLEAN

    def _findings(self, kind: SearchOutcome) -> Findings:
        return Findings(
            kind,
            causes=tuple(self._cause(names) for names in self.found),
            crashes=(*self.crashes, *crashes_met(self.book, self.crashes)),
            flaky=self.book.flaky,
            chance_failures=tuple(sorted(self.book.chance_failures)),
            runs=self.book.runs,
            open=tuple(self.open),
            suspects=tuple(sorted(self.suspects)),
        )

    def _cause(self, names: Names) -> Cause:
        left_out = LeftOut.UNKNOWN
        if self._agrees_without(names):
            left_out = LeftOut.CAUSE
        elif self._agrees_without(names.union(*self.found)):
            left_out = LeftOut.CAUSES
        controls = len(self.book.worked(CONTROL)) if names <= self.aims.natural else 0
        return evidence_of(names, self.book, left_out, controls)

    def _agrees_without(self, names: Names) -> bool:
        """Whether all sets were looked into, and each agrees with none but these left out."""
        known = all(any(closed <= names for closed in each) for each in self.closed)
        return known and not self.waiting

    def _cut_short(self) -> None:
        """Say what is known at the end of the budget."""
        if len(self.book.worked(CONTROL)) < 2:
            self.open.append(
                f"a budget of {self.book.budget} is too small: not even two runs with nothing"
                " changed could be held against each other"
            )
        elif not self.book.repeatable(CONTROL):
            self.suspects = frozenset()
        drifting = [n for n in self.book.sets if self.book.reading(n) is Reading.DRIFTS]
        inside = [names for names in drifting if names <= self.scope] if self.scope else []
        smallest = min(inside, key=len, default=self.scope)
        agreeing = [n for n in self.book.sets if self.book.reading(n) is Reading.AGREES]
        left = smallest.difference(*agreeing) or smallest
        self.suspects |= left
        if left:
            self.open.append(what_is_known(smallest, left, agreeing, self.book.budget))
        else:
            self.open.append(f"the budget of {self.book.budget} runs ended before all was tried")


def search_causes(
    names: Sequence[str],
    weights: Mapping[str, float],
    *,
    natural: Collection[str] = (),
    pins: Sequence[str] = (),
    pin_weights: Mapping[str, float] | None = None,
    apart: Collection[frozenset[str]] = (),
    kin: Mapping[frozenset[str], float] | None = None,
    budget: int = 40,
    extra_controls: int = 0,
    reweigh: Reweigh | None = None,
    crash_weights: CrashWeights | None = None,
    placebo: tuple[str, ...] = (),
) -> Search:
    """Find every smallest set of changes that makes a result drift, each shown by intervention.

    Args:
        names: of the changes that can be made.
        weights: how much each is suspected; they order the search and decide nothing.
        natural: of the changes, those in which any two runs differ by themselves.
        pins: what can be kept from differing between runs; asked for, with `pin:` before each
            name, where runs with nothing changed disagree.
        apart: pairs that hide each other, and are never in the same trial.
        kin: pairs of which both may well be causes, with how much more one of them is suspected
            where the other is one.
        budget: how many trials may be asked for.
        extra_controls: further controls in the first plan.
        reweigh: weights from how a trial of everything, or of all but causes found, came out.
        crash_weights: weights from what a trial failed with.
        placebo: of a change that no program can ask for, its name, and those of changes under
            which it would show all the same. It is tried where several causes were found, or one
            that nothing spoke for: where it drifts, so may anything, and it alone is named.
    """
    aims = Aims(
        tuple(names),
        weights,
        frozenset(natural),
        tuple(pins),
        {} if pin_weights is None else pin_weights,
        tuple(apart),
        {} if kin is None else kin,
        extra_controls,
        reweigh,
        crash_weights,
        placebo,
    )
    return CauseSearch(aims, Book(max(0, budget))).run()
