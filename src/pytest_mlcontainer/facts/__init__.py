"""What is known of the environment of a run, and how two environments differ."""

from __future__ import annotations

import json
import math

from pytest_mlcontainer.facts.effects import can_be_witnessed, suspicion, took_effect
from pytest_mlcontainer.facts.ranking import differing, telling
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.inside.probe import ENVIRONMENT, FLAGS, MARKER, NOT_REACHED, UNFINISHED
from pytest_mlcontainer.model import Facts, Platform, Scalar, architecture_of

__all__ = [
    "MARKER",
    "UNREAD",
    "can_be_witnessed",
    "differing",
    "machine_matches",
    "parse_facts",
    "probe_source",
    "probe_sources",
    "shell_probe",
    "suspicion",
    "telling",
    "took_effect",
    "unfinished",
]

UNREAD = "unread."
# A name list is as long as it is; any other long text is no fact.
_LONGEST = {"environment.names": 20_000}
_LONG = 500
_MOST = 20_000


def probe_source() -> str:
    """The text of the probe, for an image's Python to run."""
    return source("probe.py")


def probe_sources(*, deep: bool = False) -> tuple[str, ...]:
    """The probe and, for a deep look, what it then executes besides: its first argument."""
    return (probe_source(), source("canaries.py")) if deep else (probe_source(),)


def shell_probe() -> str:
    """A POSIX shell script that runs the probe, its first argument, handing on the others.

    Where there is no Python, or it does not come to its end, the shell tells what it can see
    itself. It ends with 0 where there is no Python, otherwise as Python did.
    """
    given = {
        "@MARKER@": MARKER,
        "@UNFINISHED@": UNFINISHED,
        "@FLAGS@": " ".join(FLAGS),
        "@ENVIRONMENT@": " ".join(ENVIRONMENT),
    }
    text = source("probe.sh")
    for name, value in given.items():
        text = text.replace(name, value)
    return text


def parse_facts(printed: str, ended: str = "") -> Facts | None:
    """The facts among what the probe's container printed; None when there are none.

    A later line only adds to what earlier ones told, but for whether a stage was read.

    Args:
        ended: how the probe ended, where it did not end by itself: why the stage that it was in
            is not known.
    """
    lines = [
        _object(each[len(MARKER) :]) for each in printed.splitlines() if each.startswith(MARKER)
    ]
    told = [line for line in lines if line is not None]
    found: dict[str, Scalar] = {}
    for name, value in (pair for line in told for pair in line.items()):
        if name.startswith(UNREAD) or (name not in found and len(found) < _MOST):
            found[name] = _scalar(value, _LONGEST.get(name, _LONG))
    if "python.version" in found:
        found.pop(f"{UNREAD}python", None)  # the shell says so of a Python that ended badly
    read = {
        name: f"{value}: {ended}" if value == UNFINISHED and ended else value
        for name, value in found.items()
        if value is not None or not name.startswith(UNREAD)
    }
    return Facts(tuple(sorted(read.items()))) if told else None


def unfinished(facts: Facts) -> bool:
    """Whether the probe ended in the midst of a stage."""
    return any(
        name.startswith(UNREAD) and str(value).startswith((UNFINISHED, NOT_REACHED))
        for name, value in facts.values
    )


def machine_matches(facts: Facts, platform: Platform) -> bool:
    """Whether the machine seen inside is the platform's; true when it was not seen."""
    machine = facts.get("machine")
    if machine is None or not platform.architecture:
        return True
    architecture = architecture_of(str(machine))
    # A 32-bit image on a 64-bit kernel sees the kernel's machine.
    family = {"386": ("386", "amd64"), "arm": ("arm", "arm64")}
    return architecture in family.get(platform.architecture, (platform.architecture,))


def _object(text: str) -> dict[str, object] | None:
    try:
        raw = json.loads(text, strict=False)  # a shell does not escape a tab
    except (ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def _scalar(value: object, longest: int) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # NaN differs from itself
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:longest]
