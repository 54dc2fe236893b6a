"""What the command is given of the world around it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.pipeline.surroundings import cache_folder, with_programs_beside


@dataclass(frozen=True)
class Here:
    """The same surroundings that the plugin would have here.

    Args:
        folder: the working directory.
        cache: what sessions share.
        environ: environment variables; PATH begins with the programs beside this Python.
    """

    folder: Path
    cache: Path
    environ: Mapping[str, str]


def here(environ: Mapping[str, str]) -> Here:
    """Read the surroundings from the environment."""
    return Here(Path.cwd(), cache_folder(environ), with_programs_beside(sys.executable, environ))
