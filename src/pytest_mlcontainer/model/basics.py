"""Values that the other modules of `model` use: platforms, targets, verdicts, owners."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Union

Pairs = tuple[tuple[str, str], ...]
Scalar = Union[None, bool, int, float, str]


@dataclass(frozen=True)
class Platform:
    """An OCI platform such as `linux/arm64` or `linux/arm/v7`; or `HOST`, this machine's Python."""

    os: str
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def slug(self) -> str:
        """The platform as part of a file name or an image tag: `linux-arm-v7`."""
        return str(self).replace("/", "-")


HOST = Platform("host")

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i586": "386",
    "i686": "386",
    "armv7l": "arm",
    "armv6l": "arm",
    "armv8l": "arm",
}


def architecture_of(machine: str) -> str:
    """What a kernel calls its machine (`uname -m`), as platforms call it: `amd64` for `x86_64`."""
    return _ARCHITECTURES.get(machine, machine)


class Emulation(enum.Enum):
    """What to do for a platform that the engine only emulates."""

    ALLOW = "allow"
    SKIP = "skip"
    FAIL = "fail"


class NeedsFrom(enum.Enum):
    """Whose outputs an entrypoint's `needs` are: the reference's, or the same platform's."""

    REFERENCE = "reference"
    SAME = "same"


class KeepPolicy(enum.Enum):
    """Which containers stay on the engine after a test, for debugging."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


class MetricDirection(enum.Enum):
    """Which way a metric improves: a change that way is no drift."""

    HIGHER = "higher"
    LOWER = "lower"


class ReadAs(enum.Enum):
    """What a file is taken for, whatever its bytes and its name say."""

    TEXT = "text"


class Freedom(enum.Enum):
    """What a method leaves undetermined, so that it does not count.

    SIGN: of each vector along the axis (eigenvectors, principal components). ORDER: of the vectors
    along the axis (clusters, components). LABELS: their names (which cluster is called 0).
    """

    SIGN = "sign"
    ORDER = "order"
    LABELS = "labels"


class Verdict(enum.Enum):
    """What a comparison says; `severity` orders them from harmless to broken."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DRIFT = "drift"
    NONDETERMINISTIC = "nondeterministic"
    FAILED = "failed"

    @property
    def severity(self) -> int:
        return _SEVERITY[self]

    @property
    def passes(self) -> bool:
        return self in (Verdict.IDENTICAL, Verdict.EQUIVALENT)


_SEVERITY = {verdict: position for position, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Owner:
    """The process that owns what we make on an engine, and that must be alive for it to stay.

    Args:
        session: id shared by all workers of one pytest run.
        host: the machine's name; `pid` and `pid_start` (its start time in the kernel's clock
            ticks since boot, as text) name the process there, so that a reused pid is told apart.
    """

    session: str
    host: str
    pid: int
    pid_start: str

    def labels(self) -> dict[str, str]:
        """The labels that everything of this owner carries on an engine."""
        return {
            LABEL: "true",
            f"{LABEL}.session": self.session,
            f"{LABEL}.host": self.host,
            f"{LABEL}.pid": str(self.pid),
            f"{LABEL}.pid-start": self.pid_start,
        }


LABEL = "pytest-mlcontainer"
# Of the URLs of engines with a Docker API.
DOCKER_SCHEMES = ("unix", "tcp", "http", "https", "ssh", "npipe")
ALL_EMPTY = "all that was compared is empty"  # how the note on such an outcome begins
PRINTED = ("stdout", "stderr")  # names of what a run prints, where it wrote no such file
