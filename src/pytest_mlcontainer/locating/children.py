"""Which statements take what children of the process made: by what they call, and name."""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.locating.pairs import PairedEvent
from pytest_mlcontainer.locating.recording import split_path
from pytest_mlcontainer.locating.ways import FINISHED, way_in

_STARTS: Final = re.compile(r"(^|\.)(run|check_output|getoutput|communicate|popen)$")
_GATHERS: Final = re.compile(
    r"(^|\.)(\w*map\w*|apply\w*|as_completed|communicate|compute|gather|get|join|loads?|next"
    r"|Parallel|read\w*|recv\w*|results?|run|wait)$"
)
_PRINTED: Final = re.compile(r"\.(stdout|stderr|output)$")


def gathers(node: PairedEvent) -> bool:
    """Whether a statement may take what children have made: by what it calls, or a loader's."""
    site = node.expected.site
    if site is None or way_in(site.calls, site.text, reordered=False) not in (None, FINISHED):
        return False
    return node.expected.kind in ("For", "AsyncFor") or any(map(_GATHERS.search, site.calls))


def is_printed(node: PairedEvent, name: str) -> bool:
    """Whether a value is what a process printed: by its name, or as the statement starts one."""
    site = node.expected.site
    starts = site is not None and any(_STARTS.search(call) for call in site.calls)
    return starts or bool(_PRINTED.search(name))


def is_named(given: PairedEvent, node: PairedEvent) -> bool:
    """Whether a statement names the function that gave something in another process."""
    name = split_path(given.expected.path)[1]
    return given.stream != node.stream and name in _words(node)


def _words(node: PairedEvent) -> set[str]:
    site = node.expected.site
    return set() if site is None else set(re.findall(r"\w+", site.text))
