"""`umask`: who may read what is written. Only a process can set it: a shell starts the command."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import where

_STRICT: Final = "0077"
_USUAL: Final = "0022"


def choose(situation: Situation) -> Choice:
    """Nobody else; or, where it is so already, the usual."""
    shell = situation.facts.get("program.sh")
    if not shell:
        return NotExercised(f"no shell {where(situation)}")
    present = str(situation.facts.get("user.umask") or "").removeprefix("0o").zfill(4)
    mask = _USUAL if present == _STRICT else _STRICT
    wrapper = (str(shell), "-c", f'umask {mask}; exec "$@"', "sh")
    return Variation("umask", mask, Knobs(wrapper=wrapper), ("user.umask",))


FAMILY: Final = Family(
    "umask",
    "who may read what it writes",
    choose,
    hints=(
        r"\bumask\b",
        r"\bl?chmod\(",
        r"\bst_mode\b|\bstat\.S_I\w+|\bfilemode\(",
        r"(?<!\w)0o[0-7]{3}\b",
        r"\bos\.open\(|\bmkfifo\(",
        r"\btarfile\.open\(|\.add(?:file)?\([^\n]*arcname|\bgettarinfo\(",
        r"\bos\.access\(",
    ),
    weight=1.0,
)
