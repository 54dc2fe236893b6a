"""`network`: whether there is one, as `docker run --network`.

A run without a network gets one that leads nowhere: what is fetched does not come either way, but
a program that asks whether there is a network is told so.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container

INTERNAL: Final = "mlcontainer-internal"
_NONE: Final = "none"


def choose(situation: Situation) -> Choice:
    """None; where there is none, one without a way out."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    if situation.entry.server is not None:
        return NotExercised("a server has to be reached")
    if situation.entry.limits.network == _NONE:
        return Variation("network", "internal", Knobs(network=INTERNAL), ("network.interfaces",))
    return _without()


def pin(situation: Situation) -> Choice:
    """None, so that nothing can come from elsewhere."""
    if situation.entry.limits.network == _NONE:
        return NotExercised("there is no network anyway")
    chosen = choose(situation)
    return chosen if isinstance(chosen, NotExercised) else _without()


def _without() -> Variation:
    return Variation("network", _NONE, Knobs(network=_NONE), ("network.interfaces",))


FAMILY: Final = Family(
    "network",
    "whether there is a network",
    choose,
    hints=(
        r"\brequests\.(?:get|post|head|Session)\(|\bhttpx\.|\baiohttp\.",
        r"\burlopen\(|\burlretrieve\(|\burllib\.request\.\w+\(",
        r"\bsocket\.(?:socket|create_connection|gethostbyname|getaddrinfo|if_nameindex)\(",
        r"\bnet_if_(?:addrs|stats)\(|/sys/class/net\b|/proc/net/",
        r"\bload_state_dict_from_url\(|\bfrom_pretrained\(|\btorch\.hub\.load",
        r"\bhf_hub_download\(|\bsnapshot_download\(|\bload_dataset\(|\bget_file\(",
        r"\bfetch_(?:openml|california_housing|20newsgroups|covtype|lfw_\w+|kddcup99|rcv1)\(",
        r"\bdownload\s*=\s*True|\bpretrained\s*=\s*True|\bnltk\.download\(",
        r"\b(?:URLError|ConnectionError|HTTPError|ConnectTimeout|gaierror)\b",
        r"\bread_(?:csv|json|parquet|html)\(\s*f?[\"'](?:https?|s3|gs):",
        r"\bboto3\b|\bs3fs\b|\bgcsfs\b|\bwandb\.init\(",
    ),
    weight=1.5,
    pin=pin,
    demanding=True,
    # A cache in the home hides that nothing can be fetched.
    kin=("home",),
)
