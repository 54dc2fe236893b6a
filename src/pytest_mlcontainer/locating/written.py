"""What comes to a statement as text that another wrote: by a file, by a pipe, as output of a child.

No digest leads from one to the other: they are brought together by a file's name, by the processes
that they ran in, and by their order.
"""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.locating.children import is_printed
from pytest_mlcontainer.locating.handed_files import HandedFiles
from pytest_mlcontainer.locating.hidden import HiddenValues, asks
from pytest_mlcontainer.locating.pairs import Pair, PairedEvent, PairedRuns
from pytest_mlcontainer.locating.ways import way_in
from pytest_mlcontainer.locating.writers import prints, writes

_RECEIVES: Final = re.compile(r"^os\.read$|(^|\.)(recv\w*|get|get_nowait)$")
_STDIN: Final = re.compile(r"\bstdin\b|\binput\(")


class WrittenText:
    """Knows which statements wrote what others read.

    Attributes:
        writers: those that read what differs.
    """

    def __init__(self, pairing: PairedRuns, hidden: HiddenValues) -> None:
        self._pairing = pairing
        self._hidden = hidden
        # Asked for by each statement on the way: of all that there are, few write.
        writers = [each for each in pairing.nodes if writes(each)]
        self.writers = [each for each in writers if each.read]
        # What they ask for goes into a file at once, and no name holds it.
        self._asking_writers = [each for each in writers if not each.read and asks(each)]
        self._files = HandedFiles(pairing, hidden, self.writers)

    def printed(self, node: PairedEvent, name: str, pair: Pair) -> list[PairedEvent]:
        """Statements of a child process that wrote a text: that read the same, or the last."""
        if any(sketch.get("t") not in ("text", "bytes") for sketch in self._pairing.of(pair)):
            return []
        below = f"{node.stream[0]}."
        written = [each for each in self.writers if each.stream[0].startswith(below)]
        same = [each for each in written if pair in each.read.values()]
        if same or not is_printed(node, name):
            return same
        return written[-1:] or self._asked_below(node)[-1:]

    def printed_whole(self, node: PairedEvent) -> list[PairedEvent]:
        """The same for what a statement that starts a process binds."""
        given = (self.printed(node, name, pair) for name, pair in node.bound.items())
        return [each for found in given for each in found]

    def piped(self, node: PairedEvent) -> list[PairedEvent]:
        """What another program of the same shell printed, to this one or into a file of it."""
        site = node.expected.site
        if site is None or way_in(site.calls, site.text, reordered=False) is not None:
            return []
        if not (_STDIN.search(site.text) or self._files.names(node)):
            return []
        above = node.stream[0].rpartition(".")[0]
        return [
            each
            for each in self._pairing.nodes
            if prints(each)
            and (each.read or self._hidden.sources(each))
            and each.stream != node.stream
            and each.stream[0].rpartition(".")[0] == above
        ][-1:]

    def through_files(self, node: PairedEvent) -> list[PairedEvent]:
        """The statement that last wrote what differs into a file that this one reads."""
        return self._files.sources(node)

    def asked_into(self, node: PairedEvent) -> list[PairedEvent]:
        """Statements that asked for something and wrote it, by no name, where this one reads."""
        if writes(node):
            return []
        site = node.expected.site
        received = site is not None and any(map(_RECEIVES.search, site.calls))
        if received and not node.read:
            return self._asked_below(node)[-1:]
        names = self._files.names(node)
        written = (each for each in self._asking_writers if self._may_come_to(each, node))
        last = {name: each for each in written for name in names & self._files.names(each)}
        return list(last.values())

    def _may_come_to(self, writer: PairedEvent, node: PairedEvent) -> bool:
        """Whether it comes before, or in a child, of which nobody knows when."""
        below = f"{node.stream[0]}."
        return writer.number < node.number or writer.stream[0].startswith(below)

    def asks_and_writes(self, node: PairedEvent) -> bool:
        """Whether it asked for something and wrote it: that it was another is not seen."""
        return node in self._asking_writers

    def _asked_below(self, node: PairedEvent) -> list[PairedEvent]:
        """Statements of a process's children that asked for something and wrote it."""
        below = f"{node.stream[0]}."
        return [each for each in self._asking_writers if each.stream[0].startswith(below)]
