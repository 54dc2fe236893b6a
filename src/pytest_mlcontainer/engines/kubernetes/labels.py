"""By what things in a cluster are known to be ours, and whose they are.

Values of labels may hold little, so that an owner is told in annotations, and what is looked for
by a selector also as a label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pytest_mlcontainer.model import LABEL, Owner
from pytest_mlcontainer.owners import this_maker

SESSION: Final = f"{LABEL}.session"
KEEP: Final = f"{LABEL}.keep"
NETWORK: Final = f"{LABEL}.network"
MAKER: Final = f"{LABEL}.maker"
NAME: Final = f"{LABEL}.name"
_MANAGED: Final = "app.kubernetes.io/managed-by"
_MOST: Final = 63


def as_label(text: str) -> str:
    """Text as the value of a label: what it may not hold becomes `_`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).strip("._-")[:_MOST].rstrip("._-")


def metadata(owner: Owner, name: str, *, called: str = "", kept: bool = False) -> dict[str, Any]:
    """The metadata of a thing that this process makes for `owner`.

    Args:
        called: what the product calls it, where that is no name for a cluster.
        kept: it is to stay for a look when its session has ended.
    """
    labels = {
        LABEL: "true",
        SESSION: as_label(owner.session),
        MAKER: as_label(this_maker()),
        _MANAGED: LABEL,
    }
    notes = {**owner.labels(), MAKER: this_maker()}
    if called:
        notes[NAME] = called
    if kept:
        notes[KEEP] = labels[KEEP] = "true"
    return {"name": name, "labels": labels, "annotations": notes}


def of_session(session: str) -> str:
    """The selector of what a session has made."""
    return f"{SESSION}={as_label(session)}"


def owner_notes(thing: Mapping[str, Any]) -> Mapping[str, str]:
    """What a thing of ours says of its owner."""
    return dict((thing.get("metadata") or {}).get("annotations") or {})
