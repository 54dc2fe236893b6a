"""Where what a function was given comes from, when no statement bound it.

The statement that calls it computes it, `train(numpy.exp(x))`, or made it earlier, where the
function runs only when it is awaited. Where code of a library calls, it depends on what the
function gave when it was called before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_mlcontainer.locating.pairs import Pair, PairedEvent, PairedRuns
from pytest_mlcontainer.locating.recording import ALL, split_path
from pytest_mlcontainer.locating.ways import way_in


@dataclass(frozen=True)
class ArgumentSource:
    """Where it comes from.

    Attributes:
        by: the statement.
        computed: whether that computed it; else it gave something on which it depends.
        seen: whether the call before was looked at; else the first that differs may be another.
    """

    by: PairedEvent
    computed: bool = True
    seen: bool = True


class ArgumentSources:
    """Knows the calls of functions of the project's.

    Args:
        within: places of statements → what functions called there bound, and differs.
    """

    def __init__(self, pairing: PairedRuns, within: Mapping[str, Sequence[PairedEvent]]) -> None:
        self._pairing, self._within = pairing, within
        calls = [each for each in pairing.nodes if each.expected.site is None]
        self._calls = {each.expected.path for each in calls}
        self._looked_at = {(each.stream, each.expected.code, each.expected.turn) for each in calls}
        self._names, self._below = dict[str, str](), dict[tuple[Pair, str], set[str]]()
        for each in calls:
            place, name = split_path(each.expected.path)
            self._names[each.expected.code] = name
            self._below.setdefault((each.stream, place), set()).add(each.expected.code)
        # All of the first are looked at, and then fewer; recorded whole, all.
        self._thinned = {
            code
            for stream, code, turn in self._looked_at
            if turn > 1 and (stream, code, turn - 1) not in self._looked_at
        } | {
            code
            for stream, code, turn in self._looked_at
            if turn == ALL and (stream, code, ALL + 1) not in self._looked_at
        }
        self._callers = {
            (each.stream, each.place): each
            for each in pairing.nodes
            if each.expected.site is not None
        }

    def all_seen(self, node: PairedEvent) -> bool:
        """Whether all calls were looked at of functions that a statement calls or names.

        What comes from outside of the program needs none to differ.
        """
        site = node.expected.site
        if site is None or way_in(site.calls, site.text, reordered=False) is not None:
            return True
        named = {self._names[code] for code in self._thinned} & set(re.findall(r"\w+", site.text))
        return not named and self._thinned.isdisjoint(
            self._below.get((node.stream, node.place), ())
        )

    def of(self, node: PairedEvent) -> ArgumentSource | None:
        """Where what a function is given comes from; None where nobody of the project's called."""
        place, name = split_path(node.expected.path)
        caller = self._callers.get((node.stream, place))
        if caller is None:
            return None
        if name in _called(caller):
            return ArgumentSource(caller)
        maker = self._maker(node, name)
        if maker is not None:
            return ArgumentSource(maker)
        before = [each for each in self._within.get(place, ()) if each.number < node.number]
        if before:
            return ArgumentSource(before[-1], computed=False)
        call = node.expected
        seen = call.turn == 1 or (node.stream, call.code, call.turn - 1) in self._looked_at
        return ArgumentSource(caller, seen=seen)

    def _maker(self, node: PairedEvent, name: str) -> PairedEvent | None:
        """The last statement before that called the function and did not run it: a coroutine's."""
        for each in reversed(self._pairing.nodes[: node.number]):
            if each.stream == node.stream and name in _called(each):
                return None if f"{each.place}>{name}#1" in self._calls else each
        return None


def calling(pairing: PairedRuns, node: PairedEvent) -> PairedEvent | None:
    """The statement that called a function, and to which its result goes."""
    place, _name = split_path(node.expected.path)
    path, _, where = place.rpartition("/")
    line, _, turn = where.partition(":")
    for other in pairing.nodes[node.number + 1 :]:
        site = other.expected.site
        if (
            site is not None
            and other.expected.path == path
            and str(site.line) == line
            and str(other.expected.turn) == turn
        ):
            return other
    return None


def _called(node: PairedEvent) -> set[str]:
    """Names of what a statement calls, without their owners."""
    site = node.expected.site
    return set() if site is None else {each.rpartition(".")[2] for each in site.calls}
