"""What statements depend on that no name of theirs holds: generators, and graphs of operations."""

from __future__ import annotations

from pytest_mlcontainer.locating.pairs import Pair, PairedEvent, PairedRuns
from pytest_mlcontainer.locating.ways import is_generator, may_draw


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

    def _is_tensor(self, pair: Pair) -> bool:
        return str(self._pairing.of(pair)[0].get("k", "")).startswith("torch.")


def _takes_gradients(node: PairedEvent) -> bool:
    site = node.expected.site
    return site is not None and any("backward" in call for call in site.calls)
