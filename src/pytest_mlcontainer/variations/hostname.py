"""`hostname`: the machine's name for itself.

Docker names each container after its id unless it is told (`docker run --hostname`).
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container

_OTHER: Final = "gpu-node-17"
_PINNED: Final = "mlcontainer"


def choose(situation: Situation) -> Choice:
    """As a machine of a cluster could be called."""
    return _named(situation, _OTHER)


def pin(situation: Situation) -> Choice:
    """The same for every run."""
    return _named(situation, _PINNED)


def _named(situation: Situation, name: str) -> Choice:
    missing = no_container(situation)
    if missing is not None:
        return missing
    if situation.entry.limits.network.startswith("container:"):
        return NotExercised("it shares the network, and so the name, of another container")
    return Variation("hostname", name, Knobs(hostname=name), (f"host.name={name}",))


FAMILY: Final = Family(
    "hostname",
    "the machine's name",
    choose,
    hints=(
        r"\bgethostname\(|\bgetfqdn\(|\bgethostbyname\(",
        r"\bplatform\.(?:node|uname)\(",
        r"\bos\.uname\(|\.nodename\b",
        r"\buuid\.(?:getnode|uuid1)\(|\bgetnode\(",
        r"[\"']HOSTNAME[\"']|\$HOSTNAME|/etc/hostname",
        r"\b(?:run|check_output|popen|getoutput)\([^\n]*[\"']hostname\b",
    ),
    weight=3.0,
    natural=True,
    pin=pin,
)
