"""A Dockerfile's stages: which of them reach the image, and what is known in each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_mlcontainer.dockerfile import Instruction

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-+])([^}]*))?\}|(\w+))")
_PAIR = re.compile(r"""([\w.-]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s\\]|\\.)*)""")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        start: its FROM.
        base: what that names, with arguments put in; None where an argument has no value.
        name: in small letters, as stages have no case; "" for none.
        parent: the stage that it is made FROM; None for an image.
        body: its other instructions.
    """

    start: Instruction
    base: str | None
    name: str
    parent: Stage | None
    body: tuple[Instruction, ...]

    @property
    def lineage(self) -> tuple[Stage, ...]:
        """All stages whose layers it has, itself last."""
        return (*(() if self.parent is None else self.parent.lineage), self)

    @property
    def image(self) -> str | None:
        """The image that the first of its lineage is made FROM."""
        return self.lineage[0].base

    def environment(self) -> dict[str, str]:
        """What ENV sets at its end, as it is written; without what the base image sets."""
        found: dict[str, str] = {}
        for each in (one for stage in self.lineage for one in stage.body if one.word == "ENV"):
            found |= dict(pairs(each))
        return found


@dataclass(frozen=True)
class Recipe:
    """A Dockerfile's stages, and the one that makes the image.

    Args:
        head: what stands before the first FROM.
        final: None where there is no FROM, or no stage of the name that is to be built.
    """

    stages: tuple[Stage, ...]
    final: Stage | None
    head: tuple[Instruction, ...] = ()
    instructions: tuple[Instruction, ...] = field(default=(), repr=False)

    @property
    def in_image(self) -> tuple[Stage, ...]:
        """Those whose layers are the image's."""
        return () if self.final is None else self.final.lineage


def parse_recipe(
    instructions: tuple[Instruction, ...], target: str | None, args: Mapping[str, str]
) -> Recipe:
    """The stages.

    Args:
        target: the stage to build; None is the last.
        args: build arguments.
    """
    starts = [at for at, each in enumerate(instructions) if each.word == "FROM"]
    head = instructions[: starts[0]] if starts else instructions
    known = _arguments(head, args)
    stages: list[Stage] = []
    ends = [*starts[1:], len(instructions)][: len(starts)]
    for start, end in zip(starts, ends, strict=True):
        written, name = _base_and_name(instructions[start].rest)
        base = substitute(written, known)
        body = instructions[start + 1 : end]
        stages.append(Stage(instructions[start], base, name, _named(stages, base or ""), body))
    final = stages[-1] if stages and target is None else _chosen(stages, target)
    return Recipe(tuple(stages), final, head, instructions)


def pairs(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """Names and values of an ENV or ARG, without quotes; an ARG without a default has ""."""
    rest = instruction.rest
    if instruction.word == "ENV" and "=" not in rest.partition(" ")[0]:
        name, _, value = rest.partition(" ")
        yield name, value.strip().strip("\"'")
        return
    found = list(_PAIR.finditer(rest))
    for each in found:
        yield each[1], each[2].strip("\"'")
    if instruction.word == "ARG":
        names = _PAIR.sub(" ", rest).split()
        yield from ((name, "") for name in names if re.fullmatch(r"\w+", name))


def substitute(text: str, known: Mapping[str, str]) -> str | None:
    """The text with variables put in; None where one has no value."""
    lacks = False

    def value(found: re.Match[str]) -> str:
        nonlocal lacks
        name, operator, word = found[1] or found[4], found[2] or "", found[3] or ""
        have = known.get(name, "")
        if operator.endswith("+"):
            return word if have else ""
        if not have and not operator:
            lacks = True
        return have or word

    done = _VARIABLE.sub(value, text)
    return None if lacks else done.strip("\"'")


def _arguments(head: tuple[Instruction, ...], args: Mapping[str, str]) -> dict[str, str]:
    """Those that FROM lines may use; the platform's own are not known."""
    known: dict[str, str] = {}
    for each in head:
        if each.word == "ARG":
            for name, default in pairs(each):
                known[name] = args.get(name) or substitute(default, known) or ""
    return known


def _base_and_name(rest: str) -> tuple[str, str]:
    base, *named = rest.split() or [""]
    return base, named[1].lower() if len(named) == 2 and named[0].lower() == "as" else ""


def _named(stages: list[Stage], name: str) -> Stage | None:
    wanted = name.lower()
    return next((each for each in reversed(stages) if wanted and each.name == wanted), None)


def _chosen(stages: list[Stage], target: str | None) -> Stage | None:
    if target is not None and target.isdigit() and int(target) < len(stages):
        return stages[int(target)]
    return _named(stages, target or "")
