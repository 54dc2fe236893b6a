"""Which changes can only be made together, because one package requires another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_mlcontainer.mixing.changes import Change, ImageChangeKind
from pytest_mlcontainer.mixing.contents import Contents
from pytest_mlcontainer.mixing.versions import parse_requirement


@dataclass(frozen=True)
class Tie:
    """A change that requires another: with `name` goes `needs`; `why` says it in a sentence."""

    name: str
    needs: str
    why: str


def ties(found: Iterable[Change], a: Contents, b: Contents) -> tuple[Tie, ...]:
    """Which packages cannot be changed without another, by what they say themselves."""
    packages = {change.name: change for change in found if change.kind is ImageChangeKind.PACKAGE}
    made = []
    for change in packages.values():
        for side, python, changed in (
            (change.after, b.python, True),
            (change.before, a.python, False),
        ):
            for text in () if side is None else side.requires:
                wanted = parse_requirement(text, python)
                other = None if wanted is None else packages.get(wanted.name)
                if side is None or wanted is None or other is None or other is change:
                    continue
                left_behind = other.before if changed else other.after
                if left_behind is not None and wanted.accepts(left_behind.version):
                    continue
                there = "nothing" if left_behind is None else left_behind.version
                why = f"{side.name} {side.version} requires {wanted}, not {there}"
                pair = (change.name, other.name) if changed else (other.name, change.name)
                made.append(Tie(*pair, why))
    return tuple(made)


def closed(names: Iterable[str], bound: Iterable[Tie]) -> frozenset[str]:
    """The names with all that cannot be apart from them."""
    chosen, links = set(names), tuple(bound)
    while missing := {tie.needs for tie in links if tie.name in chosen} - chosen:
        chosen |= missing
    return frozenset(chosen)


def crossing(
    names: Iterable[str], found: Iterable[Change], mentioned: Iterable[str] = ()
) -> tuple[Tie, ...]:
    """Ties that would explain why these changes alone fail: packages of which one requires the
    other, and of which only one was changed.

    Args:
        mentioned: modules that the failure names; pairs with one of these come alone, if any.
    """
    chosen, named = set(names), set(mentioned)
    packages = {change.name: change for change in found if change.kind is ImageChangeKind.PACKAGE}
    pairs = []
    for change in packages.values():
        for side in filter(None, (change.before, change.after)):
            for text in side.requires:
                wanted = parse_requirement(text, "3")
                other = None if wanted is None else packages.get(wanted.name)
                if other is not None and (change.name in chosen) != (other.name in chosen):
                    pairs.append((change, other))
    told = [pair for pair in pairs if _modules(pair[0]) & named] or [
        pair for pair in pairs if _modules(pair[1]) & named
    ]
    made = []
    for user, used in told or pairs:
        inside, outside = (user, used) if user.name in chosen else (used, user)
        why = f"it fails with only one of {inside.name} and {outside.name} changed"
        made.append(Tie(inside.name, outside.name, why))
    return tuple(dict.fromkeys(made))


def _modules(change: Change) -> set[str]:
    sides = (change.before, change.after)
    return {name for side in sides if side is not None for name in side.modules}
