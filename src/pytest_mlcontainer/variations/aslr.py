"""`aslr`: whether things lie at other addresses in each process, which order by `id` follows.

A program switches it off for those that it starts by its personality (personality(2),
ADDR_NO_RANDOMIZE), as `setarch -R` does; engines forbid that unless they are asked.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container, where

_SWITCH_OFF: Final = (
    "import ctypes, os, sys; call = ctypes.CDLL(None).personality; "
    "call(call(0xFFFFFFFF) | 0x0040000); os.execvp(sys.argv[1], sys.argv[1:])"
)


def choose(situation: Situation) -> Choice:
    """The same addresses in each process."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    if situation.facts.get("process.aslr") == "off":
        return NotExercised("addresses are not randomised anyway")
    wrapper = _wrapper(situation)
    if wrapper is None:
        return NotExercised(f"neither setarch nor Python {where(situation)}")
    knobs = Knobs(wrapper=wrapper, personality=True)
    return Variation("aslr", "off", knobs, ("process.aslr=off",))


def _wrapper(situation: Situation) -> tuple[str, ...] | None:
    """BusyBox's setarch, which comes with musl, wants a personality that it knows by name."""
    setarch = situation.facts.get("program.setarch")
    if setarch and str(situation.facts.get("libc") or "").startswith("glibc"):
        return (str(setarch), "-R")
    if situation.facts.get("python.version") is not None:
        return ("python3", "-I", "-S", "-c", _SWITCH_OFF)
    return None


FAMILY: Final = Family(
    "aslr",
    "where in memory things lie",
    choose,
    hints=(
        r"(?<![.\w])id\(",
        r"\bkey\s*=\s*id\b",
        r"\bobject\.__(?:hash|repr)__\b",
        r"\bWeak(?:Set|KeyDictionary|ValueDictionary)\(",
        r"\bctypes\.(?:addressof|string_at|cast)\(|\.data_ptr\(|\.ctypes\.data\b",
    ),
    weight=1.0,
    natural=True,
    pin=choose,
    on_request=True,
)
