"""Where the values of one side can be put into a run of the other, so that the sides agree.

A statement's values can be put where it binds them to names. What a function returns is bound by
the statement that called it; where that binds nothing, it is put as it is returned. A set cannot be
put, as its order is made anew in each process, nor can the way that a program takes, or an
exception: what is made of them can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pytest_mlcontainer.locating.arguments import calling
from pytest_mlcontainer.locating.chain import Chain
from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns
from pytest_mlcontainer.locating.recording import Sketch
from pytest_mlcontainer.model import Aim

_MOST: Final = 500
_DEEPEST: Final = 8
_RETURNED: Final = "return"
_RESULTS: Final = (_RETURNED, "yield")
# Expressions: of what they bind nothing outlives them but what they give.
_INNER: Final = frozenset({"Lambda", "GeneratorExp"})
_Site = tuple[str, str, int]


def aims_of(
    pairing: PairedRuns, chain: Chain, groups: Sequence[Sequence[PairedEvent]]
) -> tuple[tuple[Aim, ...], list[tuple[Aim, ...]]]:
    """Where values are kept on the expected side, and which of them stand for each of some groups.

    All executions of a statement count: one that computes otherwise on the other side does so each
    time that it is executed.
    """
    names: dict[_Site, dict[str, None]] = {}
    wanted: list[set[_Site]] = []
    for nodes in (chain.way, *groups):
        bindings = [each for node in nodes for each in _bindings(pairing, chain, node, 0)]
        wanted.append({_site(bound) for bound in bindings})
        for bound in bindings:
            names.setdefault(_site(bound), {}).update(dict.fromkeys(_names(bound)))
    aims = {
        site: Aim(number, *site, tuple(found), pairing.programs.get(site[0], ()))
        for number, (site, found) in enumerate(tuple(names.items())[:_MOST])
    }
    found = [tuple(aim for site, aim in aims.items() if site in sites) for sites in wanted[1:]]
    return tuple(aims.values()), found


def _site(node: PairedEvent) -> _Site:
    assert node.expected.site is not None
    return node.stream[0], node.expected.site.file, node.expected.site.line


def _names(node: PairedEvent) -> list[str]:
    if _RETURNED in node.bound:
        return [_RETURNED]
    return [name for name in node.bound if name not in _RESULTS]


def _bindings(
    pairing: PairedRuns, chain: Chain, node: PairedEvent, depth: int
) -> Iterator[PairedEvent]:
    """The statements at which a statement's values can be put."""
    if depth > _DEEPEST or node.expected.site is None:
        return
    if node.expected.kind in _INNER or any(name in node.bound for name in _RESULTS):
        caller = calling(pairing, node)
        above: list[PairedEvent] = []
        if caller is not None and caller.bound:
            above = list(_bindings(pairing, chain, caller, depth + 1))
        whole = _RETURNED in node.bound and node.expected.kind not in _INNER
        if not above and whole and not _hold_sets(pairing, node):
            above = [node]
        yield from above
        return
    if _names(node) and not _hold_sets(pairing, node):
        yield node
        return
    for other in chain.users.get(node.number, ()):
        if other.number != node.number:
            yield from _bindings(pairing, chain, other, depth + 1)


def _hold_sets(pairing: PairedRuns, node: PairedEvent) -> bool:
    return any(_holds_set(pairing.of(pair)[0]) for pair in node.bound.values())


def _holds_set(sketch: Sketch) -> bool:
    if sketch.get("t") == "set":
        return True
    return any(_holds_set(each) for each in sketch.get("c", ()) if isinstance(each, dict))
