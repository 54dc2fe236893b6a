"""Names that somebody asked for → families."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Family


def wanted(families: Iterable[Family], names: tuple[str, ...] | None) -> tuple[Family, ...]:
    """The families of these names, in the order of the families.

    Args:
        names: None stands for all but those that are varied on request only.

    Raises:
        MlContainerError: there is none of such a name.
    """
    known = tuple(families)
    if names is None:
        return tuple(family for family in known if not family.on_request)
    listed = [family.name for family in known]
    for name in names:
        if name not in listed:
            found = difflib.get_close_matches(name, listed, n=1)
            meant = f"did you mean {found[0]}? " if found else ""
            raise MlContainerError(
                "there is no variation of this name", name, f"{meant}there are: {', '.join(listed)}"
            )
    return tuple(family for family in known if family.name in names)
