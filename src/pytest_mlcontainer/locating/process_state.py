"""What statements depend on that no name of theirs holds: generators, graphs, queues."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pytest_mlcontainer.locating.hidden import asks
from pytest_mlcontainer.locating.pairs import Pair, PairedEvent, PairedRuns
from pytest_mlcontainer.locating.ways import is_generator, may_draw

_TAKES: Final = re.compile(r"\.(get|get_nowait|recv|recv_bytes)$")
_PUTS: Final = re.compile(r"\.(put|put_nowait|send|send_bytes)$")


class ProcessState:
    """Knows which statements left a process in another state."""

    def __init__(self, pairing: PairedRuns) -> None:
        self._pairing = pairing
        self._seeding = [each for each in pairing.nodes if any(map(is_generator, each.bound))]

    def seeded(self, node: PairedEvent) -> list[PairedEvent]:
        """The statement that last seeded generators otherwise, of one that may draw from them."""
        site = node.expected.site
        if site is None or not may_draw(site.calls, site.text):
            return []
        seeding = (each for each in self._seeding if each.number < node.number)
        return [each for each in seeding if each.stream == node.stream][-1:]

    def through_graph(self, node: PairedEvent) -> list[PairedEvent]:
        """The last tensor that differs before gradients are taken, though the loss agrees.

        A loss may round to the same number where what it was computed from is not the same.
        """
        if not _takes_gradients(node):
            return []
        for other in reversed(self._pairing.nodes[: node.number]):
            if other.stream != node.stream:
                continue
            if _takes_gradients(other):
                break
            pairs = (*other.read.values(), *other.bound.values())
            if other.expected.site is not None and any(map(self._is_tensor, pairs)):
                return [other]
        return []

    def taken(self, node: PairedEvent, differs: Callable[[PairedEvent], bool]) -> list[PairedEvent]:
        """What others put where a statement takes something; which of it, nobody knows.

        Args:
            differs: whether what differs comes to a statement.
        """
        if not _calls(node, _TAKES):
            return []
        found = {
            each.expected.site: each
            for each in self._pairing.nodes
            if _calls(each, _PUTS) and _worker(each) != _worker(node)
            if differs(each) or asks(each)
        }
        return list(found.values())

    def hands_on(self, node: PairedEvent) -> bool:
        """Whether a statement computes what it puts somewhere as it puts it, and binds nothing."""
        return not node.bound and _calls(node, _PUTS)

    def _is_tensor(self, pair: Pair) -> bool:
        return str(self._pairing.of(pair)[0].get("k", "")).startswith("torch.")


def _takes_gradients(node: PairedEvent) -> bool:
    site = node.expected.site
    return site is not None and any("backward" in call for call in site.calls)


def _calls(node: PairedEvent, pattern: re.Pattern[str]) -> bool:
    site = node.expected.site
    return site is not None and any(map(pattern.search, site.calls))


def _worker(node: PairedEvent) -> tuple[Pair, str]:
    """The process and the call in which a statement is executed: of a thread's, or a coroutine."""
    return node.stream, node.expected.path
