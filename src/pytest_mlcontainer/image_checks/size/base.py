"""Which layers of an image are those of its base.

The history tells it, where it ends with the instructions of the Dockerfile; else the base itself
does, where the engine has it.
"""

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
    """A stage: what it is FROM, and its instructions that make layers."""

    base: str
    words: list[str] = field(default_factory=list)
    before: _DockerfileStage | None = None


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


def external_base(dockerfile: str, target: str = "") -> str:
    """The image that a Dockerfile's stage, or the stage that this one is FROM, begins with.

    "" where it is called by a variable, or there is none.
    """
    chain = _chain(dockerfile, target.lower())
    base = chain[0].base if chain else ""
    return "" if "$" in base or base == "scratch" else base


def count_common_layers(layers: tuple[str, ...], base: tuple[str, ...]) -> int | None:
    """How many layers an image has of another; None where it does not begin with all of them."""
    return len(base) if base and layers[: len(base)] == base else None


def _own_words(dockerfile: str, target: str) -> tuple[str, ...] | None:
    """Instructions that make layers, of the stage that is built and those that it is made from."""
    chain = _chain(dockerfile, target)
    return tuple(word for stage in chain for word in stage.words) if chain else None


def _chain(dockerfile: str, target: str) -> tuple[_DockerfileStage, ...]:
    """The stage that is built, behind those that it is made from."""
    stages: dict[str, _DockerfileStage] = {}
    last = ""
    for number, each in enumerate(parse_instructions(dockerfile)):
        if each.word == "FROM":
            base, *named = each.rest.split() or [""]
            is_named = len(named) == 2 and named[0].lower() == "as"
            last = named[1].lower() if is_named else f"\0{number}"
            before = stages.get(base.lower())
            stages[last] = _DockerfileStage(base, before=before)
        elif last and each.word in _MAKE_LAYERS:
            stages[last].words.append(each.word)
    chain: list[_DockerfileStage] = []
    at = stages.get(target or last)
    while at is not None:
        chain.insert(0, at)
        at = at.before
    return tuple(chain)
