"""Whether `needs` can be met: known names, no server, no circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.words import show, suggest
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Entrypoint


def check_needs(
    entries: Sequence[Entrypoint], declared: Sequence[str], readers: Mapping[str, TableReader]
) -> None:
    """Note every need that cannot be met.

    Args:
        entries: the entrypoints that could be read.
        declared: names of all entrypoints, of those that could not be read too.
        readers: the table of each entrypoint, by name.
    """
    by_name = {entry.name: entry for entry in entries}
    for entry in entries:
        for need in entry.needs:
            problem = _need_problem(entry, need, by_name, declared)
            if problem is not None:
                readers[entry.name].note("needs", problem)
    for circle in _circles(entries):
        readers[circle[0]].note(
            "needs",
            MlContainerError(
                "goes in a circle",
                " → ".join((*circle, circle[0])),
                "remove one of these needs; none of them could ever run first",
            ),
        )


def _need_problem(
    entry: Entrypoint, need: str, by_name: Mapping[str, Entrypoint], declared: Sequence[str]
) -> MlContainerError | None:
    if need == entry.name:
        return MlContainerError(
            "an entrypoint cannot need itself", show(need), f"remove {show(need)} from needs"
        )
    if need not in declared:
        others = [name for name in declared if name != entry.name]
        remedy = suggest(need, others, "declared")
        return MlContainerError("no entrypoint has this name", show(need), remedy)
    if need in by_name and by_name[need].server is not None:
        return MlContainerError(
            "is a server, which never ends and leaves no outputs",
            show(need),
            "need an entrypoint that writes outputs",
        )
    return None


def _circles(entries: Sequence[Entrypoint]) -> list[tuple[str, ...]]:
    """Circles that share no entrypoint, each from its first declared one on."""
    needs = {entry.name: [need for need in entry.needs if need != entry.name] for entry in entries}
    order = list(needs)
    circles = []
    while remaining := _without_runnable(needs):
        trail = [next(iter(remaining))]
        while (following := remaining[trail[-1]][0]) not in trail:
            trail.append(following)
        circle = trail[trail.index(following) :]
        start = circle.index(min(circle, key=order.index))
        circles.append((*circle[start:], *circle[:start]))
        needs = {name: needs[name] for name in needs if name not in circle}
    return circles


def _without_runnable(needs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What is left, with its unmet needs, once everything that can run has run."""
    left = {name: [need for need in wanted if need in needs] for name, wanted in needs.items()}
    while runnable := [name for name, wanted in left.items() if not wanted]:
        for name in runnable:
            del left[name]
        left = {name: [n for n in wanted if n in left] for name, wanted in left.items()}
    return left
