"""What is known of the environment of a run, and how two environments differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources

from pytest_mlcontainer.model import Facts, Platform, Scalar

MARKER = "mlcontainer-facts:"

# What explains differing numbers comes first; what differs on every machine comes last.
_SUSPICION = (
    "machine",
    "blas.",
    "package.numpy",
    "package.scipy",
    "package.scikit-learn",
    "package.torch",
    "package.",
    "cpu.flags",
    "libc",
    "python.version",
    "env.",
    "cpu.usable",
    "cpu.count",
    "cpu.model",
    "memory.",
    "distribution",
    "locale.",
    "timezone.",
    "python.",
)
# True of any two runs, or no cause of anything.
_BORING = ("folder", "kernel", "user.id", "python.platform", "unread.")

_MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i586": "386",
    "i686": "386",
    "armv7l": "arm",
    "armv6l": "arm",
    "armv8l": "arm",
}


def probe_source() -> str:
    """The text of the probe, for an image's Python to run."""
    return resources.files(__name__).joinpath("probe.py").read_text(encoding="utf-8")


def shell_probe() -> str:
    """A shell script that runs the probe, its first argument, or says at least the machine.

    It prints the facts and ends with 0 even where there is no Python.
    """
    return (
        'for python in python3 python; do if command -v "$python" >/dev/null 2>&1; then '
        'exec "$python" -c "$1"; fi; done; '
        f'printf \'{MARKER}{{"machine": "%s"}}\\n\' "$(uname -m)"'
    )


def parse_facts(printed: str) -> Facts | None:
    """The facts among what the probe's container printed; None when there are none."""
    for line in printed.splitlines():
        if line.startswith(MARKER):
            try:
                raw = json.loads(line[len(MARKER) :])
            except (ValueError, RecursionError):
                return None
            if isinstance(raw, dict):
                return Facts(tuple(sorted((str(name), _scalar(raw[name])) for name in raw)))
    return None


def machine_matches(facts: Facts, platform: Platform) -> bool:
    """Whether the machine seen inside is the platform's; true when it was not seen."""
    machine = facts.get("machine")
    if machine is None or not platform.architecture:
        return True
    architecture = _MACHINES.get(str(machine), str(machine))
    # A 32-bit image on a 64-bit kernel sees the kernel's machine.
    family = {"386": ("386", "amd64"), "arm": ("arm", "arm64")}
    return architecture in family.get(platform.architecture, (platform.architecture,))


def differing(actual: Facts, expected: Facts) -> tuple[tuple[str, Scalar, Scalar], ...]:
    """What differs: name, the expected side's value, the actual side's, most suspicious first."""
    left, right = dict(expected.values), dict(actual.values)
    if not left or not right:
        return ()
    names = [
        name
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name) and not name.startswith(_BORING)
    ]
    names.sort(key=lambda name: (_one_sided(name, left, right), _rank(name)))
    return tuple((name, left.get(name), right.get(name)) for name in names)


def _one_sided(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    """Whether only one side has this package: two environments have many of those, and what a
    program uses is mostly in both."""
    return name.startswith("package.") and (left.get(name) is None or right.get(name) is None)


def _rank(name: str) -> int:
    ranks = [rank for rank, prefix in enumerate(_SUSPICION) if name.startswith(prefix)]
    return min(ranks, default=len(_SUSPICION))


def _scalar(value: object) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # NaN differs from itself
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:500]


def telling(facts: Facts) -> Facts:
    """Without what is true of any two runs, such as the folder they ran in."""
    return Facts(tuple(pair for pair in facts.values if not pair[0].startswith(_BORING)))
