"""What statements hand on in files: one program to the next, or one function to another.

A database and a writer count as the files that they were opened for.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mlcontainer.locating.hidden import HiddenValues
from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns
from pytest_mlcontainer.locating.writers import files_named, writes


class HandedFiles:
    """Knows which files statements have to do with, and what was written into these.

    Args:
        writers: statements that write, by what they call, and read what differs.
    """

    def __init__(
        self, pairing: PairedRuns, hidden: HiddenValues, writers: Sequence[PairedEvent]
    ) -> None:
        self._pairing = pairing
        self._hidden = hidden
        given = {each.number: each for each in (*writers, *hidden.fillers)}
        self._writers = [given[number] for number in sorted(given)]

    def names(self, node: PairedEvent) -> set[str]:
        """Names of files in a statement, and where what it reads or writes was opened."""
        behind = (node, *self._hidden.behind(node))
        return {name for each in behind for name in files_named(self._pairing, each)}

    def sources(self, node: PairedEvent) -> list[PairedEvent]:
        """The statement that last wrote what differs into a file that this one reads."""
        if not (node.bound or self._hidden.opens(node)) or writes(node):
            return []
        names = self.names(node)
        found = [
            each
            for each in self._writers
            if (each.number < node.number or each.stream != node.stream)
            and not names.isdisjoint(self.names(each))
        ]
        # Of programs that run one after the other, a later one has nothing to do with it.
        return ([each for each in found if each.number < node.number] or found)[-1:]
