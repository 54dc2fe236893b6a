"""The only reader of what a run wrote: from a tar stream or a folder to files on this machine.

A container's output is hostile until shown otherwise. Nothing is written outside the folder given,
whatever a member is called; links, devices, fifos and sockets are never recreated; what is not
taken over is listed with its reason.
"""

from __future__ import annotations

from pytest_mlcontainer.outputs.collected import (
    MAX_FILES,
    MAX_LISTED_BYTES,
    Collected,
    Mark,
    OutputLimits,
)
from pytest_mlcontainer.outputs.collecting import collect_tar, collect_tree, names_in_tar
from pytest_mlcontainer.outputs.declared import DeclaredOutputs
from pytest_mlcontainer.outputs.handing import folders_left, links_left
from pytest_mlcontainer.outputs.removing import remove_tree

__all__ = [
    "MAX_FILES",
    "MAX_LISTED_BYTES",
    "Collected",
    "DeclaredOutputs",
    "Mark",
    "OutputLimits",
    "collect_tar",
    "collect_tree",
    "folders_left",
    "links_left",
    "names_in_tar",
    "remove_tree",
]
