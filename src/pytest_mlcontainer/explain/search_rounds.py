"""Plans few trials that together make every change, although some may not be combined."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pytest_mlcontainer.explain.search_book import Names

# What an unsuspected name still weighs beside suspected ones, where pairs are chosen.
_LEAST = 1e-3


def plan_rounds(
    names: Sequence[str],
    weights: Mapping[str, float],
    apart: Collection[frozenset[str]],
    kin: Mapping[frozenset[str], float] | None = None,
) -> tuple[Names, ...]:
    """Sets of names that have no pair of `apart`, so large that no other name could be added.

    Each name is in one at least, and in every one that has no rival of it, so that what only some
    of them do together shows wherever they may be together. Of those with rivals, each set takes
    those that no set had yet, then those that make the most suspected pairs that no set had: two
    names of different rivals are together in some set where the number of sets allows.

    Args:
        weights: how much each name is suspected.
        apart: pairs that are never in the same set.
        kin: pairs with how much more suspected they are together than by themselves.
    """
    among = frozenset(names)
    pairs = [pair for pair in apart if len(pair) > 1 and pair <= among]
    worth = {
        pair: _worth(pair, weights) * (kin or {}).get(pair, 1.0)
        for pair in map(frozenset, combinations(sorted(among), 2))
    }
    choice = _Choice(among, pairs, worth)
    while choice.left:
        choice.made.append(choice.best())
    return tuple(choice.made)


@dataclass
class _Choice:
    """The sets planned so far, and the changes that each further set may hold."""

    among: Names
    apart: Collection[Names]
    worth: Mapping[Names, float]
    made: list[Names] = field(default_factory=list)

    @property
    def left(self) -> Names:
        return self.among.difference(*self.made)

    def best(self) -> Names:
        """The best set that exchanging one name for its rivals, again and again, comes to."""
        best = self._filled(frozenset(), self.left)
        while True:
            others = [self._filled(frozenset({name}), best) for name in sorted(self.among - best)]
            better = max(others, key=self._value, default=best)
            if self._value(better) <= self._value(best):
                return best
            best = better

    def _value(self, names: Names) -> tuple[int, float]:
        pairs = map(frozenset, combinations(sorted(names), 2))
        news = (pair for pair in pairs if not any(pair <= each for each in self.made))
        return len(names & self.left), sum(self.worth[pair] for pair in news)

    def _filled(self, names: Names, others: Names) -> Names:
        """`names`, with those of `others` that may be added."""
        for name in sorted(others - names):
            if not any(pair <= names | {name} for pair in self.apart):
                names |= {name}
        return names


def _worth(pair: Iterable[str], weights: Mapping[str, float]) -> float:
    one, other = (max(_LEAST, weights.get(name, 0.0)) for name in pair)
    return one * other
