"""Two recordings, statement by statement: what was executed on both sides, and what parted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from pytest_mlcontainer.locating.recording import (
    ALL,
    NOTHING,
    Event,
    LayerCall,
    ProcessRecording,
    Sketch,
    split_path,
)
from pytest_mlcontainer.locating.sketches import names_within
from pytest_mlcontainer.locating.tasks import aligned

Pair = tuple[str, str]
_DEEPEST: Final = 6
_Key = tuple[str, str, int, int]


@dataclass(frozen=True, eq=False)
class PairedEvent:
    """One statement, executed on both sides.

    Attributes:
        number: in the order of the expected side.
        stream: names of the process, on both sides.
        read, bound: names → digests on both sides, of what differs.
    """

    number: int
    stream: Pair
    expected: Event
    actual: Event
    read: Mapping[str, Pair]
    bound: Mapping[str, Pair]

    @property
    def differs(self) -> bool:
        """Whether anything that it read or bound does."""
        return bool(self.read or self.bound) or self.expected.raised != self.actual.raised

    @property
    def place(self) -> str:
        """Its own place in the tree of calls, with which paths of what it calls begin."""
        site = self.expected.site
        line = 0 if site is None else site.line
        return f"{self.expected.path}/{line}:{self.expected.turn}"


@dataclass
class PairedRuns:
    """Two recordings, held against each other.

    Attributes:
        nodes: what both sides executed.
        heads: of each call in which the two went different ways, the last statement before that.
        programs: of processes beside others, their arguments, where no other has the same.
        callers: of each call of something else on the other side, the statement that called.
        alone: digests that only one side bound, in a statement that the other did not execute →
            the call in which that was; for each side.
    """

    nodes: list[PairedEvent] = field(default_factory=list)
    heads: dict[str, PairedEvent] = field(default_factory=dict)
    callers: dict[str, PairedEvent] = field(default_factory=dict)
    alone: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    sketches: tuple[dict[str, Sketch], dict[str, Sketch]] = field(default_factory=lambda: ({}, {}))
    layers: dict[tuple[str, str], tuple[list[LayerCall], list[LayerCall]]] = field(
        default_factory=dict
    )
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unpaired: int = 0

    @cached_property
    def alone_within(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Of what `alone` has, digests of what that holds; the same for each side."""
        here, there = (
            {
                name: path
                for digest, path in alone.items()
                for name in names_within(sketches.get(digest, NOTHING), _DEEPEST)
            }
            for alone, sketches in zip(self.alone, self.sketches, strict=True)
        )
        return here, there

    def layers_below(self, node: PairedEvent) -> Iterator[tuple[LayerCall, LayerCall]]:
        """Modules of PyTorch's that ran below a statement on both sides, in their order."""
        here, there = self.layers.get((node.stream[0], node.place), ([], []))
        others = {each.number: each for each in there}
        for each in sorted(here, key=lambda layer: layer.number):
            other = others.get(each.number)
            if other is not None and (other.name, other.kind) == (each.name, each.kind):
                yield each, other

    def of(self, pair: Pair) -> tuple[Sketch, Sketch]:
        """The sketches behind two digests."""
        return self.sketches[0].get(pair[0], NOTHING), self.sketches[1].get(pair[1], NOTHING)


def pair_recordings(
    expected: Sequence[ProcessRecording], actual: Sequence[ProcessRecording]
) -> PairedRuns:
    """Hold two recordings against each other.

    Processes meet by their names, which tell in which order they began, where they were started
    with the same arguments; else by those. Tasks of workers meet by what they are given.
    """
    pairing = PairedRuns()
    for side, recordings in enumerate((expected, actual)):
        for stream in recordings:
            pairing.sketches[side].update(stream.sketches)
    seldom = _seldom(expected) | _seldom(actual)
    streams = {each.name: each for each in expected}
    pairing.programs.update(_programs(expected))
    renamed = [replace(right, name=left.name) for left, right in _processes(expected, actual)]
    for right in aligned(expected, renamed):
        _pair_streams(pairing, streams[right.name], right, seldom)
    return pairing


def _seldom(streams: Sequence[ProcessRecording]) -> frozenset[tuple[str, int]]:
    """Statements that children execute so often that not all turns were looked at.

    At which it is depends on how often the child had executed them before, and so on which tasks
    it got: a turn that was not looked at there may have been executed all the same.
    """
    sites = (
        (event.site.file, event.site.line)
        for stream in streams
        if "." in stream.name
        for event in stream.events
        if event.site is not None
    )
    return frozenset(site for site, count in Counter(sites).items() if count >= ALL)


def _programs(streams: Sequence[ProcessRecording]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Processes that were started beside others, each with arguments of its own."""
    beside: dict[str, list[ProcessRecording]] = defaultdict(list)
    for stream in streams:
        beside[stream.name.rpartition(".")[0]].append(stream)
    for started in beside.values():
        if len({each.argv for each in started}) == len(started) > 1:
            yield from ((each.name, each.argv) for each in started)


def _processes(
    expected: Sequence[ProcessRecording], actual: Sequence[ProcessRecording]
) -> Iterator[tuple[ProcessRecording, ProcessRecording]]:
    left = {each.name: each for each in actual}
    for stream in expected:
        other = left.get(stream.name)
        if other is None or other.argv != stream.argv:
            alike = (each for each in left.values() if each.argv == stream.argv)
            other = next(alike, other)
        if other is not None:
            del left[other.name]
            yield stream, other


def _pair_streams(
    pairing: PairedRuns,
    left: ProcessRecording,
    right: ProcessRecording,
    seldom: frozenset[tuple[str, int]],
) -> None:
    there = {event.key: event for event in right.events}
    names = (left.name, right.name)
    for place, layers in left.layers.items():
        pairing.layers[left.name, place] = (layers, right.layers.get(place, []))
    for event in left.events:
        other = there.get(event.key)
        if other is None:
            _note_alone(pairing, 0, event)
            continue
        read = _differing(event.read, other.read)
        after = _differing(_left(event), _left(other))
        bound = {
            name: pair for name, pair in after.items() if name in event.bound or name in other.bound
        }
        pairing.nodes.append(PairedEvent(len(pairing.nodes), names, event, other, read, bound))
    here = {event.key for event in left.events}
    for event in right.events:
        if event.key not in here:
            _note_alone(pairing, 1, event)
    _note_heads(pairing, names, _by_call(left, seldom), _by_call(right, seldom))


def _note_alone(pairing: PairedRuns, side: int, event: Event) -> None:
    pairing.unpaired += 1
    for digest in event.bound.values():
        pairing.alone[side][digest] = event.path


def _left(event: Event) -> Mapping[str, str]:
    """What a statement left in names that it bound or might have changed on either side."""
    return {**event.read, **event.bound}


def _differing(expected: Mapping[str, str], actual: Mapping[str, str]) -> dict[str, Pair]:
    both = expected.keys() & actual.keys()
    return {
        name: (expected[name], actual[name])
        for name in sorted(both)
        if expected[name] != actual[name]
    }


def _note_heads(pairing: PairedRuns, names: Pair, *ways: Mapping[str, list[_Key]]) -> None:
    """Of each call that went another way on the other side, the last statement in common."""
    own = [each for each in pairing.nodes if each.stream == names]
    nodes = {each.expected.key: each for each in own}
    places = {each.place: each for each in own}
    for path, way in ways[0].items():
        other = ways[1].get(path)
        if other is None or way == other:
            continue
        together = [one for one, two in zip(way, other, strict=False) if one == two]
        parted = next(
            (place for place, (one, two) in enumerate(zip(way, other, strict=False)) if one != two),
            len(together),
        )
        head = nodes.get(way[parted - 1]) if parted else None
        if head is not None:
            pairing.heads.setdefault(path, head)
        caller = None if parted else places.get(split_path(path)[0])
        if caller is not None:
            pairing.callers.setdefault(path, caller)


def _by_call(stream: ProcessRecording, seldom: frozenset[tuple[str, int]]) -> dict[str, list[_Key]]:
    """Of each call, what it executed; in children less what not all turns are known of."""
    child = "." in stream.name
    found: dict[str, list[_Key]] = defaultdict(list)
    for event in stream.events:
        if not (child and event.key[1:3] in seldom):
            found[event.path].append(event.key)
    return found
