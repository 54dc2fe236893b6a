"""How a difference grows on its way: the steps, what makes it large, what decides otherwise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.locating.chain import Chain, apart
from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns
from pytest_mlcontainer.locating.recording import NOTHING
from pytest_mlcontainer.locating.sketches import distance, is_discrete, norm
from pytest_mlcontainer.model import SourceLine, Step

AMPLIFIES: Final = 30.0
"""By how much a statement has to enlarge a difference to be called an amplifier: more than a
well-conditioned operation on a few hundred elements does."""
_SMALL: Final = 1e-2
_TINY: Final = 1e-300
_STEPS: Final = 24


def place_of(node: PairedEvent) -> SourceLine:
    """Of a statement."""
    assert node.expected.site is not None
    return node.expected.site


def on_the_way(chain: Chain) -> list[PairedEvent]:
    """The statements of a chain."""
    return [each for each in chain.way if each.expected.site is not None]


def steps_of(pairing: PairedRuns, chain: Chain) -> tuple[Step, ...]:
    """The way, each statement by its first turn, thinned in its middle."""
    nodes = list({place_of(each): each for each in reversed(on_the_way(chain))}.values())[::-1]
    if len(nodes) > _STEPS:
        stride = (len(nodes) - 1) / (_STEPS - 1)
        nodes = [nodes[round(place * stride)] for place in range(_STEPS)]
    return tuple(_step(pairing, node) for node in nodes)


def _step(pairing: PairedRuns, node: PairedEvent) -> Step:
    read, bound = (apart(pairing, each.values()) for each in (node.read, node.bound))
    return Step(place_of(node), read, bound)


def amplifier_of(pairing: PairedRuns, chain: Chain, noise: frozenset[SourceLine]) -> Step | None:
    """The statement that enlarges a small difference most, in one turn or in those of one call.

    Of one that calls a function in which that happens, the statement there.
    """
    grown: dict[tuple[str, SourceLine], Step] = {}
    places: dict[tuple[str, SourceLine], list[str]] = {}
    for node in on_the_way(chain):
        step, key = _step(pairing, node), (node.expected.path, place_of(node))
        if step.place in noise or not step.read or step.bound is None:
            continue
        known = grown.get(key, step)
        # What a turn hands to the next is its own; what else comes in is not.
        given = (pair for name, pair in node.read.items() if name not in node.bound)
        read = max(known.read or 0.0, apart(pairing, given) or 0.0)
        grown[key] = replace(step, read=read, bound=max(step.bound, known.bound or 0.0))
        places.setdefault(key, []).append(f"{node.place}>")
    best, within = None, [""]
    while within:
        inner = [key for key in grown if key[0].startswith(tuple(within)) and _grows(grown[key])]
        top = max(inner, key=lambda key: _factor(grown[key]), default=None)
        best, within = (best, []) if top is None else (grown[top], places[top])
    return best


def _grows(step: Step) -> bool:
    return (step.read or math.inf) < _SMALL and _factor(step) >= AMPLIFIES


def _factor(step: Step) -> float:
    return (step.bound or 0.0) / (step.read or math.inf)


def decision_of(pairing: PairedRuns, chain: Chain) -> SourceLine | None:
    """The first statement that makes of a small difference of numbers another choice.

    What began as a small one may have been enlarged before.
    """
    if not any(_is_small(pairing, each) for each in chain.origins):
        return None
    for node in on_the_way(chain):
        read = [pairing.of(pair) for pair in node.read.values()]
        numbers = [pair for pair in read if not is_discrete(pair[0])]
        if not numbers or len(numbers) < len(read):
            continue
        parted = any(head is node for head in pairing.heads.values())
        bound = [pairing.of(pair) for pair in node.bound.values()]
        if parted or any(is_discrete(left) for left, _right in bound):
            return place_of(node)
    return None


def _is_small(pairing: PairedRuns, node: PairedEvent) -> bool:
    """Whether what differs is small, beside what the statement read where much of that cancels."""
    read = [pairing.sketches[0].get(digest, NOTHING) for digest in node.expected.read.values()]
    given = max(map(norm, read), default=0.0)
    for left, right in map(pairing.of, node.bound.values()):
        found, size = distance(left, right), norm(left)
        if found is not None and found * size / max(size, given, _TINY) < _SMALL:
            return True
    return False
