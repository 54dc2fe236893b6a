"""Values of which nothing can be said: open files, connections, iterators.

Such a value differs where what it was made from does. So a statement that reads one is traced to
the statement that bound it, if that read what differs, seen or hidden, or a function gave it that.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns
from pytest_mlcontainer.locating.recording import split_path

_RESULTS: Final = ("return", "yield")


class HiddenValues:
    """Knows which names hold hidden values that differ, at each statement."""

    def __init__(self, pairing: PairedRuns) -> None:
        self._sources: dict[int, tuple[PairedEvent, ...]] = {}
        self._bound: dict[tuple[str, str], PairedEvent | None] = {}
        self._calls: dict[str, PairedEvent] = {}
        self._opened: dict[int, dict[str, PairedEvent]] = {}
        self._latest: dict[tuple[str, str], PairedEvent] = {}
        self._given: set[tuple[tuple[str, str], str]] = set()
        for node in pairing.nodes:
            self._see(node)

    def sources(self, node: PairedEvent) -> tuple[PairedEvent, ...]:
        """Earlier statements that bound hidden values, which differ, to names that it reads."""
        return self._sources.get(node.number, ())

    def opened(self, node: PairedEvent, name: str) -> PairedEvent | None:
        """The statement that bound a hidden value to a name that a statement reads."""
        return self._opened.get(node.number, {}).get(name)

    def opens(self, node: PairedEvent) -> bool:
        """Whether a statement binds a hidden value: an open file, a reader."""
        return any(name not in node.expected.bound for name in node.expected.binds)

    def _see(self, node: PairedEvent) -> None:
        if node.expected.site is None:
            self._calls[node.expected.path] = node
            return
        self._opened[node.number] = {
            name: bound
            for name in _hidden(node)
            if (bound := self._latest.get((node.expected.path, name))) is not None
        }
        found = [self._made(node, name) for name in _hidden(node)]
        sources = tuple(dict.fromkeys(each for each in found if each is not None))
        if sources:
            self._sources[node.number] = sources
        if not node.bound.keys().isdisjoint(_RESULTS):
            self._given.add((node.stream, split_path(node.expected.path)[0]))
        given = (node.stream, node.place) in self._given
        differs = given or bool(node.read) or bool(sources)
        for name in node.expected.binds:
            if name not in node.expected.bound:
                self._latest[node.expected.path, name] = node
                self._bound[node.expected.path, name] = node if differs else None

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
