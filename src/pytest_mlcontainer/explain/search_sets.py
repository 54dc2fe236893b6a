"""The smallest set of changes for which something holds: weighted bisection, then interplay."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod

from pytest_mlcontainer.explain.search_book import (
    PATIENCE_WHEN_FLAKY,
    Asking,
    Names,
    TrialBook,
    listed,
)
from pytest_mlcontainer.explain.trials import Reading

# A suspect with this share of all suspicion, and so many times an even share, is tried alone: where
# it is the one, nothing else has to be asked, while half of the suspects leaves open which of them.
ALONE = 0.2
STANDS_OUT = 1.5
# The share of suspicion that is spread evenly, so that no weight, however wrong, makes the search
# go through the names one by one.
DOUBT = 0.15


class ContradictionError(Exception):
    """Observations that no set of causes explains: the same changes gave different results.

    Args:
        names: the changes in question.
        text: what contradicts what, in a sentence.
    """

    def __init__(self, names: Names, text: str) -> None:
        super().__init__(text)
        self.names = names
        self.text = text


@dataclass
class MonotonePredicate(abc.ABC):
    """A property of sets of changes that, once a set has it, larger sets as a rule have as well."""

    book: TrialBook

    @abc.abstractmethod
    def seen(self, names: Names) -> bool | None:
        """Whether it held in runs under just these changes; None where they do not tell."""

    @abc.abstractmethod
    def ask(self, names: Names) -> Asking[bool]:
        """Whether it holds, by a run where what was seen does not tell."""

    @abc.abstractmethod
    def recheck(self, names: Names) -> Asking[None]:
        """A second look at something that was seen to hold.

        Raises:
            ContradictionError: it does not hold again.
        """

    def known(self, names: Names) -> bool | None:
        """Whether it holds, from what was seen of these changes, of fewer or of more.

        None where nothing tells, or where what was seen contradicts itself: there are changes that
        hide others, so then only a run under just these changes counts.
        """
        seen = self.seen(names)
        if seen is not None:
            return seen
        others = [(other, self.seen(other)) for other in self.book.sets]
        holds = any(held is True and other <= names for other, held in others)
        fails = any(held is False and other >= names for other, held in others)
        return None if holds == fails else holds


@dataclass
class DriftPredicate(MonotonePredicate):
    """Do these changes make the result drift?"""

    def seen(self, names: Names) -> bool | None:
        reading = self.book.reading(names)
        return None if reading in (None, Reading.FAILS) else reading is Reading.DRIFTS

    def ask(self, names: Names) -> Asking[bool]:
        known = self.known(names)
        if known is None:
            yield from self.book.settle([names])
            known = self.seen(names)
        return known is True

    def recheck(self, names: Names) -> Asking[None]:
        yield from self.book.repeat(names, 2)
        worked = self.book.worked(names)
        if any(self.book.judged(seen) is Reading.AGREES for seen in worked):
            text = f"with {listed(names)} changed, one run drifts and another agrees"
            raise ContradictionError(names, text)


@dataclass
class SteadyDriftPredicate(DriftPredicate):
    """The same, with `steady` asked for after each answer: whether repeats agree at all."""

    steady: Callable[[], Asking[None]]

    def ask(self, names: Names) -> Asking[bool]:
        answer = yield from super().ask(names)
        yield from self.steady()
        return answer


@dataclass
class CrashPredicate(MonotonePredicate):
    """Do these changes make the run fail, with this failure?"""

    failure: str = ""

    def seen(self, names: Names) -> bool | None:
        failures = self.book.failures(names)
        if self.book.worked(names):
            return False
        if self.failure not in failures or not self.book.failing(names, 1):
            return None
        return True

    def _failed_otherwise(self, names: Names) -> bool:
        """Whether it failed so far with something else only, which may have come by chance."""
        failures = self.book.failures(names)
        return self.failure not in failures and len(failures) < PATIENCE_WHEN_FLAKY

    def ask(self, names: Names) -> Asking[bool]:
        known = self.known(names)
        if known is None:
            yield from self.book.settle([names], least=1)
            while not self.book.worked(names) and self._failed_otherwise(names):
                yield from self.book.ask([names])
            known = self.seen(names)
        return known is True

    def recheck(self, names: Names) -> Asking[None]:
        if len(self.book.failures(names)) < self.book.patience:
            yield from self.book.ask([names])
        if self.book.worked(names):
            text = f"with {listed(names)} changed, one run fails and another works"
            raise ContradictionError(names, text)


@dataclass(frozen=True)
class Prior:
    """How much each name is suspected.

    Args:
        weights: suspicion, above nought for each name.
        first: names that belong into whatever is tried first where no one stands out: what they
            do is not the same in every run, so a trial without them may mislead.
    """

    weights: Mapping[str, float]
    first: Names = frozenset()

    def order(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (-self.weights[name], name))

    def split(self, names: Names) -> Names:
        """The part of two or more names that is tried first: one suspect, or about half."""
        order = self.order(names)
        total = sum(self.weights[name] for name in order)
        if self.weights[order[0]] >= max(ALONE, STANDS_OUT / len(order)) * total:
            return frozenset(order[:1])
        order.sort(key=lambda name: name not in self.first)
        heads = [order[:size] for size in range(1, len(order))]
        return frozenset(min(heads, key=lambda head: abs(self._mass(head) - total / 2)))

    def share(self, names: Names) -> float:
        """How likely just these were held to be, of 1; less for several together."""
        total = self._mass(self.weights)
        return prod(self.weights[name] / total for name in names)

    def _mass(self, names: Iterable[str]) -> float:
        return sum(self.weights[name] for name in names)


def suspicion(
    names: Collection[str], weights: Mapping[str, float], first: Names = frozenset()
) -> Prior:
    """A prior over `names` from weights that may lack some, or be nought."""
    given = {name: max(0.0, weights.get(name, 0.0)) for name in names}
    total = sum(given.values())
    even = 1 / max(1, len(given))
    share = {name: (weight / total if total else even) for name, weight in given.items()}
    return Prior({name: (1 - DOUBT) * p + DOUBT * even for name, p in share.items()}, first)


def narrow(question: MonotonePredicate, prior: Prior, among: Names, beside: Names) -> Asking[Names]:
    """A smallest part of `among` with which, beside `beside`, the question's answer is yes.

    It has to be yes for all of them together, and no for `beside` alone. What is tried first is
    taken out where it does nothing alone, as if there were one cause; only where the last name
    left does nothing either is an interplay looked for.
    """
    chain = [among]
    while len(chain[-1]) > 1:
        head = prior.split(chain[-1])
        if (yield from question.ask(beside | head)):
            chain = [head]
        else:
            chain.append(chain[-1] - head)
    if len(chain) == 1 or (yield from question.ask(beside | chain[-1])):
        return chain[-1]
    return (yield from _interplay(question, prior, chain, beside))


def minimal(question: MonotonePredicate, found: Names) -> Asking[Names]:
    """Leave out what is not needed, where changes that hide others misled the search."""
    for name in sorted(found) if len(found) > 1 else ():
        if (yield from question.ask(found - {name})):
            return (yield from minimal(question, found - {name}))
    return found


def _interplay(
    question: MonotonePredicate, prior: Prior, chain: list[Names], beside: Names
) -> Asking[Names]:
    """The smallest set that takes members of two parts, neither of which does anything alone.

    Args:
        chain: ever smaller sets; with the first it holds, with the last it does not.
    """
    last, lost = 0, len(chain) - 1
    while lost - last > 1:
        middle = (last + lost) // 2
        if (yield from question.ask(beside | chain[middle])):
            last = middle
        else:
            lost = middle
    yield from question.recheck(beside | chain[last])
    right = chain[lost]
    left = chain[last] - right
    some = yield from narrow(question, prior, left, beside | right)
    return some | (yield from narrow(question, prior, right, beside | some))
