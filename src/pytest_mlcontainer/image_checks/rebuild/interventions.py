"""Changes of a Dockerfile that take away a reason for builds to differ, to be tried by building."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pytest_mlcontainer.dockerfile import parse_instructions
from pytest_mlcontainer.image_checks.rebuild.reasons import Origin


@dataclass(frozen=True)
class Intervention:
    """Lines that are added behind each FROM, and the reasons that they may take away.

    Args:
        shown: as a user is told of it.
    """

    lines: tuple[str, ...]
    reasons: frozenset[Origin]
    shown: str


# pip writes .pyc files that are checked by their source's digest where this variable is set, and
# other tools take it for the time (https://reproducible-builds.org/specs/source-date-epoch).
_EPOCH: Final = "ARG SOURCE_DATE_EPOCH"
INTERVENTIONS: Final = (
    Intervention(
        (_EPOCH,),
        frozenset((Origin.BYTECODE, Origin.RECORD, Origin.TIME)),
        f"`{_EPOCH}` behind each FROM",
    ),
    Intervention(
        (_EPOCH, "ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_COMPILE=1"),
        frozenset((Origin.BYTECODE, Origin.RECORD)),
        f"`{_EPOCH}` and `ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_COMPILE=1` behind each FROM",
    ),
    Intervention(
        (_EPOCH, "ENV PYTHONHASHSEED=0"),
        frozenset((Origin.ORDER, Origin.BYTECODE)),
        f"`{_EPOCH}` and `ENV PYTHONHASHSEED=0` behind each FROM",
    ),
)


def changed_text(text: str, lines: tuple[str, ...]) -> str:
    """A Dockerfile with these lines behind each FROM."""
    instructions = tuple(parse_instructions(text))
    behind = [
        after.line
        for each, after in pairwise(instructions)
        if each.word == "FROM" and after.word != "FROM"
    ]
    written = text.split("\n")
    for line in reversed(behind):
        written[line - 1 : line - 1] = lines
    return "\n".join(written)
