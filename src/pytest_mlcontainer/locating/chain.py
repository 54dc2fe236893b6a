"""From the outputs back to where the difference comes in: the way that it took through values.

What a statement read is traced to the statement that bound it by its digests on both sides: two
digests that differ are all but unmistakable, whatever names the value has had meanwhile. A
container that differs is traced by what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.locating.arguments import ArgumentSources
from pytest_mlcontainer.locating.children import gathers, is_named
from pytest_mlcontainer.locating.hidden import HiddenValues, asks
from pytest_mlcontainer.locating.pairs import Pair, PairedEvent, PairedRuns
from pytest_mlcontainer.locating.process_state import ProcessState
from pytest_mlcontainer.locating.recording import Sketch, split_path
from pytest_mlcontainer.locating.sketches import (
    differing_parts,
    digests,
    distance,
    names_within,
    parts_within,
)
from pytest_mlcontainer.locating.writers import (
    names_output,
    writes,
    writing_to,
)
from pytest_mlcontainer.locating.written import WrittenText

_DEEPEST: Final = 6


@dataclass(frozen=True)
class Chain:
    """How a difference reaches the outputs.

    Attributes:
        origins: whose inputs agree and whose results do not.
        loose: which read what differs, and nobody was seen to bind that.
        unsure: as origins, but they call functions of the project's of which not all calls were
            looked at.
        way: all statements between, these included, in order of execution.
        users: numbers of statements → those on the way that used what they made.
        unseen: which may have brought the difference into what the origins read, out of sight.
    """

    origins: tuple[PairedEvent, ...]
    loose: tuple[PairedEvent, ...]
    unsure: tuple[PairedEvent, ...]
    way: tuple[PairedEvent, ...]
    users: Mapping[int, tuple[PairedEvent, ...]]
    unseen: tuple[PairedEvent, ...] = ()


def trace(pairing: PairedRuns, outputs: Sequence[str]) -> Chain:
    """Trace what differs in outputs back to where it comes in.

    Args:
        outputs: names of the outputs that drift; paths, or what a run printed.
    """
    tracer = _Tracer(pairing)
    return tracer.back_from(_ends(pairing, tracer, outputs))


def _ends(pairing: PairedRuns, tracer: _Tracer, outputs: Sequence[str]) -> list[PairedEvent]:
    """Statements that hand on what differs: those that name an output, else all that write."""
    writing = [each for each in pairing.nodes if writes(each)]
    asked = [each for each in writing if asks(each) and names_output(pairing, each, outputs)]
    sinks = [each for each in writing if tracer.is_reached(each)]
    if sinks:
        return writing_to(pairing, [*sinks, *asked], outputs)
    # Nothing writes by its name: what reads what differs, and makes nothing of it that is seen.
    return [each for each in pairing.nodes if each.read and not each.bound and each.expected.site]


class _Tracer:
    def __init__(self, pairing: PairedRuns) -> None:
        self._pairing = pairing
        self._bound: dict[Pair, list[PairedEvent]] = {}
        self._named: dict[tuple[str, str], list[PairedEvent]] = {}
        self._returns: dict[str, list[PairedEvent]] = {}
        self._within: dict[str, list[PairedEvent]] = {}
        self._given: dict[Pair, list[PairedEvent]] = {}
        self._held: dict[Pair, list[PairedEvent]] | None = None
        self._ended: list[PairedEvent] = []
        self._hidden = HiddenValues(pairing)
        self._process = ProcessState(pairing)
        self._written = WrittenText(pairing, self._hidden)
        for node in pairing.nodes:
            for name, pair in node.bound.items():
                self._bound.setdefault(pair, []).append(node)
                if node.expected.site is not None:
                    self._named.setdefault((node.expected.path, name), []).append(node)
                if name in ("return", "yield"):
                    self._ended.append(node)
                    self._given.setdefault(pair, []).append(node)
                    self._returns.setdefault(_caller(node), []).append(node)
            if node.bound and node.expected.site is not None:
                self._within.setdefault(_caller(node), []).append(node)
        self._arguments = ArgumentSources(pairing, self._within)
        self._paths = {(each.stream, each.expected.path) for each in pairing.nodes}

    def is_reached(self, node: PairedEvent) -> bool:
        """Whether what differs comes to a statement."""
        return bool(node.read) or bool(self._sources(node)[0])

    def back_from(self, ends: Iterable[PairedEvent]) -> Chain:
        seen: dict[int, PairedEvent] = {}
        origins: list[PairedEvent] = []
        loose: list[PairedEvent] = []
        unsure: list[PairedEvent] = []
        users: dict[int, list[PairedEvent]] = {}
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node.number in seen:
                continue
            seen[node.number] = node
            sources, unexplained = self._sources(node)
            waiting.extend(sources)
            for source in sources:
                users.setdefault(source.number, []).append(node)
            if node.expected.site is None:
                if unexplained:
                    self._given_in_call(node, waiting, seen, (origins, unsure))
                continue
            if unexplained:
                loose.append(node)
            elif not sources and not node.read:
                (origins if self._arguments.all_seen(node) else unsure).append(node)
        used = {number: _in_order(nodes) for number, nodes in users.items()}
        began, way = _in_order(origins), _in_order(seen.values())
        hidden = {
            each.number: each
            for node in began
            for each in (*self._hidden.unseen(node), *self._written.asked_into(node))
        }
        unseen = _in_order(
            each
            for each in (*hidden.values(), *began)
            if each.number not in seen or self._is_unseen(each)
        )
        return Chain(began, _in_order(loose), _in_order(unsure), way, used, unseen)

    def _is_unseen(self, node: PairedEvent) -> bool:
        """Whether an origin is one for what it asks for or changes alone, which nobody saw."""
        return (
            self._hidden.fills(node)
            or self._process.hands_on(node)
            or self._written.asks_and_writes(node)
        )

    def _given_in_call(
        self,
        node: PairedEvent,
        waiting: list[PairedEvent],
        seen: dict[int, PairedEvent],
        ends: tuple[list[PairedEvent], list[PairedEvent]],
    ) -> None:
        """What a function is given that no statement bound; `ends` are origins and unsure ones."""
        source = self._arguments.of(node)
        if source is None:
            return
        if not source.computed:
            waiting.append(source.by)
            return
        hidden = self._hidden.sources(source.by)
        waiting.extend(hidden)
        if not source.by.read and not hidden:
            seen[source.by.number] = source.by
            ends[0 if source.seen else 1].append(source.by)
        for name, pair in source.by.read.items():
            waiting.extend(self._made(source.by, name, pair))

    def _sources(self, node: PairedEvent) -> tuple[list[PairedEvent], bool]:
        """Where what it read, or was handed back, was bound; whether anything is unexplained."""
        found, unexplained = [], False
        for name, pair in node.read.items():
            made = self._made(node, name, pair) or self._written.printed(node, name, pair)
            found += made
            unexplained = unexplained or not made
        found += self._handed_back(node) or self._changed_within(node)
        found += () if found else self._results(node)
        found += () if found or node.read else self._written.printed_whole(node)
        found += () if found else self._parted_within(node)
        found += () if found else self._process.through_graph(node)
        found += self._hidden.sources(node)
        head = self._pairing.heads.get(node.expected.path)
        if head is not None and head.number < node.number and not node.read and node.bound:
            found.append(head)
        found += () if found or node.read or asks(node) else self._hidden.filled(node)
        found += () if found or node.read else self._process.seeded(node)
        found += () if found or node.read else self._called_otherwise(node)
        found += () if found or node.read else self._written.piped(node)
        return found, unexplained

    def _handed_back(self, node: PairedEvent) -> list[PairedEvent]:
        """What functions of the project's returned to a statement."""
        if node.expected.site is None:
            return []
        return [each for each in self._returns.get(node.place, ()) if each.number < node.number]

    def _results(self, node: PairedEvent) -> list[PairedEvent]:
        """What functions of the project's gave to a library, or a generator gave, and it bound."""
        held = {pair for pair in node.bound.values() for pair in self._parts(pair)}
        made = [_before(self._given.get(pair, ()), node) for pair in held]
        found = [each for each in made if each is not None] or self._given_in_any_order(node, held)
        found = found or [*self._from_children(node, held), *self._written.through_files(node)]
        return found or self._process.taken(node, self.is_reached)

    def _given_in_any_order(self, node: PairedEvent, held: set[Pair]) -> list[PairedEvent]:
        """What functions gave that is among what a statement binds, wherever it is there."""
        sides = [self._pairing.of(pair) for pair in held]
        here = {name for left, _ in sides for name in names_within(left, _DEEPEST)}
        there = {name for _, right in sides for name in names_within(right, _DEEPEST)}
        return [
            each
            for each in self._ended
            if each.number < node.number
            and any(pair[0] in here and pair[1] in there for pair in each.bound.values())
        ]

    def _from_children(self, node: PairedEvent, held: set[Pair]) -> list[PairedEvent]:
        """What functions gave in other processes; in which order, nobody knows."""
        given = [each for pair in held for each in self._given.get(pair, ())]
        found = [each for each in given if _may_give(each, node)]
        # Of a list of numbers only the whole is known: then by the function's name.
        named = (each for each in self._ended if is_named(each, node))
        found = found or [each for each in named if _may_give(each, node)]
        return found[-1:] or (self._begun_by_children(node) if gathers(node) else [])

    def _begun_by_children(self, node: PairedEvent) -> list[PairedEvent]:
        """The first that children gave, as tasks that nobody names, or else wrote."""
        below = f"{node.stream[0]}."
        given = [each for each in self._ended if self._is_asked(each)] or self._written.writers
        return [each for each in given if each.stream[0].startswith(below)][:1]

    def _is_asked(self, node: PairedEvent) -> bool:
        """Whether a function was called by no other of its process's: a child's task."""
        above, _, called = _caller(node).rpartition("/")
        return not above or called == "?" or (node.stream, above) not in self._paths

    def _parted_within(self, node: PairedEvent) -> list[PairedEvent]:
        """Where functions of the project's, which a statement called, went different ways."""
        if node.expected.site is None:
            return []
        heads = self._pairing.heads.items()
        return [head for path, head in heads if path.startswith(f"{node.place}>")][:1]

    def _called_otherwise(self, node: PairedEvent) -> list[PairedEvent]:
        """The statement that called something else on the other side, which came to this one."""
        path = node.expected.path
        while path and path not in self._pairing.callers:
            path = path.rpartition("/")[0]
        return [self._pairing.callers[path]] if path else []

    def _changed_within(self, node: PairedEvent) -> list[PairedEvent]:
        """What functions of the project's did to the values that a statement gave them."""
        if node.expected.site is None:
            return []
        changed = [each for each in self._within.get(node.place, ()) if each.number < node.number]
        inner = {pair for each in changed for pair in each.bound.values()}
        held = {pair for pair in node.bound.values() for pair in self._parts(pair)}
        return [each for each in changed if inner & held & set(each.bound.values())] or changed[-1:]

    def _parts(self, pair: Pair) -> Iterator[Pair]:
        """A pair, and those that differ of what it holds."""
        yield pair
        for left, right in parts_within(*self._pairing.of(pair), _DEEPEST):
            yield digests(left, right)

    def _made(self, node: PairedEvent, name: str, pair: Pair) -> list[PairedEvent]:
        """Where something that a statement reads was bound."""
        made = _before(self._bound.get(pair, ()), node)
        head = self._parted(node, pair) if made is None else None
        if made is not None or head is not None:
            return [each for each in (made or head,) if each is not None]
        found = list(self._made_within(node, self._pairing.of(pair), 0))
        found = found or list(self._made_beside(node, pair))
        made = None if found else _before(self._named.get((node.expected.path, name), ()), node)
        if not found and made is None:
            made = self._head_of(node, pair, self._pairing.alone_within)
        return found if made is None else [made]

    def _made_within(
        self, node: PairedEvent, sides: tuple[Sketch, Sketch], depth: int
    ) -> Iterator[PairedEvent]:
        """Where what a container holds was bound."""
        for left, right in differing_parts(*sides):
            made = _before(self._bound.get(digests(left, right), ()), node)
            if made is not None:
                yield made
            elif depth + 1 < _DEEPEST:
                yield from self._made_within(node, (left, right), depth + 1)

    def _made_beside(self, node: PairedEvent, pair: Pair) -> Iterator[PairedEvent]:
        """Where what a container holds was bound as a part of another: a model's weights."""
        held = self._held_by_containers()
        for part in self._parts(pair):
            made = _before(held.get(part, ()), node)
            if made is not None and made is not node:
                yield made

    def _held_by_containers(self) -> Mapping[Pair, list[PairedEvent]]:
        """What differs and is held by containers → the statements that bound these."""
        if self._held is None:
            self._held = {}
            for node in self._pairing.nodes:
                for pair in node.bound.values():
                    for part in dict.fromkeys(self._parts(pair)):
                        self._held.setdefault(part, []).append(node)
        return self._held

    def _parted(self, node: PairedEvent, pair: Pair) -> PairedEvent | None:
        """Of a value that the sides bound in different statements, where they parted before."""
        return self._head_of(node, pair, self._pairing.alone)

    def _head_of(
        self, node: PairedEvent, pair: Pair, alone: tuple[Mapping[str, str], Mapping[str, str]]
    ) -> PairedEvent | None:
        for side, digest in zip(alone, pair, strict=True):
            path = side.get(digest)
            while path:
                head = self._pairing.heads.get(path)
                if head is not None and head.number < node.number:
                    return head
                path = path.rpartition("/")[0]
        return None


def _caller(node: PairedEvent) -> str:
    """The place in the tree of calls from which a returning function was called."""
    return split_path(node.expected.path)[0]


def _may_give(given: PairedEvent, node: PairedEvent) -> bool:
    """Whether a process may have handed something to another: no later program of a shell has."""
    if given.stream == node.stream:
        return False
    return given.stream[0].startswith(f"{node.stream[0]}.") or given.number < node.number


def _before(made: Iterable[PairedEvent], node: PairedEvent) -> PairedEvent | None:
    earlier = [each for each in made if each.number < node.number]
    return earlier[-1] if earlier else None


def _in_order(nodes: Iterable[PairedEvent]) -> tuple[PairedEvent, ...]:
    return tuple(sorted(nodes, key=lambda node: node.number))


def apart(pairing: PairedRuns, pairs: Iterable[Pair]) -> float | None:
    """The largest distance of some values on both sides; None where none can be measured."""
    found = [distance(*pairing.of(pair)) for pair in pairs]
    return max((each for each in found if each is not None), default=None)
