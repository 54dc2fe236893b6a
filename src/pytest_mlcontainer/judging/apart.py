"""Exclusions: differences between repeats that a clock or an id makes, kept apart from values.

Only what differed between repeats is excluded, and as little of it as possible: the times in a
line, not the loss beside them. It is still reported as a difference, but not as nondeterminism,
and the remaining differences can be searched for causes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.compare.rules.renamed import say_names
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.text import excuses
from pytest_mlcontainer.model import (
    NAMED_PATTERNS,
    Difference,
    Pairs,
    Rule,
    Tolerance,
    Verdict,
)
from pytest_mlcontainer.model.clock_names import is_host, is_id

MEASURED, IDS, NAMES = "measured", "ids", "names"
NOUNS: Final = {
    **excuses.NOUNS,
    MEASURED: "numbers that are times, durations or memory by their names",
    IDS: "values that are ids of a run or a machine by their names",
    NAMES: "names of outputs",
}
# A digest of values looks as an id does, and a path may come from what is computed: these are set
# apart only where nothing that can be pinned explains them.
_LAST_RESORT: Final = frozenset({"hex", "path"})
# The beginning of its id is a container's name as a machine, unless it is given one.
_CONTAINER: Final = re.compile(r"[0-9a-f]{12}")
_ON_MACHINE: Final = re.compile(
    r"(?:\b(?:host(?:[ _-]?name)?|node(?:[ _-]?name)?|machine)\W{0,4}|\w@|\bon )\Z", re.IGNORECASE
)
_LINES: Final = 3
_INDEX: Final = re.compile(r"\[[0-9]+\]")
# Versions 3, 5 and 8 of RFC 9562 are made of contents.
_UUID_OF_CONTENTS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[358][0-9a-f]{3}-", re.IGNORECASE)


@dataclass(frozen=True)
class Exclusion:
    """One difference that a clock or an id makes.

    Args:
        where: the output, or the item in it.
        nouns: what kinds it is of: names of patterns, or `MEASURED`, `IDS`, `NAMES`.
        line: the line of configuration that would leave it out.
    """

    where: str
    nouns: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class Exclusions:
    """All exclusions of a comparison, and the rules and names that make it leave them out."""

    rules: tuple[Rule, ...] = ()
    names: Pairs = ()
    parts: tuple[Exclusion, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.parts)

    def amended(self, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """The rules with those before them that leave out what is set apart."""
        return (*self.rules, *rules)

    @property
    def nouns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(noun for part in self.parts for noun in part.nouns))

    def notes(self, notes: Iterable[str]) -> tuple[str, ...]:
        """Without what is said of rules that nobody wrote."""
        own = [f"rule {rule}" for rule in self.rules]
        own += [f"names {pattern!r}" for pattern, _text in self.names]
        return tuple(
            note
            for note in notes
            if not any(note.startswith(f"{each} ") or f"by {each} (" in note for each in own)
        )


def set_apart(
    differences: Iterable[Difference], rules: tuple[Rule, ...], *, last_resort: bool = False
) -> Exclusions:
    """What of these differences between repeats a clock or an id makes; nothing where none does.

    Args:
        rules: by which they were compared.
        last_resort: also what may as well be a digest of values, or a path that means something.
    """
    found = Exclusions()
    for each in differences:
        if each.verdict in (Verdict.DRIFT, Verdict.NONDETERMINISTIC):
            found = joined(found, _one(each, rules, last_resort))
    return found


def say(apart: Exclusions) -> str:
    """What is set apart, and what leaves it out, as the end of a sentence."""
    nouns = " and ".join(NOUNS[noun] for noun in apart.nouns)
    lines = list(dict.fromkeys(part.line for part in apart.parts))
    more = f"; and {len(lines) - _LINES} more" if len(lines) > _LINES else ""
    return f"nothing but {nouns}; to leave them out: {'; '.join(lines[:_LINES])}{more}"


def is_all_apart(differences: Iterable[Difference]) -> bool:
    """Whether all that does not pass may be set apart."""
    failing = [each for each in differences if not each.verdict.passes]
    return bool(failing) and all(bool(_one(each, (), True)) for each in failing)


def joined(one: Exclusions, other: Exclusions) -> Exclusions:
    """Both; what the second sets apart of the same item comes first."""
    known = set(one.rules)
    rules = tuple(rule for rule in other.rules if rule not in known)
    names = tuple(pair for pair in other.names if pair not in one.names)
    parts = tuple(part for part in other.parts if part not in one.parts)
    return Exclusions((*rules, *one.rules), (*one.names, *names), (*one.parts, *parts))


def _one(difference: Difference, rules: tuple[Rule, ...], last_resort: bool) -> Exclusions:
    if difference.renames:
        line = say_names(difference.renames)
        part = Exclusion(difference.where, (NAMES,), line)
        return Exclusions((), difference.renames, (part,))
    if difference.excuses and (last_resort or not _may_mean_something(difference)):
        return _of_text(difference, rules)
    if difference.differing and (is_id(difference.item) or is_host(difference.item)):
        return _whole(difference, IDS)
    of_type = difference.rule.startswith(("dtype", "the type"))
    valued = difference.max_abs is not None or difference.clock  # or times as text: 00:12
    if valued and not of_type and difference.is_measured:
        return _whole(difference, MEASURED)
    return Exclusions()


def _may_mean_something(difference: Difference) -> bool:
    if is_id(difference.item) or is_host(difference.item):
        return False
    texts = (difference.worst_actual, difference.worst_expected)
    shown = [text for each in difference.elements for text in (each.actual, each.expected)]
    if any(_UUID_OF_CONTENTS.search(text) for text in (*texts, *shown)):
        return True
    doubtful = _LAST_RESORT.intersection(difference.excuses)
    are_all = difference.differing <= max(1, len(difference.elements))
    is_machine = doubtful == {"hex"} and are_all and _name_machines((*texts, *shown))
    return bool(doubtful) and not is_machine


def _name_machines(texts: Iterable[str]) -> bool:
    """Whether all ids of hexadecimal digits are what an engine calls a container, where texts say
    on which machine something ran.
    """
    ids = re.compile(NAMED_PATTERNS["hex"])
    return all(
        _CONTAINER.fullmatch(found[0]) and _ON_MACHINE.search(text[: found.start()])
        for text in texts
        for found in ids.finditer(text)
    )


def _of_text(difference: Difference, rules: tuple[Rule, ...]) -> Exclusions:
    item = difference.item
    above = tuple(item[: found.start()] for found in re.finditer(r"[.\[]", item))
    applied = RuleBook(rules).peek(difference.output, item, above[::-1])
    patterns = (NAMED_PATTERNS[name] for name in difference.excuses)
    known = applied.tolerance.patterns
    tolerance = replace(applied.tolerance, patterns=tuple(dict.fromkeys((*known, *patterns))))
    listed = ", ".join(f'"{name}"' for name in difference.excuses)
    line = f"{json.dumps(difference.where, ensure_ascii=False)} = {{ ignore = [{listed}] }}"
    part = Exclusion(difference.where, difference.excuses, line)
    return Exclusions((Rule(_literal(difference.output), item or None, tolerance),), (), (part,))


def _whole(difference: Difference, noun: str) -> Exclusions:
    """The item itself; of a list, each of its places."""
    item = _INDEX.sub("[*]", difference.item)
    where = f"{difference.output}:{item}"
    line = f"{json.dumps(where, ensure_ascii=False)} = {{ ignore = true }}"
    rule = Rule(_literal(difference.output), item, Tolerance(ignore=True))
    return Exclusions((rule,), (), (Exclusion(where, (noun,), line),))


def _literal(name: str) -> str:
    """A glob that matches just this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)
