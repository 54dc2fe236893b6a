"""Which changes of the environment cause a drift, found by intervention."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_mlcontainer.explain.pins import pinning
from pytest_mlcontainer.explain.search_aims import (
    ControlsDisagreeError,
    PlaceboDriftsError,
    Reweigh,
    SearchInput,
    prior_within,
)
from pytest_mlcontainer.explain.search_book import (
    CONTROL,
    Asking,
    BudgetEndsError,
    Names,
    TrialBook,
    listed,
)
from pytest_mlcontainer.explain.search_crashes import (
    CrashWeights,
    WithoutCrashes,
    clear_crashes,
    crashes_met,
    settle_control,
)
from pytest_mlcontainer.explain.search_evidence import (
    CONFIRMED,
    CONTROLS,
    SUSPECTED,
    hold_cause,
    lacking,
)
from pytest_mlcontainer.explain.search_probable import narrow_probable
from pytest_mlcontainer.explain.search_rounds import plan_rounds
from pytest_mlcontainer.explain.search_sets import (
    ContradictionError,
    DriftPredicate,
    SteadyDriftPredicate,
    minimal,
    suspicion,
)
from pytest_mlcontainer.explain.search_words import (
    LeftOutChanges,
    beside_placebo,
    evidence_of,
    too_small,
    unconfirmed,
    what_is_known,
)
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
# Controls that have to agree before a drift under what differs between any two runs is called one.
CONTROLS_OF_NATURAL = 8
# So many causes are found sooner where the first control is the one that is not like others.
MANY = 4


@dataclass
class CauseSearch:
    """The search for causes: what it goes by, and what it found so far.

    Args:
        found: causes, each with two runs; named once chance is no explanation.
        waiting: sets that are still to be looked into.
        closed: of each set that was looked into, what was left out for the rest to agree; nothing
            where it agrees as it is.
        crashes, open, suspects: as in `Findings`.
        scope: what is being narrowed, known to drift; empty where nothing is.
        shares: how likely each cause was held to be before it was looked for, of 1.
    """

    aims: SearchInput
    book: TrialBook
    found: list[Names] = field(default_factory=list)
    waiting: list[Names] = field(default_factory=list)
    closed: list[list[Names]] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    suspects: Names = frozenset()
    scope: Names = frozenset()
    shares: dict[Names, float] = field(default_factory=dict)

    def run(self) -> Search:
        try:
            return (yield from self._run())
        except BudgetEndsError:
            self._cut_short()
        except ControlsDisagreeError:
            return (yield from self._pin())
        except PlaceboDriftsError:
            self.open.append(beside_placebo(frozenset[str]().union(*self.found)))
            self.found, self.closed = [frozenset(self.aims.placebo[:1])], [[]]
        return self._findings(self._kind())

    def _run(self) -> Search:
        aims = self.aims
        rounds = plan_rounds(aims.names, aims.weights, aims.apart, aims.kin)
        yield from self.book.ask([*[CONTROL] * (1 + aims.extra_controls), *rounds[:1]])
        if not (yield from settle_control(self.book, self.open)):
            return self._findings(SearchOutcome.FAILED)
        self._hold_controls()
        if not rounds or self.book.reading(rounds[0]) is Reading.AGREES:
            yield from self._more_controls(rounds[1:])
            yield from self.book.settle(rounds)
        try:
            yield from self._explore_all(rounds)
            yield from self._confirm_all()
        except ContradictionError as contradiction:
            yield from self._doubt(contradiction)
        if not self.found:
            yield from self._more_controls()
        return self._findings(self._kind())

    def _hold_controls(self) -> None:
        if not self.book.repeatable(CONTROL):
            raise ControlsDisagreeError

    def _more_controls(self, beside: Sequence[Names] = ()) -> Asking[None]:
        """As many controls as it takes to say that all agree, in one plan with other sets."""
        missing = CONTROLS + self.aims.extra_controls - len(self.book.worked(CONTROL))
        yield from self.book.ask([*[CONTROL] * missing, *beside])
        self._hold_controls()

    def _steady(self) -> Asking[None]:
        """A second control, where all runs so far may differ from each other by themselves."""
        if not self.book.agreed and len(self.book.drifted) > 1:
            yield from self.book.ask([CONTROL])
            self._hold_controls()

    def _explore_all(self, rounds: Sequence[Names]) -> Asking[None]:
        self.waiting += rounds
        while self.waiting:
            alone = (crash.names for crash in self.crashes if len(crash.names) == 1)
            whole = self.waiting[0].difference(*alone)
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
                yield from self._explore(cleared.works, known)
            del self.waiting[0]

    def _one_of_each_found(self, whole: Names) -> Names:
        """Of each cause within `whole` one member, of several in turn: without it it may agree."""
        return frozenset(sorted(f)[len(self.closed) % len(f)] for f in self.found if f <= whole)

    def _explore(self, whole: Names, left_out: Names) -> Asking[None]:
        """Find every smallest set within `whole`, by leaving out members of those found.

        Args:
            left_out: what is not in `whole`, as it is part of a cause that is known.
        """
        drifts = DriftPredicate(self.book)
        self.closed.append([])
        waiting, met = [CONTROL], {CONTROL}
        while waiting:
            without = waiting.pop(0)
            rest = whole - without
            cause = next((found for found in self.found if found <= rest), None)
            if cause is None:
                if not rest or not (yield from drifts.ask(rest)):
                    self._close(without | left_out, rest)
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
        """One smallest cause within `rest`, which drifts; not yet confirmed."""
        self.scope = rest
        drifts = SteadyDriftPredicate(self.book, self._steady)
        prior = prior_within(rest, self.aims, self.book, self.found)
        cause = yield from narrow_probable(drifts, prior, rest)
        if len(cause) > 1:
            # That larger sets agree says little of these, where some changes hide others.
            yield from self.book.settle([cause - {name} for name in sorted(cause)])
        cause = yield from minimal(drifts, cause)
        if cause <= self.aims.natural:
            # Any two runs differ in it: that those with nothing changed agree may be luck.
            yield from self.book.repeat(CONTROL, CONTROLS_OF_NATURAL)
            self._hold_controls()
        yield from self._leave_out(cause, rest)
        self.scope = frozenset()
        self.found.append(cause)
        self.shares[cause] = prior.share(cause)
        if len(self.found) == MANY:
            yield from self.book.ask([CONTROL, CONTROL])
            self._hold_controls()
        if len(self.found) == 2 or self.shares[cause] < SUSPECTED:
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

    def _leave_out(self, cause: Names, rest: Names) -> Asking[None]:
        """Repeat a cause, and run what is left without each of its members, all at once.

        Raises:
            ContradictionError: the cause does not drift each time.
            ControlsDisagreeError: controls asked for to settle it disagree.
        """
        book = self.book
        others = [
            rest - {name}
            for name in sorted(cause)
            if len(rest) > 1 and not any(found <= rest - {name} for found in self.found)
        ]
        untried = [names for names in others if DriftPredicate(book).known(names) is None]
        yield from book.ask([*[cause] * max(0, CONFIRMED - len(book.worked(cause))), *untried])
        yield from book.settle(untried)
        if not book.agreed:
            yield from book.ask([CONTROL])
        self._hold_controls()
        hold_cause(book, cause)

    def _confirm_all(self) -> Asking[None]:
        """Make what is lacking until all causes that were found can be named.

        Raises:
            ContradictionError: one does not drift each time.
            ControlsDisagreeError: controls asked for to settle it disagree.
        """
        book = self.book
        while missing := {names for cause in self.found for names in self._lacking(cause)}:
            yield from book.ask(sorted(missing, key=sorted))
            self._hold_controls()
            for cause in missing - {CONTROL}:
                hold_cause(book, cause)
                if not book.repeatable(cause):
                    yield from book.ask([cause, cause, CONTROL, CONTROL])
                    self._hold_controls()
                    hold_cause(book, cause)

    def _lacking(self, cause: Names) -> tuple[Names, ...]:
        return lacking(self.book, cause, {found: self.shares[found] for found in self.found})

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
        left_out = LeftOutChanges.UNKNOWN
        if self._agrees_without(names):
            left_out = LeftOutChanges.CAUSE
        elif self._agrees_without(names.union(*self.found)):
            left_out = LeftOutChanges.CAUSES
        controls = len(self.book.worked(CONTROL)) if names <= self.aims.natural else 0
        return evidence_of(names, self.book, left_out, controls)

    def _agrees_without(self, names: Names) -> bool:
        """Whether all sets were looked into, and each agrees with none but these left out."""
        known = all(any(closed <= names for closed in each) for each in self.closed)
        return known and not self.waiting

    def _cut_short(self) -> None:
        """Say what is known at the end of the budget."""
        for cause in [each for each in self.found if self._lacking(each)]:
            self.found.remove(cause)
            self.suspects |= cause
            self.open.append(unconfirmed(cause, self.book))
        if not self.book.agreed:
            self.open.append(too_small(self.book.budget))
        elif not self.book.repeatable(CONTROL):
            self.suspects = frozenset()
        drifting = [n for n in self.book.sets if self.book.reading(n) is Reading.DRIFTS]
        inside = [names for names in drifting if self.scope and names <= self.scope]
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
    aims = SearchInput(
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
    return CauseSearch(aims, TrialBook(max(0, budget))).run()
