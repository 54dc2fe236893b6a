"""Everything varied at once, in as few rounds as names allow that may not be together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pytest_mlcontainer.explain.search_book import Names


def plan_rounds(
    names: Sequence[str], weights: Mapping[str, float], apart: Collection[frozenset[str]]
) -> tuple[Names, ...]:
    """The smallest number of sets that have each name once, and no pair of `apart`.

    All names without a partner are in the first, and of those with one the most suspected.
    """
    pairs = [pair for pair in apart if len(pair) > 1 and pair <= frozenset(names)]
    rivals = {
        name: frozenset().union(*(pair for pair in pairs if name in pair)) - {name}
        for name in names
    }
    order = sorted(names, key=lambda name: (not rivals[name], -weights.get(name, 0.0), name))
    split = [name for name in order if rivals[name]]
    for rounds in range(1, len(split) + 2):
        placed = _place(split, rivals, rounds, {})
        if placed is not None:
            break
    placed = placed or {}
    sets = [frozenset(n for n in names if placed.get(n, 0) == number) for number in range(rounds)]
    return tuple(found for found in sets if found)


def _place(
    names: Sequence[str], rivals: Mapping[str, Names], rounds: int, placed: Mapping[str, int]
) -> Mapping[str, int] | None:
    """Give each name a round in which none of its rivals is, or None where there are too few."""
    if not names:
        return placed
    for number in range(rounds):
        if all(placed.get(rival) != number for rival in rivals[names[0]]):
            found = _place(names[1:], rivals, rounds, {**placed, names[0]: number})
            if found is not None:
                return found
    return None
