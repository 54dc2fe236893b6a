"""Which layers of an image are those of its base, told by the instructions of its Dockerfile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_mlcontainer.dockerfile import parse_instructions

_MAKE_LAYERS = ("RUN", "COPY", "ADD", "WORKDIR")
# Of builders before BuildKit: `/bin/sh -c #(nop) COPY file:…`, and RUN as its command alone.
_OLD_WORD = re.compile(r"/bin/sh -c #\(nop\)\s+([A-Z]+)")
_OLD_RUN = re.compile(r"(?:\|\d+ .*)?/bin/(?:ba)?sh ")


@dataclass
class _DockerfileStage:
    base: str
    words: list[str] = field(default_factory=list)


def count_base_layers(
    instructions: tuple[str, ...], dockerfile: str, target: str = ""
) -> int | None:
    """How many layers an image has of the image that its Dockerfile is FROM.

    Args:
        instructions: what made each layer, as the image's history has it, the base first.
        dockerfile: its text.
        target: the stage that was built; "" is the last.

    Returns:
        None where the history does not end with the instructions of the Dockerfile.
    """
    words = _own_words(dockerfile, target.lower())
    if words is None or len(words) > len(instructions):
        return None
    count = len(instructions) - len(words)
    made = tuple(map(instruction_word, instructions[count:]))
    return count if made == words else None


def instruction_word(created_by: str) -> str:
    """`RUN`, for what a history says of a layer; "" for what no instruction made."""
    text = created_by.strip()
    old = _OLD_WORD.match(text)
    if old is not None:
        return old[1]
    if _OLD_RUN.match(text):
        return "RUN"
    word = text.split(" ", 1)[0]
    return word if word in _MAKE_LAYERS else ""


def _own_words(dockerfile: str, target: str) -> tuple[str, ...] | None:
    """Instructions that make layers, of the stage that is built and those that it is made from."""
    stages: dict[str, _DockerfileStage] = {}
    last = ""
    for number, each in enumerate(parse_instructions(dockerfile)):
        if each.word == "FROM":
            base, *named = each.rest.lower().split() or [""]
            last = named[1] if named[:1] == ["as"] and len(named) == 2 else f"\0{number}"
            stages[last] = _DockerfileStage(base)
        elif last and each.word in _MAKE_LAYERS:
            stages[last].words.append(each.word)
    at: str | None = target or last
    words: list[str] = []
    seen: set[str] = set()
    while at in stages and at not in seen:
        seen.add(at)
        words = stages[at].words + words
        at = stages[at].base
    return tuple(words) if seen else None
