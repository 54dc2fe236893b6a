"""The smallest set by questions that halve what is still possible, each weighed by suspicion.

Where several changes make the drift together, halves of them say little one by one. Here every set
of up to three is held possible, more or less, and each trial is one of which it is most open
whether it drifts (as in probabilistic delta debugging, with sets in the place of elements).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Final

from pytest_mlcontainer.explain.search_book import CONTROL, Asking, Names
from pytest_mlcontainer.explain.search_sets import (
    ALONE,
    STANDS_OUT,
    MonotonePredicate,
    Prior,
    narrow,
)

# How often causes are of one, two and three changes: a guess that orders the questions alone.
_SIZES: Final = (0.7, 0.22, 0.08)
_MOST_NAMES: Final = 30  # among which sets of three are still counted in no time
_BEST: Final = 5  # of the most likely sets, that are tried by themselves


def narrow_probable(question: MonotonePredicate, prior: Prior, among: Names) -> Asking[Names]:
    """A smallest part of `among` for which the question's answer is yes; as `narrow`."""
    if len(among) > _MOST_NAMES:
        return (yield from narrow(question, prior, among, CONTROL))
    possible = _Possible.of(prior, among)
    while possible.sets and set(possible.sets) != {possible.within}:
        asked = possible.question()
        if (yield from question.ask(asked)):
            possible = possible.inside(asked)
        else:
            possible = possible.not_in(asked)
    if possible.sets:
        return possible.within
    # A cause of more changes, or one that others hide.
    return (yield from narrow(question, prior, possible.within, CONTROL))


@dataclass(frozen=True)
class _Possible:
    """The sets that may be what is looked for, with how likely each is held to be.

    Args:
        within: the smallest set of names for which the answer is known to be yes.
        first: names that belong into whatever is asked first; see `Prior`.
    """

    sets: dict[Names, float]
    within: Names
    first: Names

    @classmethod
    def of(cls, prior: Prior, among: Names) -> _Possible:
        sets: dict[Names, float] = {}
        for size, share in enumerate(_SIZES, start=1):
            worth = {
                frozenset(each): prod(prior.weights[name] for name in each)
                for each in combinations(sorted(among), size)
            }
            total = sum(worth.values())
            sets |= {each: share * weight / total for each, weight in worth.items()}
        return cls(sets, among, prior.first & among)

    def inside(self, names: Names) -> _Possible:
        return _Possible({s: p for s, p in self.sets.items() if s <= names}, names, self.first)

    def not_in(self, names: Names) -> _Possible:
        left = {each: weight for each, weight in self.sets.items() if not each <= names}
        return _Possible(left, self.within, self.first - names)

    def question(self) -> Names:
        """The part of `within` of which it is most open whether the answer is yes."""
        total = sum(self.sets.values())
        ranked = sorted(self.sets, key=lambda each: (-self.sets[each], sorted(each)))
        best = ranked[0]
        if len(best) == 1 and self.sets[best] >= max(ALONE, STANDS_OUT / len(self.within)) * total:
            return best
        candidates = (each for each in self._candidates(ranked) if each != self.within)
        asked = min(candidates, key=lambda each: self._worth(each, total))
        while True:
            others = [asked ^ {name} for name in sorted(self.within - self._kept)]
            better = min(
                (each for each in others if each and each != self.within),
                key=lambda each: self._worth(each, total),
                default=asked,
            )
            if self._worth(better, total) >= self._worth(asked, total):
                return asked
            asked = better

    @property
    def _kept(self) -> Names:
        return self.first if self.first < self.within else frozenset()

    def _candidates(self, ranked: list[Names]) -> Iterator[Names]:
        order = self._by_suspicion()
        for size in range(1, len(order)):
            yield frozenset(order[:size])
            yield self._kept | frozenset(order[-size:])
        yield from ranked[:_BEST]

    def _by_suspicion(self) -> list[str]:
        mass = dict.fromkeys(self.within, 0.0)
        for each, weight in self.sets.items():
            for name in each:
                mass[name] += weight
        return sorted(mass, key=lambda name: (name not in self._kept, -mass[name], name))

    def _worth(self, names: Names, total: float) -> tuple[float, int, list[str]]:
        """The less, the better: how far from even the answer is held to be; then the size.

        One that is certainly no tells nothing; a certain yes still makes less of what is left.
        """
        yes = sum(weight for each, weight in self.sets.items() if each <= names)
        return round(abs(yes / total - 0.5), 6) if yes else 1.0, len(names), sorted(names)
