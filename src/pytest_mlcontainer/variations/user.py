"""`user`: the user that the run has, as `docker run --user`: one that owns nothing in the image."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container, number

_ID: Final = 12345
_OTHER_ID: Final = 23456


def choose(situation: Situation) -> Choice:
    """A number without a name, as clusters give."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    user = _OTHER_ID if _present(situation) == str(_ID) else _ID
    setting = f"{user}:{user}"
    return Variation("user", setting, Knobs(user=setting), (f"user.id={user}",))


def _present(situation: Situation) -> str:
    configured = situation.entry.limits.user
    if configured is not None:
        return configured.partition(":")[0]
    return str(number(situation, "user.id"))


FAMILY: Final = Family(
    "user",
    "the user that it runs as",
    choose,
    hints=(
        r"\bget(?:e?uid|e?gid|resuid|groups|login)\(",
        r"\bgetpass\.getuser\(|\bgetuser\(",
        r"\bpwd\.getpw|\bgrp\.getgr",
        r"\bos\.access\(",
        r"\bPermissionError\b",
        r"\bos\.(?:f|l)?chown\(|\bshutil\.chown\(|\.owner\(\s*\)",
        r"[\"'](?:USER|LOGNAME)[\"']",
        # Another user has another home.
        r"\bexpanduser\(|\bPath\.home\(",
    ),
    weight=1.5,
    demanding=True,
    kin=("home", "read-only"),
)
