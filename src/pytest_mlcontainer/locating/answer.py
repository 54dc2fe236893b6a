"""Two recordings → where they part, what makes that large, and how it reaches the outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.locating.chain import Chain, apart, trace
from pytest_mlcontainer.locating.exchange import aims_of
from pytest_mlcontainer.locating.hidden import sets_environment
from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns, pair_recordings
from pytest_mlcontainer.locating.recording import NOTHING, LayerCall, ProcessRecording
from pytest_mlcontainer.locating.sketches import distance, is_discrete, is_reordered, norm, shown
from pytest_mlcontainer.locating.ways import (
    FILE,
    Entrance,
    is_generator,
    is_made_anew,
    reads_alone,
    way_in,
)
from pytest_mlcontainer.locating.writers import writing
from pytest_mlcontainer.model import Aim, Location, Sides, SourceLine, Step

AMPLIFIES: Final = 30.0
"""By how much a statement has to enlarge a difference to be called an amplifier: more than a
well-conditioned operation on a few hundred elements does."""
_SMALL: Final = 1e-2
_TINY: Final = 1e-300
_STEPS: Final = 24
_ORIGINS: Final = 3
_VALUES: Final = 4


@dataclass(frozen=True)
class Found:
    """An answer, and where it can be proved.

    Attributes:
        kept: where values of the expected side may have to be put on the other.
        origins: those of them that stand for the origins; none where that cannot be proved.
        before: statements before them that differ too, and seem not to lead to them, and theirs.
        unseen: whether the difference may come in before the origins, out of sight.
        is_loose: whether what differs was seen, and nothing that made it differ: recording more
            of the program may tell.
    """

    location: Location
    kept: tuple[Aim, ...] = ()
    origins: tuple[Aim, ...] = ()
    before: tuple[tuple[SourceLine, tuple[Aim, ...]], ...] = ()
    unseen: bool = False
    is_loose: bool = False


def find(
    expected: Sequence[ProcessRecording],
    actual: Sequence[ProcessRecording],
    outputs: Sequence[str],
    noise: frozenset[SourceLine] = frozenset(),
) -> Found:
    """Where two recordings of one program part, as far as can be told without another run.

    Args:
        outputs: names of the outputs that drift.
        noise: statements that make something else in each run, and do not count as origins where
            there are others.
    """
    missing = _nothing_seen(expected, actual)
    if missing:
        return Found(Location(notes=(missing,)))
    pairing = pair_recordings(expected, actual)
    chain = trace(pairing, outputs)
    notes = _remarks(expected, actual)
    if not chain.way:
        return Found(_written_inline(pairing, outputs, notes))
    if not (chain.origins or chain.unsure):
        location = Location(steps=_steps(pairing, chain), notes=(_why_none(chain), *notes))
        return Found(location, is_loose=bool(chain.loose))
    began = chain.origins or chain.unsure
    origins = tuple({_place(each): each for each in reversed(began)}.values())[::-1]
    origins = tuple(each for each in origins if _place(each) not in noise) or origins
    origins = origins[:_ORIGINS]
    origins = _unseen_first(chain, origins)
    first = origins[0]
    way = _way_of(pairing, first)
    location = Location(
        origins=tuple(_place(each) for each in origins),
        values=_sides(pairing, first),
        kind=way[0],
        mend=way[1],
        amplifier=_amplifier(pairing, chain, noise),
        decision=_decision(pairing, chain),
        steps=_steps(pairing, chain),
        notes=(*_unseen_told(chain), *notes),
    )
    if not chain.origins:
        return Found(location, is_loose=True)
    places = {_place(each) for each in origins}
    # Where one gives what another gave before, the other stands for both in the chain.
    every = [each for each in _on_the_way(chain) if _place(each) in places]
    before = _before(pairing, chain, first, noise)
    kept, (put, *others) = aims_of(pairing, chain, [every, *before.values()])
    pairs = tuple(pair for pair in zip(before, others, strict=True) if pair[1])
    return Found(location, kept, put, pairs, unseen=bool(chain.unseen))


def _unseen_first(chain: Chain, origins: tuple[PairedEvent, ...]) -> tuple[PairedEvent, ...]:
    """The origins, behind what asks for something outside where they themselves do not."""
    explained = bool(chain.unseen) and _entrance(origins[0]) is not None
    asking = {
        _place(each): each
        for each in chain.unseen
        if _entrance(each) is not None and (sets_environment(each) or not explained)
    }
    return (*asking.values(), *origins)[:_ORIGINS]


def _entrance(node: PairedEvent) -> Entrance | None:
    place = _place(node)
    return way_in(place.calls, place.text, reordered=False)


def _unseen_told(chain: Chain) -> tuple[str, ...]:
    if not chain.unseen:
        return ()
    made = chain.unseen[-1]
    names = " and ".join(made.expected.hidden) or "what it changes"
    place = _place(made)
    return (
        f"what {names} holds since {place.file}:{place.line} cannot be seen: the difference may "
        "come in there",
    )


def _before(
    pairing: PairedRuns, chain: Chain, origin: PairedEvent, noise: frozenset[SourceLine]
) -> dict[SourceLine, list[PairedEvent]]:
    """What differs before an origin for no reason that was seen, and seems not to lead to it."""
    way = {each.number for each in chain.way}
    # Other turns of a statement on the way are led to as that one is.
    told = {_place(each) for each in (*chain.origins, *_on_the_way(chain))}
    found: dict[SourceLine, list[PairedEvent]] = {}
    for each in pairing.nodes:
        earlier = each.number < origin.number or each.stream != origin.stream
        if not earlier or each.number in way or not each.bound or each.read:
            continue
        site = each.expected.site
        if site is None or site in told or site in noise:
            continue
        if not is_made_anew(site.calls):
            found.setdefault(site, []).append(each)
    return found


def moved(location: Location, places: tuple[SourceLine, ...]) -> Location:
    """An answer whose origins turned out to be others."""
    way = way_in(places[0].calls, places[0].text, reordered=False)
    kind, mend = (way.what, way.mend) if way is not None else ("computed here", "")
    return replace(location, origins=places, values=(), kind=kind, mend=mend)


def _written_inline(
    pairing: PairedRuns, outputs: Sequence[str], notes: tuple[str, ...]
) -> Location:
    """Where all values agree, the statements that compute something as they write it."""
    places = dict.fromkeys(_place(each) for each in writing(pairing, outputs))
    ways = {place: way_in(place.calls, place.text, reordered=False) for place in places}
    known = {place: way for place, way in ways.items() if way is not None}
    why = "of what the project's own code was seen to compute nothing that differs is written"
    if not known:
        return Location(notes=(why, *notes))
    first = next(iter(known.values()))
    inline = f"{why}: it is computed in the statement that writes it"
    return Location(
        origins=tuple(known)[:_ORIGINS], kind=first.what, mend=first.mend, notes=(inline, *notes)
    )


def noise_of(
    expected: Sequence[ProcessRecording], again: Sequence[ProcessRecording]
) -> frozenset[SourceLine]:
    """Statements that make something else in each run of one side."""
    pairing = pair_recordings(expected, again)
    return frozenset(
        _place(node) for node in pairing.nodes if node.expected.site is not None and node.bound
    )


def _nothing_seen(expected: Sequence[ProcessRecording], actual: Sequence[ProcessRecording]) -> str:
    for streams in (expected, actual):
        if not streams:
            return (
                "nothing was recorded: the entrypoint starts no Python, or one that does not look "
                "at PYTHONPATH (python -I, -E or -S, a frozen program)"
            )
        if not any(stream.events for stream in streams):
            unread = sorted({each for stream in streams for each in stream.unread})
            why = f"; the source of {unread[0]} cannot be read" if unread else ""
            return f"no statement of the project's own code was seen{why}"
    return ""


def _remarks(
    expected: Sequence[ProcessRecording], actual: Sequence[ProcessRecording]
) -> tuple[str, ...]:
    streams = (*expected, *actual)
    notes = []
    if any(stream.lost for stream in streams):
        notes.append("the program set a trace function of its own, after which nothing was seen")
    if any(stream.thinned for stream in streams):
        notes.append("there was more to record than is kept: the middle of the run is thinned")
    if any(not stream.ended for stream in streams):
        notes.append("a process did not come to its end: what it did last may be missing")
    return tuple(notes)


def _why_none(chain: Chain) -> str:
    if chain.loose:
        place = _place(chain.loose[0])
        return (
            f"what {place.file}:{place.line} reads differs, and no statement of the project's own "
            "code was seen to bring that about: code of a library did, or one that runs very often"
        )
    return "all that the project's own code was seen to compute is equal on both sides"


def _place(node: PairedEvent) -> SourceLine:
    assert node.expected.site is not None
    return node.expected.site


def _way_of(pairing: PairedRuns, node: PairedEvent) -> tuple[str, str]:
    place = _place(node)
    pairs = list(node.bound.values())
    reordered = bool(pairs) and all(is_reordered(*pairing.of(pair)) for pair in pairs)
    way = way_in(place.calls, place.text, reordered=reordered)
    if way is not None:
        return way.what, way.mend
    if reads_alone(place.calls):
        return FILE.what, FILE.mend
    if place.calls:
        call = "@" if "@" in place.calls else place.calls[0].lstrip(".")
        inside = _layer_of(pairing, node)
        return f"computed by {call}{inside}; what was seen of its inputs is equal on both sides", ""
    return "computed here; what was seen of its inputs is equal on both sides", ""


def _layer_of(pairing: PairedRuns, node: PairedEvent) -> str:
    """The innermost module of PyTorch's that is given the same, and gives something else, first."""
    apart = [
        left
        for left, right in pairing.layers_below(node)
        if left.given == right.given and left.gave != right.gave
    ]
    # Those around it differ too; they began before it and end after it.
    inner = next((each for each in apart if not _holds_any(each, apart)), None)
    if inner is None or not inner.name:
        return "" if inner is None else f", a {inner.kind}"
    return f", by its layer {inner.name}, a {inner.kind}"


def _holds_any(layer: LayerCall, others: Sequence[LayerCall]) -> bool:
    prefix = f"{layer.name}." if layer.name else ""
    return any(each is not layer and each.name.startswith(prefix) for each in others)


def _sides(pairing: PairedRuns, node: PairedEvent) -> tuple[Sides, ...]:
    return tuple(
        Sides(_name_shown(name), shown(left), shown(right), distance(left, right))
        for name, pair in list(node.bound.items())[:_VALUES]
        for left, right in [pairing.of(pair)]
    )


def _name_shown(name: str) -> str:
    return f"state of {name[1:-1]}" if is_generator(name) else name


def _step(pairing: PairedRuns, node: PairedEvent) -> Step:
    read, bound = (apart(pairing, each.values()) for each in (node.read, node.bound))
    return Step(_place(node), read, bound)


def _on_the_way(chain: Chain) -> list[PairedEvent]:
    return [each for each in chain.way if each.expected.site is not None]


def _steps(pairing: PairedRuns, chain: Chain) -> tuple[Step, ...]:
    """The way, each statement by its first turn, thinned in its middle."""
    nodes = list({_place(each): each for each in reversed(_on_the_way(chain))}.values())[::-1]
    if len(nodes) > _STEPS:
        stride = (len(nodes) - 1) / (_STEPS - 1)
        nodes = [nodes[round(place * stride)] for place in range(_STEPS)]
    return tuple(_step(pairing, node) for node in nodes)


def _amplifier(pairing: PairedRuns, chain: Chain, noise: frozenset[SourceLine]) -> Step | None:
    """The statement that enlarges a small difference most, in one turn or in those of one call.

    Of one that calls a function in which that happens, the statement there.
    """
    grown: dict[tuple[str, SourceLine], Step] = {}
    places: dict[tuple[str, SourceLine], list[str]] = {}
    for node in _on_the_way(chain):
        step, key = _step(pairing, node), (node.expected.path, _place(node))
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


def _decision(pairing: PairedRuns, chain: Chain) -> SourceLine | None:
    """The first statement that makes of a small difference of numbers another choice.

    What began as a small one may have been enlarged before.
    """
    if not any(_is_small(pairing, each) for each in chain.origins):
        return None
    for node in _on_the_way(chain):
        read = [pairing.of(pair) for pair in node.read.values()]
        numbers = [pair for pair in read if not is_discrete(pair[0])]
        if not numbers or len(numbers) < len(read):
            continue
        parted = any(head is node for head in pairing.heads.values())
        bound = [pairing.of(pair) for pair in node.bound.values()]
        if parted or any(is_discrete(left) for left, _right in bound):
            return _place(node)
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
