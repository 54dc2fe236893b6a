"""Values of which nothing can be said: open files, connections, iterators.

Such a value differs where what it was made from does. So a statement that reads one is traced to
the statement that bound it, if that read what differs, seen or hidden, or a function gave it that.

Where all that it was made from is equal, the difference may still have come in with it, out of
sight: of a statement that reads it nobody can prove that it comes in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns
from pytest_mlcontainer.locating.recording import split_path
from pytest_mlcontainer.locating.ways import is_everywhere, way_in

_RESULTS: Final = ("return", "yield")
_SETS: Final = re.compile(r"(^|\.)_?(set|init|config|use|enable|update|basicConfig)\w*$")
_ENVIRONMENT: Final = "os.environ"
# Of these libraries values have to do with the process: they differ where they are asked to.
_MACHINERY: Final = frozenset(
    {"_csv", "_io", "_thread", "asyncio", "concurrent", "contextlib", "http", "io", "logging"}
    | {"mmap", "multiprocessing", "queue", "select", "selectors", "socket", "sqlite3", "ssl"}
    | {"subprocess", "tempfile", "threading", "urllib", "weakref"}
)


class HiddenValues:
    """Knows which names hold hidden values that differ, at each statement."""

    def __init__(self, pairing: PairedRuns) -> None:
        self._sources: dict[int, tuple[PairedEvent, ...]] = {}
        self._bound: dict[tuple[str, str], PairedEvent | None] = {}
        self._calls: dict[str, PairedEvent] = {}
        self._opening: dict[str, list[PairedEvent]] = {}
        self._latest: dict[tuple[str, str], PairedEvent] = {}
        self._given: set[tuple[tuple[str, str], str]] = set()
        self._attributes: dict[str, PairedEvent] = {}
        self._asked: dict[tuple[str, str], PairedEvent] = {}
        self._setting: list[PairedEvent] = []
        self._makers: dict[int, tuple[PairedEvent, ...]] = {}
        self._fillers: dict[int, list[PairedEvent]] = {}
        self._filling: set[int] = set()
        self._callers = {each.place: each for each in pairing.nodes if each.expected.site}
        for node in pairing.nodes:
            self._see(node)

    def sources(self, node: PairedEvent) -> tuple[PairedEvent, ...]:
        """Earlier statements that bound hidden values, which differ, to names that it reads."""
        return self._sources.get(node.number, ())

    def filled(self, node: PairedEvent) -> list[PairedEvent]:
        """The statement that last gave what differs to a hidden value that it reads.

        What comes out of a database or a writer differs, once it was given what does; in which
        order children do, nobody knows.
        """
        lineage = self._lineage(self._makers.get(node.number, ()))
        given = [each for maker in lineage for each in self._fillers.get(maker, ())]
        before = [each for each in given if each.stream == node.stream and each is not node]
        below = [each for each in given if each.stream[0].startswith(f"{node.stream[0]}.")]
        earlier = sorted((each for each in before if each.number < node.number), key=_number)
        return (earlier or below)[-1:]

    def fills(self, node: PairedEvent) -> bool:
        """Whether a statement changes nothing but hidden values."""
        return node.number in self._filling

    @property
    def fillers(self) -> tuple[PairedEvent, ...]:
        """Statements that give hidden values what differs: a database, a writer."""
        return tuple(each for nodes in self._fillers.values() for each in nodes)

    def behind(self, node: PairedEvent) -> tuple[PairedEvent, ...]:
        """Statements that made the hidden values that one reads, wherever these were opened."""
        waiting, found = [node], dict[int, PairedEvent]()
        while waiting:
            each = waiting.pop()
            made = [*self._makers.get(each.number, ())]
            made += [inner for maker in made for inner in self._opening.get(maker.place, ())]
            caller = self._callers.get(split_path(each.expected.path)[0])
            if caller is not None and self._takes_hidden(each):
                made.append(caller)
            waiting += [one for one in made if one.number not in found]
            found.update((one.number, one) for one in made)
        return tuple(found.values())

    def opens(self, node: PairedEvent) -> bool:
        """Whether a statement binds a hidden value: an open file, a reader."""
        return any(name not in node.expected.bound for name in node.expected.binds)

    def unseen(self, node: PairedEvent) -> tuple[PairedEvent, ...]:
        """Statements that may have brought the difference into hidden values that it reads."""
        # What a process has for all may be set by what is outside: threads, precision, zones.
        setting = [each for each in self._setting if each.number < node.number]
        found = {
            each.number: each
            for each in setting
            if each.stream == node.stream and (sets_environment(each) or not asks(node))
        }
        waiting, seen = [node], set[int]()
        while waiting:
            each = waiting.pop()
            if each.number in seen:
                continue
            seen.add(each.number)
            for maker in self._makers.get(each.number, ()):
                if self._may_bring(maker):
                    found[maker.number] = maker
                waiting.append(maker)
            caller = self._callers.get(split_path(each.expected.path)[0])
            if caller is not None and self._takes_hidden(each):
                waiting.append(caller)
        return tuple(found[number] for number in sorted(found))

    def _may_bring(self, maker: PairedEvent) -> bool:
        kinds = {kind.partition(".")[0] for kind in maker.expected.hidden.values()}
        return not kinds <= _MACHINERY or asks(maker)

    def _takes_hidden(self, node: PairedEvent) -> bool:
        """Whether its function was given hidden values, and it reads them."""
        call = self._calls.get(node.expected.path)
        roots = {name.partition(".")[0] for name in _hidden(node)}
        return call is not None and not roots.isdisjoint(call.expected.hidden)

    def _note_makers(self, node: PairedEvent) -> None:
        found, path = list[PairedEvent](), node.expected.path
        is_asking = node.expected.kind == "Expr" and asks(node)
        for name in _hidden(node):
            # A module that was imported has none, and holds nothing that is computed.
            maker = self._maker(path, name)
            if maker is not None:
                asked = self._asked.get((path, name))
                found += [maker] if asked is None else [maker, asked]
                if is_asking:
                    self._asked[path, name] = node
        self._makers[node.number] = tuple(dict.fromkeys(found))

    def _maker(self, path: str, name: str) -> PairedEvent | None:
        """The statement that last bound a hidden value to a name, or to one of its owner's."""
        root = name.partition(".")[0]
        found = self._attributes.get(name.rpartition(".")[2]) if "." in name else None
        while path and found is None:
            found = self._latest.get((path, name)) or self._latest.get((path, root))
            path = path.rpartition("/")[0]
        return found

    def _see(self, node: PairedEvent) -> None:
        if node.expected.site is None:
            self._calls[node.expected.path] = node
            return
        if self.opens(node):
            self._opening.setdefault(split_path(node.expected.path)[0], []).append(node)
        self._note_makers(node)
        if _sets(node):
            self._setting.append(node)
        found = [self._made(node, name) for name in _hidden(node)]
        sources = tuple(dict.fromkeys(each for each in found if each is not None))
        given = (node.stream, node.place) in self._given
        differs = given or bool(node.read) or bool(sources)
        self._see_filled(node, differs)
        if sources:
            self._sources[node.number] = sources
        if not node.bound.keys().isdisjoint(_RESULTS):
            self._given.add((node.stream, split_path(node.expected.path)[0]))
        for name in node.expected.binds:
            if name not in node.expected.bound:
                self._latest[node.expected.path, name] = node
                if "." in name:
                    self._attributes[name.rpartition(".")[2]] = node
                self._bound[node.expected.path, name] = node if differs else None

    def _see_filled(self, node: PairedEvent, differs: bool) -> None:
        """Note what gives a hidden value what differs, or asks for something for it."""
        found = (self._maker(node.expected.path, name) for name in _changed(node))
        makers = [each for each in found if each is not None]
        if makers and (differs or asks(node) or self.filled(node)):
            self._filling |= set() if node.bound else {node.number}
            for maker in self._lineage(makers):
                self._fillers.setdefault(maker, []).append(node)

    def _lineage(self, makers: Iterable[PairedEvent]) -> dict[int, None]:
        """Numbers of statements that made hidden values, and of what those were made from."""
        waiting, found = list(makers), dict[int, None]()
        while waiting:
            maker = waiting.pop()
            if maker.number not in found:
                found[maker.number] = None
                waiting.extend(self._makers.get(maker.number, ()))
        return found

    def _made(self, node: PairedEvent, name: str) -> PairedEvent | None:
        path = node.expected.path
        root = name.partition(".")[0]
        while path:
            for each in (name, root):
                if (path, each) in self._bound:
                    return self._bound[path, each]
            call = self._calls.get(path)
            if call is not None and call.read and path == node.expected.path:
                return call
            path = path.rpartition("/")[0] if "/" in path else ""
        return None


def _hidden(node: PairedEvent) -> list[str]:
    """Names that a statement reads, and of whose values nothing is known."""
    return [name for name in node.expected.reads if name not in node.expected.read]


def _changed(node: PairedEvent) -> list[str]:
    """Names of hidden values of which a statement calls a method, or sets a part."""
    calls = () if node.expected.site is None else node.expected.site.calls
    return [
        name
        for name in _hidden(node)
        if name in node.expected.binds or any(each.startswith(f"{name}.") for each in calls)
    ]


def _number(node: PairedEvent) -> int:
    return node.number


def asks(node: PairedEvent) -> bool:
    """Whether a statement asks for what is outside of the program, and may be another there."""
    site = node.expected.site
    way = None if site is None else way_in(site.calls, site.text, reordered=False)
    return way is not None and not is_everywhere(way)


def sets_environment(node: PairedEvent) -> bool:
    """Whether a statement sets a variable of the environment, which anything may ask for later."""
    return _ENVIRONMENT in node.expected.binds


def _sets(node: PairedEvent) -> bool:
    """Whether a statement sets, by what is outside of the program, what no name holds."""
    site = node.expected.site
    if site is None or node.expected.bound or not set(node.expected.binds) <= {_ENVIRONMENT}:
        return False
    others = tuple(each for each in site.calls if not _SETS.search(each))
    sets = len(others) < len(site.calls) or node.expected.kind in ("Assign", "AugAssign")
    way = way_in(others, site.text, reordered=False)
    return sets and way is not None and not is_everywhere(way)
