"""Finds the changes under which a run fails, and leaves them out, because a crash hides drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from pytest_mlcontainer.explain.search_book import (
    CONTROL,
    PATIENCE_WHEN_FLAKY,
    Asking,
    Names,
    TrialBook,
    listed,
)
from pytest_mlcontainer.explain.search_sets import (
    ContradictionError,
    CrashPredicate,
    Prior,
    narrow,
    suspicion,
)
from pytest_mlcontainer.explain.trials import Crash, Observation, Reading

CrashWeights = Callable[[Observation], Mapping[str, float]]

# Failures under one set of changes that confirm it, where nothing fails at random.
CONFIRMED = 3
# Searches for one crash that observations may contradict before it is left alone.
ATTEMPTS = 3


@dataclass
class WithoutCrashes:
    """A set of changes without those under which the run fails.

    Args:
        works: with these it runs; empty where nothing is left.
        crashes: what was taken out for.
        alone: single changes that are not in `works` although they alone do not fail.
        open: what is not known, in sentences.
    """

    works: Names
    crashes: list[Crash] = field(default_factory=list)
    alone: list[Names] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


def clear_crashes(
    book: TrialBook, prior: Prior, crash_weights: CrashWeights | None, cleared: WithoutCrashes
) -> Asking[None]:
    """Take changes out of `cleared.works` until it runs."""
    attempts = 0
    yield from book.settle([cleared.works])
    while cleared.works and book.reading(cleared.works) is Reading.FAILS:
        try:
            yield from _take_out_one(book, prior, crash_weights, cleared)
        except ContradictionError as contradiction:
            attempts += 1
            if attempts == ATTEMPTS:
                cleared.open.append(f"what makes it fail is not known: {contradiction.text}")
                cleared.works = CONTROL
        yield from book.settle([cleared.works])


def _take_out_one(
    book: TrialBook, prior: Prior, crash_weights: CrashWeights | None, cleared: WithoutCrashes
) -> Asking[None]:
    failure = yield from _settled_failure(book, cleared.works)
    failed = [seen for seen in book.of(cleared.works) if seen.reading is Reading.FAILS]
    told = next(seen for seen in failed if seen.failure == failure)
    suspected = prior if crash_weights is None else suspicion(cleared.works, crash_weights(told))
    question = CrashPredicate(book, failure)
    names = yield from narrow(question, suspected, cleared.works, CONTROL)
    out = prior.order(names)[-1:]
    left = cleared.works - frozenset(out)
    needed = PATIENCE_WHEN_FLAKY if book.flaky else CONFIRMED
    missing = max(0, needed - len(book.failures(names)))
    untried = [left] if left and not book.of(left) else []
    yield from book.ask([*[names] * missing, *untried])
    if book.worked(names):
        text = f"with {listed(names)} changed, one run fails and another works"
        raise ContradictionError(names, text)
    cleared.works = left
    cleared.crashes.append(Crash(tuple(sorted(names)), failure, len(book.failures(names))))
    if len(names) > 1:
        cleared.alone.append(frozenset(out))


def _settled_failure(book: TrialBook, names: Names) -> Asking[str]:
    """What these changes make it fail with; asked for again where two failures are as frequent.

    Raises:
        ContradictionError: it worked.
    """
    while True:
        telling = [f for f in book.failures(names) if f not in book.chance_failures]
        ranked = Counter(telling or book.failures(names)).most_common(2)
        if len(ranked) == 1 or ranked[0][1] > ranked[1][1]:
            return ranked[0][0]
        if len(book.failures(names)) > PATIENCE_WHEN_FLAKY:
            return ranked[0][0]
        yield from book.ask([names])
        if book.worked(names):
            raise ContradictionError(names, f"with {listed(names)} changed, it fails now and then")


def crashes_met(book: TrialBook, known: Collection[Crash]) -> list[Crash]:
    """Single changes that failed again and again while something else was looked for.

    Args:
        known: those that need no telling.
    """
    told = {crash.names for crash in known}
    return [
        Crash(tuple(names), book.failures(names)[0], len(book.failures(names)))
        for names in book.sets
        if len(names) == 1 and tuple(names) not in told and book.failing(names, CONFIRMED)
    ]


def settle_control(book: TrialBook, unknown: list[str]) -> Asking[bool]:
    """Get a control that works. False where none does.

    Args:
        unknown: gets a sentence where only runs with something changed work.
    """
    if not any(map(book.worked, book.sets)):
        yield from book.ask([CONTROL])
    failures = {failure for names in book.sets for failure in book.failures(names)}
    if len(failures) == 1 and not any(map(book.worked, book.sets)):
        return False
    tries = 0
    while not book.worked(CONTROL) and tries < PATIENCE_WHEN_FLAKY - 1:
        yield from book.ask([CONTROL])
        tries += 1
    works = next((names for names in book.sets if names and book.worked(names)), CONTROL)
    if works and not book.worked(CONTROL):
        unknown.append(f"it fails as it is, but works with {listed(works)} changed")
    return bool(book.worked(CONTROL))
