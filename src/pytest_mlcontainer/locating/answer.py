"""Two recordings → where they part, what makes that large, and how it reaches the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.locating.chain import Chain, trace
from pytest_mlcontainer.locating.exchange import aims_of
from pytest_mlcontainer.locating.growth import (
    amplifier_of,
    decision_of,
    on_the_way,
    place_of,
    steps_of,
)
from pytest_mlcontainer.locating.hidden import sets_environment
from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns, pair_recordings
from pytest_mlcontainer.locating.recording import LayerCall, ProcessRecording
from pytest_mlcontainer.locating.sketches import distance, is_reordered, shown
from pytest_mlcontainer.locating.ways import (
    FILE,
    Entrance,
    is_generator,
    is_made_anew,
    reads_alone,
    way_alone,
    way_by,
    way_in,
)
from pytest_mlcontainer.locating.writers import writing
from pytest_mlcontainer.model import Aim, Location, Sides, SourceLine

_ORIGINS: Final = 3
_VALUES: Final = 4
_COMPUTED: Final = "computed "


@dataclass(frozen=True)
class LocationCandidate:
    """An answer, and where it can be proved.

    Attributes:
        kept: where values of the expected side may have to be put on the other.
        origins: those of them that stand for the origins; none where that cannot be proved.
        before: statements before them that differ too, and seem not to lead to them, and theirs;
            none of one whose values cannot be put.
        is_asked: whether the first origin is seen to ask for something outside of the program, or
            to have another order: then none before it need to have brought it.
        unseen: whether the difference may come in before the origins, out of sight.
        is_loose: whether what differs was seen, and nothing that made it differ: recording more
            of the program may tell.
    """

    location: Location
    kept: tuple[Aim, ...] = ()
    origins: tuple[Aim, ...] = ()
    before: tuple[tuple[SourceLine, tuple[Aim, ...]], ...] = ()
    unseen: bool = False
    is_asked: bool = False
    is_loose: bool = False


def find(
    expected: Sequence[ProcessRecording],
    actual: Sequence[ProcessRecording],
    outputs: Sequence[str],
    noise: frozenset[SourceLine] = frozenset(),
) -> LocationCandidate:
    """Where two recordings of one program part, as far as can be told without another run.

    Args:
        outputs: names of the outputs that drift.
        noise: statements that make something else in each run, and do not count as origins where
            there are others.
    """
    missing = _nothing_seen(expected, actual)
    if missing:
        return LocationCandidate(Location(notes=(missing,)))
    pairing = pair_recordings(expected, actual)
    chain = trace(pairing, outputs)
    notes = _remarks(expected, actual)
    if not chain.way:
        inline = _written_inline(pairing, outputs, notes)
        asking = None if inline.origins else _asking(pairing, chain, notes)
        return asking or LocationCandidate(inline)
    if not (chain.origins or chain.unsure):
        location = Location(steps=steps_of(pairing, chain), notes=(_why_none(chain), *notes))
        return LocationCandidate(location, is_loose=bool(chain.loose))
    return _traced(pairing, chain, notes, noise)


def _traced(
    pairing: PairedRuns, chain: Chain, notes: tuple[str, ...], noise: frozenset[SourceLine]
) -> LocationCandidate:
    """The answer of a chain that has a beginning."""
    began = chain.origins or chain.unsure
    origins = tuple({place_of(each): each for each in reversed(began)}.values())[::-1]
    origins = tuple(each for each in origins if place_of(each) not in noise) or origins
    origins = _unseen_first(chain, origins[:_ORIGINS])
    first = origins[0]
    way = _way_of(pairing, first)
    location = Location(
        origins=tuple(place_of(each) for each in origins),
        values=_sides(pairing, first),
        kind=way[0],
        mend=way[1],
        amplifier=amplifier_of(pairing, chain, noise),
        decision=decision_of(pairing, chain),
        steps=steps_of(pairing, chain),
        notes=(*_unseen_told(chain), *notes),
    )
    if not chain.origins:
        return LocationCandidate(location, is_loose=True)
    places = {place_of(each) for each in origins}
    # Where one gives what another gave before, the other stands for both in the chain.
    every = [each for each in on_the_way(chain) if place_of(each) in places]
    before = _before(pairing, chain, first, noise)
    kept, (put, *others) = aims_of(pairing, chain, [every, *before.values()])
    return LocationCandidate(
        location,
        kept,
        put,
        tuple(zip(before, others, strict=True)),
        unseen=bool(chain.unseen),
        is_asked=_entrance(first) is not None or _reorders(pairing, first),
    )


def _unseen_first(chain: Chain, origins: tuple[PairedEvent, ...]) -> tuple[PairedEvent, ...]:
    """The origins, behind what asks for something outside where they themselves do not."""
    explained = bool(chain.unseen) and _entrance(origins[0]) is not None
    asking = {
        place_of(each): each
        for each in chain.unseen
        if _entrance(each) is not None and (sets_environment(each) or not explained)
    }
    return (*asking.values(), *origins)[:_ORIGINS]


def _entrance(node: PairedEvent) -> Entrance | None:
    place = place_of(node)
    return way_in(place.calls, place.text, reordered=False)


def _unseen_told(chain: Chain) -> tuple[str, ...]:
    if not chain.unseen:
        return ()
    made, place = chain.unseen[-1], place_of(chain.unseen[-1])
    names = " and ".join(made.expected.hidden)
    where = f"{place.file}:{place.line}"
    what = f"what {names} holds since {where}" if names else f"what {where} changes"
    return (f"{what} cannot be seen: the difference may come in there",)


def _before(
    pairing: PairedRuns, chain: Chain, origin: PairedEvent, noise: frozenset[SourceLine]
) -> dict[SourceLine, list[PairedEvent]]:
    """What differs before an origin for no reason that was seen, and seems not to lead to it."""
    way = {each.number for each in chain.way}
    # Other turns of a statement on the way are led to as that one is.
    told = {place_of(each) for each in (*chain.origins, *on_the_way(chain))}
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


def fitted(location: Location, factors: frozenset[str]) -> Location:
    """An answer of two sides between which these variations alone differ: how it enters is told
    by what they change, where the statement asks for that."""
    for place in location.origins[:1]:
        way = way_by(place.calls, place.text, factors)
        if way is None and (location.kind == FILE.what or location.kind.startswith(_COMPUTED)):
            way = way_alone(factors)
        if way is not None:
            return replace(location, kind=way.what, mend=way.mend)
    return location


def doubting(location: Location, places: tuple[SourceLine, ...]) -> Location:
    """An answer that may be another: what differs before cannot be put into another run."""
    asking = tuple(each for each in places if way_in(each.calls, each.text, reordered=False))
    first = places[-1]
    note = (
        f"{first.file}:{first.line} differs, too, and cannot be put into another run: the "
        "difference may come in there"
    )
    where = moved(location, (*asking, *location.origins)[:_ORIGINS]) if asking else location
    return replace(where, notes=(note, *location.notes))


def _asking(pairing: PairedRuns, chain: Chain, notes: tuple[str, ...]) -> LocationCandidate | None:
    """Where nothing that differs is seen to be written, what asks the environment and differs."""
    seen = [each for each in pairing.nodes if each.bound and not each.read and each.expected.site]
    hidden = [each for each in pairing.nodes if each.expected.hidden and each.expected.site]
    asking = [each for each in seen if _entrance(each)] or [
        each for each in hidden if _entrance(each) and not is_made_anew(place_of(each).calls)
    ]
    places = tuple(dict.fromkeys(map(place_of, asking)))[:_ORIGINS]
    if not places:
        return None
    kind, mend = _way_of(pairing, asking[0])
    unseen = "how what is made there reaches the outputs was not seen"
    location = Location(
        origins=places,
        values=_sides(pairing, asking[0]),
        kind=kind,
        mend=mend,
        notes=(unseen, *notes),
    )
    kept, (put,) = aims_of(pairing, chain, [asking])
    return LocationCandidate(location, kept, put if len(places) == 1 else ())


def _written_inline(
    pairing: PairedRuns, outputs: Sequence[str], notes: tuple[str, ...]
) -> Location:
    """Where all values agree, the statements that compute something as they write it."""
    places = dict.fromkeys(place_of(each) for each in writing(pairing, outputs))
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
        place_of(node) for node in pairing.nodes if node.expected.site is not None and node.bound
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
        place = place_of(chain.loose[0])
        return (
            f"what {place.file}:{place.line} reads differs, and no statement of the project's own "
            "code was seen to bring that about: code of a library did, or one that runs very often"
        )
    return "all that the project's own code was seen to compute is equal on both sides"


def _reorders(pairing: PairedRuns, node: PairedEvent) -> bool:
    """Whether it binds the same in another order."""
    pairs = [pairing.of(pair) for pair in node.bound.values()]
    return bool(pairs) and all(is_reordered(*pair) for pair in pairs)


def _way_of(pairing: PairedRuns, node: PairedEvent) -> tuple[str, str]:
    place = place_of(node)
    way = way_in(place.calls, place.text, reordered=_reorders(pairing, node))
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
